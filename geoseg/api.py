"""One line of Python for each command."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from geoseg.core.thresholds import Threshold
from geoseg.geo.tile_search import TileChoices, as_scenes
from geoseg.geo.tiling import TileJob, cut_tiles
from geoseg.halo import settle
from geoseg.jobs import SceneJob, mask_of, quicklook_of
from geoseg.memory import DEFAULT_LIMIT
from geoseg.models.bundle import DEFAULT, Bundle, find_bundle
from geoseg.prediction import Progress, Result, predict_scene
from geoseg.runtime.choose import load_engine
from geoseg.runtime.engine import Engine
from geoseg.runtime.keras_engine import start_keras
from geoseg.settings import Settings, Stitch, Tta

if TYPE_CHECKING:
    from geoseg.bulk.executors import Executor
    from geoseg.bulk.summary import Summary
    from geoseg.geo.tile_map import TileMap
    from geoseg.training.run import Trained
    from geoseg.vector.pmtiles import PolygonMap


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model ready to run: bundle, settings and engine."""

    bundle: Bundle
    settings: Settings
    engine: Engine


def load(
    model: str | Path = DEFAULT,
    *,
    stitch: Stitch = "blend",
    patch_size: int | None = None,
    overlap: int | None = None,
    median_blur: int | None = None,
    threshold: Threshold = None,
    res: Literal["model", "native"] | float = "model",
    tta: Tta = "none",
    tolerance: float = 1e-3,
    engine: str = "auto",
    precision: str = "auto",
    batch_size: int | None = None,
    level: int | None = None,
    example: SceneJob | None = None,
) -> Loaded:
    """Load a model once for many scenes.

    Args:
        model: a bundle's name or folder.
        stitch: `blend` overlapping patches, or crop them by the network's halo (`exact`) or by the halo
            that keeps `tolerance` (`crop`).
        patch_size: height and width of patches, pixels.
        overlap: pixels shared by neighbours when blending.
        median_blur: side of the median filter, pixels; 0 for none.
        threshold: one for all classes, one each, or some by the names of their classes, 0 … 1.
        res: `model`, `native` or metres.
        tta: `none`, `flips` or `d4`.
        tolerance: largest error of a probability that `crop` may leave, by the card's halo curve.
        engine: `auto`, `tensorflow`, `openvino` or `onnx`.
        precision: `auto`, or what to compute in: `float32`, or a faster one that the model's card allows.
        batch_size: patches per call of the network.
        level: head at which a UNet++ with deep supervision is cut off, 1 for L1; None for all of it.
        example: the scene on which `crop` measures the halo curve of a card that has none.
    """
    bundle = find_bundle(model)
    if level is not None:
        start_keras()
        bundle = bundle.at_level(level)
    settings = settle(
        bundle, example, tolerance=tolerance, engine=engine, stitch=stitch, patch_size=patch_size,
        overlap=overlap, median_kernel=median_blur, threshold=threshold, res=res, tta=tta,
    )  # fmt: skip
    settings.grid((1, 1))  # says now whether the numbers fit, before anything is loaded
    ready = load_engine(
        bundle, engine, precision=precision, patch_size=settings.patch_size, batch_size=batch_size
    )
    return Loaded(bundle, settings, ready)


def predict(
    scene: str | Path,
    output: str | Path | None = None,
    *,
    model: str | Path | Loaded = DEFAULT,
    probabilities: str | Path | None = None,
    polygons: str | Path | None = None,
    quicklook: bool = True,
    styles: bool = True,
    probability_dtype: Literal["uint8", "float32"] = "uint8",
    bidx: Sequence[int] | None = None,
    nodata: float | None = None,
    bounds: tuple[float, float, float, float] | None = None,
    cutline: str | Path | None = None,
    zoom: int | None = None,
    tms: bool = False,
    tile_cache: str | Path | None = None,
    allow_remote: bool = False,
    creation_options: Mapping[str, str] | None = None,
    max_memory: int = DEFAULT_LIMIT,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
    stage: Callable[[str], object] = lambda name: None,
    **settings: Any,
) -> Result:
    """Segment one scene into a class mask, and probabilities if asked for, as Cloud-Optimized GeoTIFFs.

    Args:
        scene: anything GDAL opens, a folder of z/x/y map tiles, an .mbtiles file, or an address of tiles.
        output: the class mask; `SCENE_mask.tif` in the current folder when None.
        model: a bundle's name or folder, or what `load` returned.
        probabilities: where to write probabilities.
        polygons: where to write polygons, drawn as by `geoseg vectorize`.
        quicklook: write a small picture beside the mask, `MASK_quicklook.png`.
        styles: write styles beside mask and polygons (.qml), so that QGIS opens them in their colours.
        probability_dtype: `uint8` for round(254·p), or `float32`.
        bidx: band numbers in the model's order; found by their names when None.
        nodata: a value that means no data, beside the file's own.
        bounds: left, bottom, right, top in the scene's CRS, in degrees for map tiles.
        cutline: a vector file outside whose polygons nothing is predicted.
        zoom: of map tiles; for this and the next two see `tile_search.TileChoices`.
        tms: see there.
        tile_cache: see there.
        allow_remote: follow what the scene's content points at, see `geo.reach`.
        creation_options: of GDAL's COG driver.
        max_memory: bytes to stay within.
        overwrite: replace outputs that exist.
        progress: called with the numbers of pixels finished since the last call and of all.
        stage: called with the name of each stage as it begins.
        **settings: as in `load`.

    Raises:
        GeosegError: one line that says what was wrong, what was got and what to do.
    """
    tiles = TileChoices(zoom, bounds, _path(cutline), tms, _path(tile_cache))
    (scene,), bounds = as_scenes([str(scene)], tiles)
    mask = _path(output) or mask_of(scene)
    job = SceneJob(
        scene=scene, mask=mask, probabilities=_path(probabilities), polygons=_path(polygons),
        quicklook=quicklook_of(mask) if quicklook else None, styled=styles,
        probability_dtype=probability_dtype, bidx=tuple(bidx) if bidx else None, nodata=nodata, bounds=bounds,
        cutline=_path(cutline), options=dict(creation_options or {}), max_memory=max_memory,
        overwrite=overwrite,
        allow_remote=allow_remote,
    )  # fmt: skip
    ready = model if isinstance(model, Loaded) else load(model, example=job, **settings)
    return predict_scene(job, ready.bundle, ready.settings, ready.engine, progress, stage)


