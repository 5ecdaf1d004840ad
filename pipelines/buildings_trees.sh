#!/usr/bin/env bash
# Makes the bundled models from the data that the recipe names, in `made/` beside this project: about three hours on two
# cores. What is there already is not made again.
#     pipelines/buildings_trees.sh
set -euo pipefail
cd "$(dirname "$0")/.."
recipe=pipelines/recipes/buildings_trees.toml made=../made

scenes() {  # STYLE FIRST COUNT
    geoseg synth -o $made/synth --style "$1" --seed "$2" --count "$3" --pixel-size 0.35 --size 768 768 --overwrite
}
trained() {  # VARIANT
    [ -d $made/"$1" ] || geoseg -v train $recipe --variant "$1" -o $made/"$1"
}

[ -d $made/synth ] || { scenes suburb 100 20; scenes town 200 20; scenes rural 300 8; }
trained teacher
[ -d $made/pseudo ] || python pipelines/pseudo_labels.py $recipe $made/teacher $made/pseudo \
    banepa=0.3 kampala=0.3 accra=0.3 naip=0.6 --distrust accra --only naip=pipelines/recipes/buildings_trees_naip.txt \
    --points naip=tree,trees_naip/points.csv
trained s_first
trained s
trained m_first
trained m
python benchmarks/accuracy.py $recipe $made/s --json $made/s_test.json
python pipelines/bundle_buildings_trees.py $recipe $made/s geoseg/bundles/buildings-trees --name buildings-trees \
    --scores "$made/s_test.json=held-out parts"
python benchmarks/accuracy.py $recipe $made/m --json $made/m_test.json
python pipelines/bundle_buildings_trees.py $recipe $made/m geoseg/bundles/buildings-trees-m --name buildings-trees-m \
    --scores "$made/m_test.json=held-out parts"
