"""Speed and memory of geoseg beside the ways in which others predict a scene, with the same network.

    python benchmarks/peers.py SCENE.tif [--nodata 255] [--model NAME | --recipe FILE] [--part HEIGHTxWIDTH]
    pip install --no-deps --target PEERS geodeep==0.9.13 tiler==0.6.0, and PYTHONPATH=PEERS, to have them too

Needs onnxruntime and TensorFlow. Everybody gets patches of the same size from the scene's own pixels, without
median blur, in a process of its own:

- geoseg: engine and precision by itself, blended, classes as a COG, without the quicklook and styles that
  nobody else makes; also without overlap, as the seed way is, and with polygons to GeoJSON, as geodeep
  makes them;
- the seed way: the image in memory, one `predict` of Keras a patch, no overlap, TensorFlow in float32;
- geodeep: the PyPI package with our network as it reads it, the same overlap, to GeoJSON;
- tiler: the PyPI package with ONNX Runtime as people write it by hand: image, sums and weights in memory;
- bare passes: what the forward passes of geoseg's patches take alone, on its engine: the limit.

No process imports what its way does not need. Work is from the loaded network to the written result, wall is
the whole process. --recipe takes a network with random weights from a recipe. Its mask is noise, which is
nothing to draw polygons of: that is measured with a trained model only. --part takes the middle of the scene
for everybody.
"""

from __future__ import annotations

import argparse
import importlib.util
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from measure import Run, alone, median_run, mib, sides, table, write_scene
from numpy.typing import NDArray

WANTED = {"speed": 8.0, "wall": 4.0, "geodeep": 3.5}  # with the bundled model
WANTED_RECIPE = {"speed": 5.0, "wall": 2.8}  # with the largest network, of street_unet_128.toml
BATCH = 8
FINEST = 1e-6  # cm per pixel: finer than any scene, so that geodeep does not resample
OURS, FLAT, DRAWN = "geoseg", "geoseg, no overlap", "geoseg, to GeoJSON"
SEED, GEODEEP, TILER, BARE = "seed way", "geodeep", "tiler + ONNX Runtime", "bare passes"
PACKAGES = {GEODEEP: "geodeep", TILER: "tiler"}
POLYGONS = (DRAWN, GEODEEP)

Row = dict[str, float]
Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Task:
    """What is the same for all.

    Attributes:
        scene: the file.
        folder: for outputs, and the network as geodeep reads it.
        model: a bundle's name or folder.
        onnx: the bundle's network as ONNX Runtime reads it.
        thresholds: one for each class; empty where the most probable one counts.
        channels: classes.
        nodata: a value that means no data, which geoseg alone knows of.
        patch_size: pixels.
        overlap: pixels, for those who overlap.
        engine: of geoseg.
        precision: of geoseg.
    """

    scene: str
    folder: Path
    model: str
    onnx: Path
    thresholds: tuple[float, ...]
    channels: int
    nodata: float | None
    patch_size: int
    overlap: int
    engine: str
    precision: str

    @property
    def tool_onnx(self) -> Path:
        """The network as geodeep reads it."""
        return self.folder / "tool.onnx"

    def ready(self, overlap: int) -> Any:
        """The model loaded by geoseg."""
        from geoseg.api import load

        return load(self.model, engine=self.engine, precision=self.precision, res="native", median_blur=0,
                    patch_size=self.patch_size, overlap=overlap)  # fmt: skip


# ------------------------------------------------------------------------------------- contestants


def run_geoseg(task: Task, overlap: int, polygons: bool = False) -> Row:
    """`geoseg.predict`."""
    from geoseg.api import predict

    ready, start = task.ready(overlap), time.perf_counter()
    target = task.folder / "geoseg.geojson" if polygons else None
    done = predict(task.scene, task.folder / "geoseg.tif", model=ready, nodata=task.nodata,
                   polygons=target, quicklook=False, styles=False, overwrite=True)  # fmt: skip
    return {"patches": done.patches, "work": time.perf_counter() - start}


