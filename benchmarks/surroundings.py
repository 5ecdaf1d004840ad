"""What a run takes besides the network: the same scene with an engine that answers at once.

    python benchmarks/surroundings.py SCENE.tif [--nodata 255] [--model NAME] [--res model] [--probabilities]

The network sees one batch from the middle of the scene; its answer then stands for all others. What is left
is what the fastest GPU would wait for: decoding, filling, cutting, blending, thresholding, writing.
Reading alone makes all batches and throws them away.
"""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from efficiency import a_scene, clocks, first_batch, seconds_to_read
from measure import table

from geoseg.api import load
from geoseg.core.stitch import Probabilities
from geoseg.jobs import SceneJob
from geoseg.prediction import predict_scene
from geoseg.runtime.engine import Engine


@dataclass(eq=False)
class Instant:
    """An engine that gives one answer.

    Attributes:
        engine: what it stands for.
        answer: for every batch.
    """

    engine: Engine
    answer: Probabilities

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    def __call__(self, batch: np.ndarray) -> Probabilities:
        """The answer."""
        return self.answer


def main() -> None:
    """Print it."""
    parser = a_scene(__doc__)
    parser.add_argument("--probabilities", action="store_true", help="write them too")
    options = parser.parse_args()
    ready = load(
        options.model, engine=options.engine, res=options.res, patch_size=options.patch_size,
        overlap=options.overlap,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        scores = Path(folder, "p.tif") if options.probabilities else None
        job = SceneJob(options.scene, Path(folder, "mask.tif"), scores, nodata=options.nodata)
        engine = Instant(ready.engine, ready.engine(first_batch(job, ready).pixels))
        before = clocks()
        result = predict_scene(job, ready.bundle, ready.settings, engine)
        wall, cpu = clocks() - before
        reading = seconds_to_read(job, ready)
    pixels = result.height * result.width / 1e6
    print(table(("without the network", ""), [
        ("scene", f"{result.height:,} × {result.width:,} px, {result.patches:,} patches"),
        ("wall", f"{wall:.2f} s, {pixels / wall:.1f} Mpx/s"),
        ("processor", f"{cpu:.2f} s"),
        ("stages, which overlap", ", ".join(f"{k} {v:.2f} s" for k, v in result.stages.items())),
        ("reading alone", f"{reading:.2f} s, {pixels / reading:.1f} Mpx/s"),
    ]))  # fmt: skip


if __name__ == "__main__":
    main()
