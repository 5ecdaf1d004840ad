"""What the page of a large scene takes: to write it, on the disk, and to open it in Chromium.

    python benchmarks/page.py SCENE [--size 5000x5000] [--times 2x2] [--polygons 100000] [--rounds 3]

Repeats the middle of SCENE of that size so many times down and across, in a temporary folder, and makes a
mask and polygons of as many L-shaped buildings and round trees of 5 to 13 px on it; a fresh process then
writes the page. Chromium, headless and
without a GPU, opens it if it and its driver are there (apt-get install chromium chromium-driver, pip install
selenium); times are the processor's, of all its processes: until the first picture, for drawing all polygons
anew, and for a hundred looks at what lies under the pointer.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import psutil
import rasterio
import shapely
from affine import Affine
from measure import alone, median_run, sides, write_scene
from rasterio.features import rasterize

READY = (
    "const done = arguments[0]; const wait = () => document.getElementById('frame').dataset.ready ?"
    " requestAnimationFrame(() => requestAnimationFrame(() => done())) : setTimeout(wait, 20); wait();"
)
DEEDS = {
    "drawing all anew": "version++; paint(); return ctx.getImageData(1, 1, 1, 1).data[0];",
    "100 looks": "for (let i = 0; i < 100; i++) facts((i * width) / 100, height / 2);",
}


def shapes(count: int, size: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    """Class and outline of each polygon, in pixels, on a lattice over the scene."""
    random = np.random.default_rng(1)
    corner = np.array([(-1, -1), (1, -1), (1, 0), (0.3, 0), (0.3, 1), (-1, 1)])
    turn = np.linspace(0, 2 * np.pi, 16, endpoint=False)
    columns = int(np.sqrt(count * size[1] / size[0])) + 1
    step = size[1] / columns
    for k in range(count):
        if random.random() < 0.6:
            name, points = "building", corner * random.uniform(5, 13, 2)
        else:
            radius = random.uniform(5, 13) * (1 + 0.15 * random.standard_normal(16))
            name, points = "tree", np.stack([np.cos(turn), np.sin(turn)], -1) * radius[:, None]
        angle = random.uniform(0, np.pi)
        turned = points @ np.array([(np.cos(angle), np.sin(angle)), (-np.sin(angle), np.cos(angle))])
        yield name, shapely.Polygon(turned + np.array([k % columns + 0.5, k // columns + 0.5]) * step)


def write_inputs(
    folder: Path, source: str, part: tuple[int, int], times: tuple[int, int], count: int
) -> tuple[int, int]:
    """`scene.tif`, `scene_mask.tif` and `scene_polygons.gpkg`; returns their height and width."""
    write_scene(source, folder / "scene.tif", part, times)
    with rasterio.open(folder / "scene.tif") as scene:
        size, transform, crs = scene.shape, scene.transform, scene.crs
    names, outlines = zip(*shapes(count, size), strict=True)
    a, _, c, _, e, f = tuple(transform)[:6]
    placed = shapely.transform(np.array(outlines), lambda points: points * (a, e) + (c, f))
    confidence = np.random.default_rng(2).beta(8, 2, count).clip(0.5)
    table = {"class": names, "area_m2": shapely.area(placed), "confidence": confidence}
    geopandas.GeoDataFrame(table, geometry=placed, crs=crs).to_file(folder / "scene_polygons.gpkg")
    pairs = zip(outlines, [1 + (name == "tree") for name in names], strict=True)
    mask = rasterize(pairs, size, transform=Affine.identity(), dtype="uint8")
    profile = dict(driver="COG", height=size[0], width=size[1], count=1, dtype="uint8", nodata=255, crs=crs,
                   transform=transform, overview_resampling="mode")  # fmt: skip
    with rasterio.open(folder / "scene_mask.tif", "w", **profile) as file:
        file.write(mask, 1)
        file.update_tags(GEOSEG_CLASSES="building tree", GEOSEG_MODEL="buildings-trees")
    return size


def write_page(folder: Path) -> int:
    """The page's bytes."""
    from geoseg import write_report

    return write_report(folder / "scene_mask.tif", folder / "page.html", overwrite=True).stat().st_size


def opened(page: Path) -> Iterator[tuple[str, float]]:
    """Processor seconds of what is done with a page in Chromium, by name."""
    from selenium import webdriver
    from selenium.webdriver.chrome.service import Service

    options, service = webdriver.ChromeOptions(), Service(shutil.which("chromedriver"))
    options.binary_location = str(shutil.which("chromium"))
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1280,900"):  # fmt: skip
        options.add_argument(argument)
    driver = webdriver.Chrome(options=options, service=service)
    driver.set_script_timeout(600)

    def spent() -> float:
        family = psutil.Process(service.process.pid).children(recursive=True)
        return sum(sum(process.cpu_times()[:2]) for process in family)

    try:
        start = spent()
        driver.get(page.as_uri())
        driver.execute_async_script(READY)
        yield "first picture", spent() - start
        for name, deed in DEEDS.items():
            start = spent()
            driver.execute_script(deed)
            yield name, spent() - start
    finally:
        driver.quit()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("scene")
    parser.add_argument("--size", type=sides, default=(5000, 5000))
    parser.add_argument("--times", type=sides, default=(2, 2))
    parser.add_argument("--polygons", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_inputs(folder, given.scene, given.size, given.times, given.polygons)
        run = median_run(alone(write_page, folder) for _ in range(given.rounds))
        print(f"page of {size[0]} × {size[1]} px and {given.polygons:,} polygons")
        print(f"written in {run.wall:.1f} s, {run.peak / 2**30:.2f} GiB, {run.answer / 1e6:.1f} MB")
        if shutil.which("chromium") and shutil.which("chromedriver"):
            for what, seconds in opened(folder / "page.html"):
                print(f"{what}: {seconds:.2f} s of the processor")


if __name__ == "__main__":
    main()
