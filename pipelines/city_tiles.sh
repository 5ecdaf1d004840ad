#!/usr/bin/env bash
# A city's buildings and trees from map tiles: city_tiles.sh TEMPLATE ZOOM AREA RUN [OPTIONS OF geoseg batch]
# e.g. city_tiles.sh 'https://tiles.example.org/{z}/{x}/{y}.jpg' 19 city.geojson run/ --workers 4
set -euo pipefail
template=$1 zoom=$2 area=$3 run=$4
shift 4
tiles=("$template" -o "$run" --zoom "$zoom" --cutline "$area" --tile-cache "${TILE_CACHE:-$run.tiles}")
geoseg batch "${tiles[@]}" --dry-run "$@"
geoseg batch "${tiles[@]}" --polygons --executor processes --resume "$@"
