"""The files of a report: error map, confusion matrix, scores."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from geoseg.core.window import whole
from geoseg.errors import OutputError
from geoseg.evaluation.compare import Labels
from geoseg.evaluation.result import Evaluation
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import cog
from geoseg.geo.strip_writer import RasterSpec
from geoseg.report.confusion import draw_confusion
from geoseg.report.errormap import COLORS, MEANINGS, draw_errormap
from geoseg.staging import check_absent, staged

SCORES = "scores.json"
PICTURES = ("errormap.tif", "errormap.png", "confusion.png")

Draw = Callable[[Labels], object]
Finish = Callable[[Evaluation], None]


def outputs_in(folder: Path, mapped: bool) -> tuple[Path, ...]:
    """The files of a report; without pixels of truth there is nothing to draw."""
    return tuple(folder / name for name in ((*PICTURES, SCORES) if mapped else (SCORES,)))


@contextmanager
def report(folder: Path | None, box: GeoBox, mapped: bool, overwrite: bool) -> Iterator[tuple[Draw, Finish]]:
    """Files that appear together when the `with` block ends well.

    Args:
        folder: where to; None for no report.
        box: the grid.
        mapped: whether there is an error map.
        overwrite: replace files that exist.

    Yields:
        What takes the strips of the error map, and what takes the result once they are all drawn.

    Raises:
        OutputError: when the files exist or cannot be written.
    """
    if folder is None:
        yield (lambda strip: None), (lambda result: None)
        return
    targets = outputs_in(folder, mapped)
    check_absent(targets, overwrite)
    with _folder(folder), staged(*targets, overwrite=overwrite) as drafts, ExitStack() as raster:
        draw: Draw = lambda strip: None  # noqa: E731
        if mapped:
            draw = raster.enter_context(cog(drafts[0], _spec(box)))(whole(box.shape)).append

        def finish(result: Evaluation) -> None:
            raster.close()
            drafts[-1].write_text(json.dumps(result.to_dict(), indent=2) + "\n", encoding="utf-8")
            if mapped:
                draw_errormap(drafts[0], drafts[1], confused=len(result.classes) > 1)
                names = ("background", *(one.name for one in result.classes))
                draw_confusion(result.confusion, names, drafts[2])

        yield draw, finish


@contextmanager
def _folder(folder: Path) -> Iterator[None]:
    """Make a folder; one that is new goes away again when the `with` block fails."""
    new = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}; choose another") from error
    try:
        yield
    except BaseException:
        if new:
            folder.rmdir()
        raise


def _spec(box: GeoBox) -> RasterSpec:
    return RasterSpec(box, ("error",), overviews="mode", colors=COLORS, categories=MEANINGS)
