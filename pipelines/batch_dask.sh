#!/usr/bin/env bash
# A scheduler and workers by hand, here all on this machine: batch_dask.sh SCENES RUN WORKERS [OPTIONS OF geoseg batch]
# On a cluster start the two kinds of processes wherever they belong, with the same paths everywhere.
set -euo pipefail
scenes=$1 run=$2 workers=$3
shift 3
about=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$about"' EXIT
dask scheduler --host 127.0.0.1 --port 0 --scheduler-file "$about/scheduler.json" 2>"$about/scheduler.log" &
until [ -s "$about/scheduler.json" ]; do sleep 0.2; done
dask worker --scheduler-file "$about/scheduler.json" --nworkers "$workers" --nthreads 1 --memory-limit 0 \
  --local-directory "$about" 2>"$about/workers.log" &
address=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1]))["address"])' "$about/scheduler.json")
geoseg batch "$scenes" -o "$run" --polygons --executor dask --scheduler "$address" --resume "$@"
