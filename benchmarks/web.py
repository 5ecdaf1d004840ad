"""Web maps of a finished run: seconds, processor seconds and peak memory of `geoseg web`.

    python benchmarks/web.py MASK POLYGONS

MASK is a class mask (MBTiles and a folder of tiles are made of it), POLYGONS a vector file (PMTiles). Every
map is made by a process of its own.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyogrio
import rasterio

RUN = "import sys; from geoseg.api import web; web(*sys.argv[1:])"


def measure(source: str, output: Path) -> tuple[float, float, float]:
    """Seconds, processor seconds, peak MiB."""
    start = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-c", RUN, source, str(output)])
    _, status, used = os.wait4(child.pid, 0)
    if status:
        sys.exit(f"{output.name} failed")
    return time.perf_counter() - start, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024


def main() -> None:
    """Measure and print."""
    mask, polygons = sys.argv[1:]
    with rasterio.open(mask) as file:
        pixels = file.height * file.width / 1e6
    count = pyogrio.read_info(polygons)["features"]
    print("| map | seconds | processor s | a processor second | peak MiB | MB |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name, source, amount, unit in (
            ("map.mbtiles", mask, pixels, "Mpx"), ("tiles", mask, pixels, "Mpx"),
            ("map.pmtiles", polygons, count, "polygons"),
        ):  # fmt: skip
            output = Path(folder, name)
            wall, cpu, peak = measure(source, output)
            files = [output] if output.is_file() else [path for path in output.rglob("*") if path.is_file()]
            size = sum(path.stat().st_size for path in files) / 1e6
            rate = f"{amount / cpu:,.0f} {unit}"
            print(f"| {name} | {wall:.1f} | {cpu:.1f} | {rate} | {peak:,.0f} | {size:.1f} |", flush=True)


if __name__ == "__main__":
    main()