def run_seed(task: Task) -> Row:
    """The notebooks that geoseg grew out of."""
    import cv2

    from geoseg.models.bundle import find_bundle
    from geoseg.runtime.keras_engine import start_keras

    start_keras()
    model, size = find_bundle(task.model).load_keras(), task.patch_size
    start = time.perf_counter()
    image = read_image(task.scene)
    image = np.pad(image, [(0, -image.shape[0] % size), (0, -image.shape[1] % size), (0, 0)])
    mask = np.zeros(image.shape[:2], np.uint8)
    places = list(np.ndindex(image.shape[0] // size, image.shape[1] // size))
    for row, col in places:
        here = slice(row * size, (row + 1) * size), slice(col * size, (col + 1) * size)
        answer = model.predict(image[here][None], verbose=0)
        mask[here] = classes(answer[-1] if isinstance(answer, list) else answer, task)[0]
    cv2.imwrite(str(task.folder / "seed.png"), mask)
    return {"patches": len(places), "work": time.perf_counter() - start}


def run_geodeep(task: Task) -> Row:
    """The package `geodeep`, which loads the network in the same call."""
    import geodeep
    from geodeep.slidingwindow import generate_for_size

    start = time.perf_counter()
    text = geodeep.run(task.scene, str(task.tool_onnx), output_type="geojson", resolution=FINEST)
    (task.folder / "geodeep.geojson").write_text(text, encoding="utf-8")
    work = time.perf_counter() - start
    with rasterio.open(task.scene) as file:
        share = task.overlap / task.patch_size
        windows = generate_for_size(file.width, file.height, task.patch_size, share, clip=False)
    return {"patches": len(windows), "work": work}


def run_tiler(task: Task) -> Row:
    """The package `tiler` around ONNX Runtime."""
    import onnxruntime
    from tiler import Merger, Tiler

    session = onnxruntime.InferenceSession(str(task.onnx))
    start, size = time.perf_counter(), task.patch_size
    image = read_image(task.scene)
    cut = Tiler(image.shape, (size, size, image.shape[2]), overlap=task.overlap, channel_dimension=2,
                mode="reflect")  # fmt: skip
    joined = Tiler((*image.shape[:2], task.channels), (size, size, task.channels), overlap=task.overlap,
                   channel_dimension=2)  # fmt: skip
    merger = Merger(joined, window="hann")
    for number, batch in cut(image, batch_size=BATCH):
        merger.add_batch(number, BATCH, session.run(None, {"pixels": batch.astype(np.float32)})[0])
    write_mask(task, classes(merger.merge(unpad=True), task))
    return {"patches": len(cut), "work": time.perf_counter() - start}


def run_bare(task: Task, patches: float) -> Row:
    """That many forward passes, timed on a batch from the middle of the scene."""
    from efficiency import first_batch, seconds_per_patch

    from geoseg.jobs import SceneJob

    ready = task.ready(task.overlap)
    job = SceneJob(task.scene, task.folder / "none.tif", nodata=task.nodata)
    seconds, _ = seconds_per_patch(ready.engine, first_batch(job, ready))
    return {"patches": patches, "work": patches * float(seconds)}


def read_image(scene: str) -> Bytes:
    """The whole image, (height, width, 3)."""
    with rasterio.open(scene) as file:
        return np.ascontiguousarray(file.read((1, 2, 3)).transpose(1, 2, 0))


def classes(answer: NDArray[np.float32], task: Task) -> Bytes:
    """Class numbers from 1 on of probabilities (..., classes), 0 below the thresholds."""
    best = answer.argmax(-1).astype(np.uint8) + np.uint8(1)
    if not task.thresholds:
        return best
    return np.where((answer >= task.thresholds).any(-1), best, np.uint8(0))


def write_mask(task: Task, mask: Bytes) -> None:
    """A GeoTIFF on the scene's ground."""
    with rasterio.open(task.scene) as file:
        profile = dict(driver="GTiff", crs=file.crs, transform=file.transform, height=mask.shape[0],
                       width=mask.shape[1], count=1, dtype="uint8", compress="deflate")  # fmt: skip
    with rasterio.open(task.folder / "tiler.tif", "w", **profile) as file:
        file.write(mask, 1)


def write_tool_onnx(task: Task) -> None:
    """The network as `geoseg model export --to onnx` writes it, for the patches of the task."""
    from geoseg.models.bundle import find_bundle
    from geoseg.runtime.keras_engine import start_keras

    start_keras()
    from geoseg.models.export import to_tool_onnx

    bundle = find_bundle(task.model)
    card = replace(bundle.card, patch_size=task.patch_size, overlap=task.overlap)
    task.tool_onnx.write_bytes(to_tool_onnx(bundle.load_keras(), card).SerializeToString())


# ---------------------------------------------------------------------------------------- measuring


def measured(task: Task, names: list[str], rounds: int) -> Iterator[tuple[str, Run]]:
    """Everybody's median run; geoseg comes first."""
    ways: dict[str, tuple[Callable[..., Row], tuple[Any, ...]]] = {
        OURS: (run_geoseg, (task, task.overlap)),
        FLAT: (run_geoseg, (task, 0)),
        DRAWN: (run_geoseg, (task, task.overlap, True)),
        SEED: (run_seed, (task,)),
        GEODEEP: (run_geodeep, (task,)),
        TILER: (run_tiler, (task,)),
    }
    found: dict[str, list[Run]] = {name: [] for name in names}
    for _ in range(rounds):
        for name in names:
            work, arguments = ways.get(name) or (run_bare, (task, found[OURS][0].answer["patches"]))
            try:
                found[name].append(alone(work, *arguments))
            except BrokenProcessPool:
                print(f"{name}: killed, most likely for want of memory; left out", flush=True)
    yield from ((name, median_run(runs)) for name, runs in found.items() if runs)


def invited(options: argparse.Namespace) -> list[str]:
    """Who takes part, in the table's order."""
    names = [OURS, FLAT, DRAWN, SEED, GEODEEP, TILER, BARE]
    if options.recipe:
        names = [name for name in names if name not in POLYGONS]
    for name, package in PACKAGES.items():
        if name in names and importlib.util.find_spec(package) is None:
            print(f"{name}: left out; pip install --no-deps --target PEERS {package}, PYTHONPATH=PEERS")
            names.remove(name)
    return [name for name in names if name == OURS or not options.only or name in options.only]


def ratios(runs: dict[str, Run], wanted: dict[str, float]) -> Iterator[tuple[str, str, str]]:
    """The claims: what, got, wanted."""
    ours = runs[OURS]

    def speed(run: Run) -> float:
        return float(run.answer["patches"] / run.answer["work"])

    def least(name: str) -> str:
        return f"≥ {wanted[name]}" if name in wanted else "–"

    for other in (name for name in (SEED, TILER) if name in runs):
        bounds = (least("speed"), least("wall")) if other == SEED else ("–", "–")
        yield f"patches per second, geoseg ÷ {other}", f"{speed(ours) / speed(runs[other]):.2f}", bounds[0]
        yield f"wall, {other} ÷ geoseg", f"{runs[other].wall / ours.wall:.2f}", bounds[1]
    if SEED in runs and FLAT in runs:
        got = runs[SEED].wall / runs[FLAT].wall
        yield f"wall, {SEED} ÷ {FLAT}", f"{got:.2f}", "–"
    if GEODEEP in runs and DRAWN in runs:
        got = runs[GEODEEP].wall / runs[DRAWN].wall
        yield f"wall, {GEODEEP} ÷ {DRAWN}", f"{got:.2f}", least("geodeep")
    for other in (name for name in (SEED, GEODEEP, TILER) if name in runs):
        mine = runs.get(DRAWN, ours) if other == GEODEEP else ours
        yield f"peak memory, {other} ÷ geoseg", f"{runs[other].peak / mine.peak:.2f}", "> 1"
    if BARE in runs:
        share = runs[BARE].answer["work"] / ours.answer["work"]
        yield "bare passes ÷ work of geoseg", f"{share:.3f}", "–"


def row(name: str, run: Run, pixels: int) -> tuple[str, ...]:
    """A line of the table."""
    patches, work = run.answer["patches"], run.answer["work"]
    wall, peak = ("–", "–") if name == BARE else (f"{run.wall:.1f}", mib(run.peak))
    return (name, f"{patches:,}", wall, f"{work:.1f}", f"{patches / work:.1f}", f"{pixels / work / 1e6:.2f}",
            peak)  # fmt: skip


def task_of(options: argparse.Namespace, folder: Path) -> Task:
    """Cut the part and make the network, where they are asked for."""
    from networks import recipe_bundle

    from geoseg.models.bundle import ONNX_FILE, find_bundle

    scene, model = options.scene, options.model
    if options.part:
        scene = str(folder / "part.tif")
        alone(write_scene, options.scene, Path(scene), options.part)
    if options.recipe:
        model = str(folder / options.recipe.stem)
        print(f"{alone(recipe_bundle, Path(model), options.recipe).answer:,} random weights")
    bundle = find_bundle(model)
    thresholds = () if bundle.card.activation == "softmax" else bundle.card.thresholds
    return Task(scene, folder, model, bundle.file(ONNX_FILE), thresholds, len(bundle.card.classes),
                options.nodata, options.patch_size, options.overlap, options.engine,
                options.precision)  # fmt: skip


def main() -> None:
    """Print the ratios, then the table they come from."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("scene")
    parser.add_argument("--nodata", type=float)
    parser.add_argument("--model", default="buildings-trees")
    parser.add_argument("--recipe", type=Path, help="instead of a model: a network with random weights")
    parser.add_argument("--part", type=sides, help="HEIGHTxWIDTH in the middle; all by default")
    parser.add_argument("--patch-size", type=int, default=256)
    parser.add_argument("--overlap", type=int, default=64)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--rounds", type=int, default=1, help="of all in turn; the median run counts")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="these besides geoseg, as in the table")
    options = parser.parse_args()
    names = invited(options)
    with tempfile.TemporaryDirectory() as name:
        task = task_of(options, Path(name))
        if GEODEEP in names:
            alone(write_tool_onnx, task)
        with rasterio.open(task.scene) as file:
            height, width = file.shape
        runs = dict(measured(task, names, options.rounds))
    measured_on = f"the middle {height:,} × {width:,} px" if options.part else f"{height:,} × {width:,} px"
    print(f"{measured_on}, patches of {task.patch_size} px, overlap {task.overlap} px\n")
    wanted = WANTED_RECIPE if options.recipe else WANTED
    print(table(("ratio", "got", "wanted"), ratios(runs, wanted)))
    head = ("", "patches", "wall s", "work s", "patches/s", "Mpx/s", "peak MiB")
    print("\n" + table(head, (row(name, run, height * width) for name, run in runs.items())))


if __name__ == "__main__":
    main()
