#!/usr/bin/env bash
# A job array and the run that joins it: batch_slurm.sh SCENES RUN TASKS [OPTIONS OF geoseg batch]
# Add what your site wants (account, partition) to SBATCH_ACCOUNT, SBATCH_PARTITION, or below.
set -euo pipefail
scenes=$1 run=$2 tasks=$3
shift 3
options=$(printf ' %q' "$scenes" -o "$run" --polygons "$@")
mkdir -p "$run"
array=$(sbatch --parsable --requeue --array="1-$tasks" --cpus-per-task=8 --mem=4G --time=4:00:00 \
  --output="$run/slurm-%A-%a.log" --wrap="geoseg batch$options --shard \$SLURM_ARRAY_TASK_ID/$tasks")
# afterany: what failed in a task is tried once more here, then listed
sbatch --dependency="afterany:$array" --cpus-per-task=8 --mem=8G --time=4:00:00 \
  --output="$run/slurm-join.log" --wrap="geoseg batch$options --resume --executor processes"
