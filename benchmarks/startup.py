"""How long a small scene takes from the shell, and what is imported for it.

    python benchmarks/startup.py [SCENE.tif] [--size 512] [--rounds 5] [--options="--engine openvino"]

`geoseg predict SCENE -o MASK` as a command, on the middle of the sample scene by default. The first call
warms the disk and does not count. Then one more call tells what Python imported on the way and how long that
took.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from measure import alone, table, write_scene

SAMPLE = Path(__file__).resolve().parents[1] / "sample_data" / "suburb.tif"
LIMIT = 2.5  # seconds
CODE = "from geoseg.cli import main; main(prog_name='geoseg')"
NEVER = ("tensorflow", "keras", "jax", "torch")
FEW = 0.02  # seconds of own time, below which a library is not listed
LINE = re.compile(r"import time:\s*(\d+) \|\s*\d+ \|\s*([\w.]+)")


def program() -> list[str]:
    """The command as it is installed beside this Python; the same by Python where it is not."""
    script = shutil.which("geoseg", path=str(Path(sys.executable).parent))
    return [script] if script else [sys.executable, "-c", CODE]


def seconds(command: list[str]) -> float:
    """Wall time of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


def imports(words: list[str]) -> dict[str, float]:
    """Seconds that each library took to import its own modules, the slowest first."""
    command = [sys.executable, "-X", "importtime", "-c", CODE, *words]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    total: dict[str, float] = {}
    for own, module in LINE.findall(told):
        name = module.partition(".")[0]
        total[name] = total.get(name, 0.0) + int(own) / 1e6
    return dict(sorted(total.items(), key=lambda item: -item[1]))


def listed(found: dict[str, float]) -> Iterator[tuple[str, str]]:
    """The table of libraries that take time."""
    for name, spent in found.items():
        if spent >= FEW:
            yield name, f"{spent:.3f}"
    yield "all", f"{sum(found.values()):.3f}"


def main() -> None:
    """Print the median and the imports."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene", nargs="?", default=str(SAMPLE))
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--options", default="", help="more options of geoseg predict, in one text")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        scene = Path(name, "scene.tif")
        alone(write_scene, given.scene, scene, (given.size, given.size))
        words = ["-q", "predict", str(scene), "-o", str(Path(name, "mask.tif")), "--overwrite"]
        words += shlex.split(given.options)
        walls = [seconds([*program(), *words]) for _ in range(given.rounds + 1)][1:]
        found = imports(words)
    print(f"median of {given.rounds}: {statistics.median(walls):.2f} s (wanted: {LIMIT} or less); "
          f"all: {', '.join(f'{wall:.2f}' for wall in walls)}")  # fmt: skip
    there = [name for name in NEVER if name in found]
    print(f"imported of {', '.join(NEVER)}: {', '.join(there) or 'none'} (wanted: none)\n")
    print(table(("library", "s to import its own modules"), listed(found)))


if __name__ == "__main__":
    main()