def batch(
    sources: str | Path | Sequence[str | Path],
    folder: str | Path,
    *,
    model: str | Path = DEFAULT,
    executor: Executor = "serial",
    workers: int | None = None,
    scheduler: str | None = None,
    resources: Mapping[str, float] | None = None,
    shard: str | None = None,
    attempts: int = 3,
    resume: bool = False,
    overwrite: bool = False,
    web: Sequence[str] = (),
    progress: Progress = lambda done, total: None,
    **options: Any,
) -> Summary:
    """Segment many scenes, or one too large for a machine, into masks, probabilities and polygons.

    A script that uses worker processes keeps its own calls under `if __name__ == "__main__":`.

    Args:
        sources: files, folders, globs, lists (.txt, .csv), map tiles or names of GDAL's, see
            `bulk.sources.expand`.
        folder: of the outputs, `NAME_mask.tif` and so on, with the plan, the journal and the account.
        model: a bundle's name or folder.
        executor: `serial` for this process, `processes` for some of its own, or `dask`.
        workers: processes on this machine, each on its share of the cores.
        scheduler: address of a Dask scheduler; None for a cluster on this machine.
        resources: what a Dask worker must declare to be given networks to run, e.g. GPU: 1.
        shard: `I/N`, every N-th job from the I-th on; a run without it joins what the shards did.
        attempts: how often a job is tried.
        resume: go on with the run in `folder`, which must have been asked for the same.
        overwrite: begin again and replace outputs.
        web: `mbtiles`, `tiles` and `pmtiles` for maps of all scenes in `folder/web`, made when everything is
            done and nothing has failed.
        progress: called with the numbers of pixels finished since the last call and of all.
        **options: `probabilities` and `polygons` (True or a format), `chunk` (4096 px), `layout` (`whole`, or
            `chunks` to leave them under a VRT), and as in `predict` and `load`.

    Returns:
        The account; single jobs may have failed.

    Raises:
        GeosegError: when nothing can be done at all.
    """
    from geoseg.bulk.executors import open_crew
    from geoseg.bulk.folder import Shard, open_folder
    from geoseg.bulk.request import prepare
    from geoseg.bulk.run import run
    from geoseg.bulk.web import check_web, make_web_maps

    check_web(web, bool(options.get("polygons")))
    plan = prepare(sources, folder, model=model, **options)
    part = Shard.parse(shard)
    place, plan = open_folder(Path(folder), plan, part, resume=resume, overwrite=overwrite)
    crew = partial(open_crew, executor, workers, scheduler, resources)
    done = run(plan, place, crew, attempts=attempts, progress=progress)
    if part.whole and done.complete:
        make_web_maps(place.path, web)
    return done


def web(
    sources: str | Path | Sequence[str | Path], output: str | Path, **options: Any
) -> TileMap | PolygonMap:
    """Make a web map of class masks, polygons or a run of `batch`; options as in `bulk.web.make_web_map`.

    Returns:
        What the map holds.
    """
    from geoseg.bulk.web import make_web_map

    given = [sources] if isinstance(sources, (str, Path)) else sources
    return make_web_map([Path(source) for source in given], Path(output), **options)


def tile(scene: str | Path, folder: str | Path, **options: Any) -> int:
    """Cut a scene into patch files for training, with an index; the options are those of `TileJob`.

    Returns:
        The number of patches.
    """
    return cut_tiles(TileJob(str(scene), Path(folder), **options))


def train(recipe: str | Path, output: str | Path | None = None, **options: Any) -> list[Trained]:
    """Train a recipe into a bundle, or one for each of its variants; options as in `training.run.train`.

    Returns:
        What came out: folders, scores, times.
    """
    start_keras()
    from geoseg.training import run

    return run.train(recipe, output, **options)


def _path(given: str | Path | None) -> Path | None:
    return None if given is None else Path(given)
