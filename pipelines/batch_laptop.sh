#!/usr/bin/env bash
# All scenes of a folder on this machine: batch_laptop.sh SCENES RUN [OPTIONS OF geoseg batch]
set -euo pipefail
scenes=$1 run=$2
shift 2
geoseg batch "$scenes" -o "$run" --dry-run "$@"
geoseg batch "$scenes" -o "$run" --polygons --executor processes --resume "$@"
