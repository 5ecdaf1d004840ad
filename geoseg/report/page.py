"""`write_report`: one page about a raster, or about the folder of an evaluation, a training or a batch."""

from __future__ import annotations

from pathlib import Path

from geoseg.errors import SceneError
from geoseg.geo.gdal import session
from geoseg.report.page_batch import batch_page, is_batch
from geoseg.report.page_evaluation import evaluation_page, is_evaluation
from geoseg.report.page_prediction import Beside, prediction_page
from geoseg.report.page_training import is_training, training_page
from geoseg.report.page_write import Page, write_page
from geoseg.staging import check_absent


def write_report(
    source: str | Path,
    output: str | Path,
    *,
    scene: str | Path | None = None,
    probabilities: str | Path | None = None,
    polygons: str | Path | None = None,
    model: str | Path | None = None,
    draw: bool = True,
    allow_remote: bool = False,
    overwrite: bool = False,
) -> Path:
    """Write a page of HTML about a result, to be opened in a browser: one file that needs no network.

    A raster's page has a map with the scene, its classes and polygons, histograms, settings and the model's
    card; an evaluation's the errors, the scores and the worst tiles; a training's curves, scores and sheets;
    a batch's its coverage and failures. Large rasters are shown smaller; memory does not grow with them, but
    vector files are held whole.

    Args:
        source: a class mask, probabilities, or a folder that `evaluate`, `train` or `batch` wrote.
        output: the file to write, at most 15 MB large.
        scene: the image below; looked for beside a raster when None, none for an evaluation.
        probabilities: of a class mask; looked for beside it when None.
        polygons: of a raster; looked for beside it when None.
        model: a bundle's name or folder whose card is shown; the one that the raster names when None.
        draw: draw polygons as `vectorize` does when a raster has none.
        allow_remote: follow what the scene's content points at.
        overwrite: replace the file.

    Returns:
        The file.

    Raises:
        GeosegError: one line that says what was wrong, what was got and what to do.
    """
    place = Path(output)
    check_absent([place], overwrite)
    files = [None if path is None else Path(path) for path in (probabilities, polygons)]
    below = None if scene is None else str(scene)
    with session():
        source = Path(source)
        if source.is_dir():
            page = _folder(source, below)
        else:
            page = prediction_page(source, Beside(below, *files), model, draw, allow_remote)
    write_page(page, place, overwrite)
    return place


def _folder(folder: Path, scene: str | None) -> Page:
    if is_training(folder):
        return training_page(folder)
    if is_batch(folder):
        return batch_page(folder)
    if is_evaluation(folder):
        return evaluation_page(folder, scene)
    raise SceneError(
        f"{folder} is no folder that evaluate, train or batch has written, or they have not finished; "
        "give one of those, or a raster"
    )
