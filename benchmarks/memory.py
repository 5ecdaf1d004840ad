"""Peak memory of `geoseg predict` on sparse scenes of growing size.

    python benchmarks/memory.py [HEIGHTxWIDTH ...]

Each scene is a tiled GeoTIFF with nodata 0, empty but for islands of 1,000 px along its diagonal. Mask and
probabilities are both written. Every run is a process of its own.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import rasterio
from rasterio.transform import from_origin
from rasterio.windows import Window

SIZES = ["5000x100000", "20000x100000", "40000x100000", "100000x20000"]
ISLAND = 1000
RUN = """
import json, sys
from geoseg.api import predict
from geoseg.memory import peak
result = predict(sys.argv[1], sys.argv[2] + "/mask.tif", probabilities=sys.argv[2] + "/p.tif")
done = {"patches": result.patches, "skipped": result.skipped, "seconds": result.seconds}
print(json.dumps(done | {"peak": peak()}))
"""


def sparse_scene(path: Path, height: int, width: int) -> None:
    """Islands of noise on the diagonal of an otherwise empty raster."""
    profile = dict(
        driver="GTiff", height=height, width=width, count=3, dtype="uint8", nodata=0, tiled=True,
        blockxsize=512, blockysize=512, compress="deflate", sparse_ok=True, bigtiff="yes",
        crs="EPSG:32611", transform=from_origin(450000, 3770000, 0.3, 0.3),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    with rasterio.open(path, "w", **profile) as file:
        for row in range(0, height - ISLAND, 2 * ISLAND):
            col = int(row / height * (width - ISLAND))
            island = rng.integers(1, 256, (3, ISLAND, ISLAND), dtype=np.uint8)
            file.write(island, window=Window(col, row, ISLAND, ISLAND))


def measure(size: str) -> dict[str, float]:
    """Run one size in a fresh process."""
    height, width = map(int, re.fullmatch(r"(\d+)x(\d+)", size).groups())
    with tempfile.TemporaryDirectory() as folder:
        scene = Path(folder, "scene.tif")
        sparse_scene(scene, height, width)
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", RUN, str(scene), folder], check=True, capture_output=True, text=True
        )
        return json.loads(done.stdout.splitlines()[-1]) | {"wall": time.perf_counter() - start}


def main() -> None:
    """Print a line a size."""
    print(f"{'rows x columns':>16} {'Gpx':>6} {'patches':>8} {'skipped':>8} {'seconds':>8} {'peak MiB':>9}")
    for size in sys.argv[1:] or SIZES:
        got = measure(size)
        height, width = map(int, size.split("x"))
        print(
            f"{size:>16} {height * width / 1e9:6.2f} {got['patches']:8} {got['skipped']:8} "
            f"{got['seconds']:8.1f} {got['peak'] / 2**20:9.0f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
