"""The page of a class mask or of probabilities: map, histograms, settings, card."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA
from geoseg.errors import GeosegError, SceneError
from geoseg.evaluation.opening import open_side
from geoseg.evaluation.sides import ProbabilitySide
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach import open_input
from geoseg.geo.tiles import Tiles
from geoseg.polygons import vectorize
from geoseg.report.page_card import card_section
from geoseg.report.page_classes import Counted, classes_section, find_card, look_at
from geoseg.report.page_map import Map, Named
from geoseg.report.page_pack import Polygons
from geoseg.report.page_parts import Html, element, folded, pairs, section, text
from geoseg.report.page_polygons import SHOWN, histograms, read_polygons
from geoseg.report.page_raster import certainty, read_codes, read_picture
from geoseg.report.page_write import Page

SCENES, VECTORS = (".tif", ".tiff", ".TIF", ".vrt", ".jp2"), (".gpkg", ".geojson", ".fgb", ".parquet")

log = logging.getLogger(__name__)

Scene = tuple[NDArray[np.uint8], NDArray[np.bool_]]
N = TypeVar("N", str, Path)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Beside:
    """The files that belong to a raster; None for what there is not.

    Attributes:
        scene: that it was made of, anything GDAL opens.
        probabilities: of its classes.
        polygons: drawn from it.
    """

    scene: str | None = None
    probabilities: Path | None = None
    polygons: Path | None = None


def found_beside(raster: Path) -> Beside:
    """What lies beside a raster under the names that `geoseg predict` and `batch` give, or the user would."""
    stem = raster.stem.removesuffix("_mask").removesuffix("_probabilities")

    def first(names: Iterable[str]) -> Path | None:
        paths = (raster.with_name(name) for name in names)
        return next((path for path in paths if path != raster and path.is_file()), None)

    return Beside(
        None if (scene := first(f"{stem}{ending}" for ending in SCENES)) is None else str(scene),
        raster if raster.stem.endswith("_probabilities") else first([f"{stem}_probabilities.tif"]),
        first(f"{name}{ending}" for name in (f"{stem}_polygons", raster.stem, stem) for ending in VECTORS),
    )


def prediction_page(
    raster: Path,
    given: Beside,
    model: str | Path | None = None,
    draw: bool = True,
    allow_remote: bool = False,
) -> Page:
    """Put a page together.

    Args:
        raster: a class mask or probabilities.
        given: its files as far as the user names them; the others are looked for beside it.
        model: the bundle whose card is shown; the one that the raster names when None.
        draw: draw polygons when there are none.
        allow_remote: follow what the scene's content points at, see `geo.reach`.

    Raises:
        GeosegError: when a file that was given cannot be used; one that was found is left out then.
    """
    card, found = find_card(raster, model), found_beside(raster)
    seen = look_at(raster, card)
    box, shape = seen.box, seen.labels.shape[:2]
    scene = _tried(given.scene, found.scene, lambda path: _scene(path, box, allow_remote))
    sure = _tried(given.probabilities, found.probabilities, lambda path: _certainty(path, shape))
    polygons, classes, origin = _polygons(raster, given, found, seen, draw)
    unit = "m²" if box.side_m() else "px"
    drawn = polygons is not None and len(polygons.kinds) > 0
    return Page(
        title=raster.name, kind="Prediction", figures=_figures(seen, polygons),
        lead=card.summary if card is not None else "A raster of classes.",
        sections=[
            *([histograms(polygons, classes, unit)] if drawn and polygons is not None else []),
            classes_section(seen, polygons, unit), _settings(raster, origin),
            *([card_section(card)] if card is not None else []),
        ],
        map=Map(box, shape, classes, scene, seen.labels, certainty=sure, polygons=polygons, unit=unit),
    )  # fmt: skip


def _scene(path: str, box: GeoBox, allow_remote: bool) -> Scene | None:
    if Tiles.parse(path) is not None:
        log.warning("the page shows no scene: its map tiles would have to be fetched once more")
        return None
    return read_picture(path, box, allow_remote=allow_remote)


def _tried(given: N | None, found: N | None, read: Callable[[N], T]) -> T | None:
    """What is read of the file that was given, or else of the one that was found, if it can be used."""
    if given is not None:
        return read(given)
    try:
        return None if found is None else read(found)
    except GeosegError as error:
        log.warning("left out of the page: %s", error)
        return None


def _certainty(path: Path, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """The highest probability, at half the size of the preview."""
    with open_side(path) as side:
        if not isinstance(side, ProbabilitySide):
            raise SceneError(f"{path}: it holds no probabilities; give what predict --probabilities wrote")
        bands = [one.band for one in side.bands if one.name.lower() != "background"]
        half = -(-shape[0] // 2), -(-shape[1] // 2)
        return certainty(read_codes(side.reader.dataset, bands, half, side.coded))


def _polygons(
    raster: Path, given: Beside, found: Beside, seen: Counted, draw: bool
) -> tuple[Polygons | None, list[Named], str]:
    """Polygons, the classes with those that only they have, and where they come from."""

    def read(path: Path) -> tuple[Polygons, list[Named]]:
        return read_polygons(path, seen.box, seen.classes)

    if (held := _tried(given.polygons, found.polygons, read)) is not None:
        return *held, (given.polygons or found.polygons or raster).name
    if not draw or seen.box.gcps or not seen.counts[1:NODATA].any():
        return None, seen.classes, "none"
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder) / "polygons.gpkg"
        done = vectorize(given.probabilities or found.probabilities or raster, drawn)
        if not sum(done.polygons.values()):
            return None, seen.classes, "none"
        return *read(drawn), "drawn for this page, as geoseg vectorize does"


def _figures(seen: Counted, polygons: Polygons | None) -> dict[str, object]:
    side, (height, width) = seen.box.side_m(), seen.box.shape
    figures: dict[str, object] = {"pixels": f"{width:,} × {height:,}"}
    if side:
        figures |= {"pixel size": f"{side:.3g} m", "ground with data": _ground(seen.known * side**2)}
    if len(seen.classes) <= SHOWN and seen.known:
        figures |= {name: f"{seen.counts[k] / seen.known:.1%}" for k, (name, _) in enumerate(seen.classes, 1)}
    if polygons is not None:
        figures["polygons"] = f"{len(polygons.kinds):,}"
    return figures


def _ground(area_m2: float) -> str:
    return f"{area_m2 / 1e6:.3g} km²" if area_m2 >= 1e6 else f"{area_m2 / 1e4:.3g} ha"


def _settings(raster: Path, polygons: str) -> Html:
    """What the raster says of itself."""
    with open_input(raster) as dataset:
        tags = {key[7:].replace("_", " ").lower(): value for key, value in dataset.tags().items()
                if key.startswith("GEOSEG_") and value}  # fmt: skip
        about = {
            "raster": raster.name, "polygons": polygons,
            "size": f"{dataset.width} × {dataset.height} px, {dataset.count} × {dataset.dtypes[0]}",
            "CRS": dataset.crs.to_string() if dataset.crs else "none",
            "bounds": " ".join(f"{value:.10g}" for value in dataset.bounds),
        }  # fmt: skip
    sums = "\n".join(tags.pop("model sha256", "").split())
    more = folded("Checksums of the model's files", element("pre", text(sums))) if sums else Html("")
    return section("Settings", pairs(about | tags), more)
