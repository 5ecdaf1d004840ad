#!/usr/bin/env bash
# Makes the bundled models from the data that the recipe names, in `made/` beside this project: about eleven hours on
# two cores. What is there already is not made again.
#     pipelines/buildings_trees.sh
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=pipelines/recipes/buildings_trees.toml made=../made
real="../shared/data/buildings_banepa/scene/banepa_full_11264x8704.tif $(echo ../shared/data/landcover_dubai/images/tile[46]_*.jpg)"
held="held-out parts of the cities that it was trained on; NAIP: places it never saw"
roofs="places it never saw, outlined by eye; NAIP, California, 0.6 m"
never="held-out parts of a city that a twin, trained on labels of other sets alone, never saw"

scenes() {  # STYLE FIRST COUNT
    geoseg synth -o $made/synth --style "$1" --seed "$2" --count "$3" --pixel-size 0.35 --size 768 768 --overwrite
}
trained() {  # VARIANT
    [ -d $made/"$1" ] || geoseg -v train $recipe --variant "$1" -o $made/"$1"
}

labelled_by() {  # TEACHER FOLDER METRES: what it is sure of, where the labels say nothing; NAIP's pixels
    [ -d $made/"$2" ] || python pipelines/pseudo_labels.py $recipe $made/"$1" $made/"$2" \
        banepa=0.3 kampala=0.3 accra=0.3 naip="$3" --distrust accra \
        --only naip=pipelines/recipes/buildings_trees_naip.txt --points naip=tree,trees_naip/points.csv \
        --places naip=pipelines/recipes/buildings_trees_naip_places.csv
}

roofs_of_dubai() {  # NETWORK FOLDER: Dubai's labels draw a line around many villas; the network finds roofs inside
    [ -d $made/"$2" ] || python pipelines/pseudo_labels.py $recipe $made/"$1" $made/"$2" dubai=0.4 --blocks dubai
}

left_out() {  # VARIANT CITY METRES: what a network that never saw the city is worth there
    python benchmarks/accuracy.py $recipe $made/"$1" --sets "$2" --res "$3" --patch-size 512 --threshold 0.4 0.4 \
        --json $made/"${1%%_*}_never_$2.json"
}

bundled() {  # VARIANT NAME TREE TARGET [OPTION ...]
    python pipelines/bundle_buildings_trees.py $recipe $made/"$1" "$4" --name "$2" --threshold building=0.4 tree="$3" "${@:5}"
}

packaged() {  # VARIANT NAME TREE LIMIT: what it is worth as it is shipped, then with that in its card
    bundled "$1" "$2" "$3" $made/"$2"
    python benchmarks/accuracy.py $recipe $made/"$2" --json $made/"$1"_test.json
    python benchmarks/accuracy.py benchmarks/naip_roofs.toml $made/"$2" --json $made/"$1"_roofs.json
    bundled "$1" "$2" "$3" geoseg/bundles/"$2" --scores "$made/$1_test.json=$held" "$made/$1_roofs.json=$roofs" \
        $made/"$1"_never_{banepa,accra,kampala,dubai}.json="$never" --limit "$4" --scenes $real
}

[ -d $made/synth ] || { scenes suburb 100 20; scenes town 200 20; scenes rural 300 8; }
trained teacher
labelled_by teacher pseudo 0.6
trained m_first
trained m_second
trained m_third
labelled_by m_third pseudo_m 0.6
trained s_first
trained s_second
trained s_third
trained s_first_without_dubai
roofs_of_dubai s_first_without_dubai pseudo_dubai
trained s_fourth
trained s_fifth
trained m
labelled_by m pseudo_again 0.4
roofs_of_dubai s_fifth pseudo_dubai_again
[ -f $made/efficientnet_lite0.weights.h5 ] || python pipelines/encoder_weights.py $made/efficientnet_lite0.weights.h5
trained s_anew
trained s_again
trained s
for twin in {m_without_{banepa,accra,kampala,dubai},s_without_banepa_and_dubai,{s,unet}_without_accra_and_kampala}; do trained $twin; done
for city in banepa accra kampala; do left_out m_without_$city $city 0.3; done
for city in accra kampala; do
    for twin in s unet; do left_out ${twin}_without_accra_and_kampala $city 0.3; done
done
left_out s_without_banepa_and_dubai banepa 0.3
for twin in {m_without,s_without_banepa_and}; do left_out ${twin}_dubai dubai 0.4; done
packaged s buildings-trees 0.35 "Dubai's scores say little: its labels are blocks of villas, and the network marks the roofs in them."
packaged m buildings-trees-m 0.35 "In satellite imagery villas are often marked with their plots, as they are in Dubai's labels."
