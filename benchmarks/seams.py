"""How much the joints of patches show: no overlap, blending and exact mode side by side.

    python benchmarks/seams.py SCENE.tif [--model buildings-trees] [--res 0.5] [--nodata 255]

One model predicts the scene with patches that do not overlap, with its card's overlap blended, and cropped by
its whole halo. `geoseg check seams` then compares the jumps across the joints with those across other lines:
a ratio of 1 is no seam, and the p-value says how often a grid moved at random has jumps as large.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

from measure import table

import geoseg
from geoseg.evaluation.seams import check_seams

MODES: dict[str, dict[str, Any]] = {
    "no overlap": dict(overlap=0),
    "blend": dict(),
    "exact": dict(stitch="exact", patch_size=1024),
}
HEAD = ("stitch", "raster", "ratio", "p-value", "joints", "jump on the grid", "off it")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene")
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--res", type=float, default=0.5, help="metres")
    parser.add_argument("--nodata", type=float)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        mask, chances = Path(folder, "mask.tif"), Path(folder, "p.tif")
        for mode, choices in MODES.items():
            geoseg.predict(
                options.scene, mask, probabilities=chances, model=options.model, nodata=options.nodata,
                res=options.res, quicklook=False, styles=False, overwrite=True, **choices,
            )  # fmt: skip
            for raster in (mask, chances):
                found = check_seams(raster)
                one = found.both
                rows.append((mode, found.kind, f"{one.ratio:.2f}", f"{one.p_value:.4f}", one.joints,
                             f"{one.on_grid:.3g}", f"{one.off_grid:.3g}"))  # fmt: skip
    print(table(HEAD, rows))


if __name__ == "__main__":
    main()
