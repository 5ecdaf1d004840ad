"""How fast each engine and precision runs a network, and how many mask pixels it changes.

    python benchmarks/engines.py SCENE.tif... [--model NAME-OR-FOLDER ...] [--patches 64] [--seconds 10]

Every engine of this machine runs every precision that it and the model's card have, each in a process of
its own, on the same patches of the scenes, as many calls at once as the engine is run with. The masks are
compared with those of Keras in float32. `geoseg model quantize` makes a bundle that has int8.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import numpy as np
from measure import alone, table

from geoseg.calibration import samples
from geoseg.models.bundle import INT8_FILE, Bundle, find_bundle
from geoseg.models.card import PRECISIONS
from geoseg.runtime import available
from geoseg.runtime.choose import load_engine
from geoseg.runtime.engine import Engine
from geoseg.runtime.mask_change import Samples, class_masks, mask_change

REFERENCE = ("tensorflow", "float32")


def ways(bundle: Bundle) -> Iterator[tuple[str, str]]:
    """Engines of this machine and their precisions, that the bundle has, the reference first."""
    yield REFERENCE
    for engine in filter(available.installed, available.ENGINES):
        here = {*available.precisions(engine)} & {*bundle.card.precisions}
        if engine != "tensorflow" and INT8_FILE in bundle.card.files and available.multiplies_bytes():
            here.add("int8")
        yield from ((engine, each) for each in PRECISIONS if each in here and (engine, each) != REFERENCE)


def trial(name: str, engine: str, precision: str, found: Samples, seconds: float) -> tuple[np.ndarray, float]:
    """Class masks of the patches, and patches a second."""
    bundle = find_bundle(name)
    loaded = load_engine(bundle, engine, precision=precision, patch_size=found.pixels.shape[1])
    masks = class_masks(loaded, found, bundle.card)
    return masks, rate(loaded, found, seconds)


def rate(engine: Engine, found: Samples, seconds: float) -> float:
    """Patches a second, in as many calls at once as the engine is run with."""
    starts = range(0, len(found) - engine.batch_size + 1, engine.batch_size)
    batches = [found.pixels[start : start + engine.batch_size] for start in starts]
    begin = time.perf_counter()

    def calls(first: int) -> int:
        count = 0
        for batch in islice(cycle(batches), first, None):
            if time.perf_counter() - begin > seconds:
                break
            engine(batch)
            count += 1
        return count

    with ThreadPoolExecutor(engine.streams) as pool:
        count = sum(pool.map(calls, range(engine.streams)))
    return count * engine.batch_size / (time.perf_counter() - begin)


def rows(name: str, scenes: list[str], patches: int, seconds: float) -> Iterator[tuple[str, ...]]:
    """The lines of a model."""
    bundle = find_bundle(name)
    found = samples(bundle, scenes, patches)
    side = found.pixels.shape[1]
    before = None
    for engine, precision in ways(bundle):
        masks, speed = alone(trial, name, engine, precision, found, seconds).answer
        before = masks if before is None else before
        changed = 1 - mask_change(before, masks, found, bundle.card).agreement
        yield (bundle.card.name, str(side), engine, precision, f"{speed:.1f}",
               f"{speed * side**2 / 1e6:.2f}", f"{100 * changed:.3f} %")  # fmt: skip


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--model", action="append")
    parser.add_argument("--patches", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    names = options.model or ["buildings-trees"]
    lines = [line for name in names for line in rows(name, options.scenes, options.patches, options.seconds)]
    head = ("model", "patch", "engine", "precision", "patches/s", "Mpx/s", "pixels changed")
    print(table(head, lines))


if __name__ == "__main__":
    main()
