"""What the polygons of one giant scene cost in memory, time and bytes, by their number.

    python benchmarks/polygon_memory.py PROBABILITIES [--times 1 2 3]

The probabilities of one `geoseg predict` are laid side by side, `times` across and down, under a VRT: the
buildings and trees of a real scene in any number. Each size is vectorized to GeoParquet by a process of its
own. The slope of peak memory over polygons is what more of them take of the worker that joins a scene.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import rasterio

from geoseg.bulk.mosaic_view import write_view
from geoseg.core.window import Window
from geoseg.geo.geobox import geobox_of

RUN = "import sys; from geoseg.polygons import vectorize; vectorize(*sys.argv[1:])"


def repeated(raster: Path, times: int, target: Path) -> int:
    """A VRT of a raster `times` times across and down; how many pixels it has."""
    with rasterio.open(raster) as file:
        box, (height, width) = geobox_of(file), file.shape
    whole = replace(box, shape=(height * times, width * times))
    places = [Window(r * height, c * width, height, width) for r in range(times) for c in range(times)]
    write_view(target, whole, [(place, raster) for place in places])
    return whole.shape[0] * whole.shape[1]


def measure(raster: Path, times: int) -> tuple[float, int, float, float, int]:
    """Gigapixels, polygons, seconds, peak MiB, bytes of the file."""
    with tempfile.TemporaryDirectory() as folder:
        view, output = Path(folder, "view.vrt"), Path(folder, "polygons.parquet")
        pixels = repeated(raster, times, view)
        start = time.perf_counter()
        child = subprocess.Popen([sys.executable, "-c", RUN, str(view), str(output)])
        _, status, used = os.wait4(child.pid, 0)
        if status:
            sys.exit(f"vectorizing {times} × {times} failed")
        seconds = time.perf_counter() - start
        count = pq.ParquetFile(output).metadata.num_rows
        return pixels / 1e9, count, seconds, used.ru_maxrss / 1024, output.stat().st_size


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("probabilities", type=Path)
    parser.add_argument("--times", type=int, nargs="+", default=[1, 2, 3])
    arguments = parser.parse_args()
    print("| Gpx | polygons | seconds | peak MiB | bytes a polygon |\n|---|---|---|---|---|")
    found = []
    for times in arguments.times:
        pixels, count, seconds, peak, size = measure(arguments.probabilities.absolute(), times)
        print(f"| {pixels:.2f} | {count:,} | {seconds:.1f} | {peak:,.0f} | {size / count:.0f} |", flush=True)
        found.append((count, peak))
    if len(found) > 1:
        slope, _ = np.polyfit(*np.array(found).T, 1)
        print(f"\n{slope * 1e6 / 1024:.2f} GiB a million polygons")


if __name__ == "__main__":
    main()
