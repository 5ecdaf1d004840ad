"""What a GPU makes of a scene, by Keras on JAX: the bare network, the whole run, how busy the GPU is.

    python benchmarks/gpu.py SCENE.tif [--nodata 255] [--model NAME] [--batch-size N ...]
    pip install 'jax[cuda12]' on the GPU's machine; TensorFlow is not needed

On the scene's own pixels. The bare network gets a batch from the middle of the scene over and over; the whole
run writes mask and probabilities. How busy the GPU is comes from `nvidia-smi`, ten times a second while the
run lasts. Reading alone decodes, fills and cuts all patches and throws them away: a run that takes as long is
limited by that. Without a GPU it all runs on the processor, in float32, and says so. KERAS_BACKEND=tensorflow
measures TensorFlow instead.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

from efficiency import first_batch, seconds_per_patch, seconds_to_read
from measure import mib, table

from geoseg.api import Loaded, load
from geoseg.jobs import SceneJob
from geoseg.memory import peak
from geoseg.prediction import Result, predict_scene
from geoseg.runtime.machine import machine

EVERY_MS = 100
BUSY = 0.9
NEAR = 1.15  # a run that takes at most that many times as long as reading alone is limited by reading


@contextmanager
def watched() -> Iterator[list[float]]:
    """The GPU's busy share, 0 … 1, sampled inside the `with` block and listed when it ends."""
    samples: list[float] = []
    if not shutil.which("nvidia-smi"):
        yield samples
        return
    command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits",
               f"--loop-ms={EVERY_MS}", "--id=0"]  # fmt: skip
    with tempfile.TemporaryFile("w+") as told:
        process = subprocess.Popen(command, stdout=told, stderr=subprocess.DEVNULL)
        try:
            yield samples
        finally:
            process.terminate()
            process.wait()
            told.seek(0)
            samples += [int(line) / 100 for line in told.read().split() if line.isdigit()]


def bare(job: SceneJob, options: argparse.Namespace) -> tuple[Loaded, float]:
    """Print the bare network's speed by batch size; the fastest one, and its seconds a patch."""
    found: list[tuple[float, Loaded]] = []
    for size in options.batch_size or [None]:
        ready = load(
            options.model, engine="tensorflow", precision=options.precision, res="native",
            patch_size=options.patch_size, overlap=options.overlap, batch_size=size,
        )  # fmt: skip
        found.append((float(seconds_per_patch(ready.engine, first_batch(job, ready))[0]), ready))
    rows = [
        (ready.engine.batch_size, ready.engine.streams, f"{1 / seconds:,.0f}",
         f"{options.patch_size**2 / seconds / 1e6:,.1f}")
        for seconds, ready in found
    ]  # fmt: skip
    print(table(("batch", "calls at once", "patches/s", "Mpx/s through the network"), rows), flush=True)
    seconds, ready = min(found, key=lambda each: each[0])
    return ready, seconds


def report(result: Result, ready: Loaded, seconds: float, busy: list[float], reading: float) -> None:
    """Print the whole run, and what limits it."""
    pixels, network = result.height * result.width, result.patches * seconds
    rows = [
        ("scene", f"{result.height:,} × {result.width:,} px, {result.patches:,} patches of "
                  f"{ready.settings.patch_size} px, {result.skipped:,} skipped"),
        ("wall", f"{result.seconds:.2f} s, {pixels / result.seconds / 1e6:.1f} Mpx/s of scene"),
        ("stages, which overlap", ", ".join(f"{k} {v:.2f} s" for k, v in result.stages.items())),
        ("bare network ÷ wall", f"{network / result.seconds:.3f}"),
        ("reading alone", f"{reading:.2f} s, {pixels / reading / 1e6:.1f} Mpx/s of scene"),
        ("peak memory of the process", f"{mib(peak())} MiB"),
    ]  # fmt: skip
    share = sum(busy) / len(busy) if busy else None
    told = "not measured: nvidia-smi told nothing" if share is None else f"{share:.2f} ({len(busy)} samples)"
    print("\n" + table(("whole run", ""), [*rows, ("GPU busy", told)]))
    if share is not None:
        limit = "the GPU" if share >= BUSY else "reading" if result.seconds <= NEAR * reading else "neither"
        print(f"\nlimited by {limit} (wanted: GPU busy {BUSY:.0%} or more, or limited by reading)")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene")
    parser.add_argument("--nodata", type=float)
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--precision", default="auto", help="auto is bfloat16 on GPUs that know it")
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--batch-size", type=int, nargs="*", help="several are compared; the fastest is used")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = SceneJob(options.scene, Path(folder, "mask.tif"), Path(folder, "p.tif"), nodata=options.nodata)
        ready, seconds = bare(job, options)
        with watched() as busy:
            result = predict_scene(job, ready.bundle, ready.settings, ready.engine)
        reading = seconds_to_read(job, ready)
    where = machine(os.environ["KERAS_BACKEND"])
    print(f"\n{result.engine} on {where}" + ("" if "GPU" in result.engine else ": no GPU, the processor"))
    report(result, ready, seconds, busy, reading)


if __name__ == "__main__":
    main()
