"""Web maps of what is finished: pictures of class masks, vector tiles of polygons."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

from geoseg.bulk.folder import PLAN
from geoseg.errors import BatchError, OutputError, SceneError
from geoseg.geo.tile_files import MBTILES
from geoseg.geo.tile_map import TileMap, write_tile_map
from geoseg.vector.pmtiles import PolygonMap, write_pmtiles

WebMap = Literal["mbtiles", "tiles", "pmtiles"]
Kind = Literal["mask", "polygons"]
Progress = Callable[[int, int], object]

PMTILES = ".pmtiles"
PLACES: Mapping[str, str] = {"mbtiles": "masks.mbtiles", "tiles": "masks", "pmtiles": "polygons.pmtiles"}
FOLDER = "web"  # of a run's own maps
ENDINGS: Mapping[Kind, tuple[str, ...]] = {
    "mask": (".tif", ".vrt"),
    "polygons": (".gpkg", ".geojson", ".fgb", ".parquet", ""),
}

log = logging.getLogger(__name__)


def make_web_map(
    sources: Sequence[Path], output: Path, *, min_zoom: int | None = None, max_zoom: int | None = None,
    overwrite: bool = False, progress: Progress = lambda done, total: None,
) -> TileMap | PolygonMap:  # fmt: skip
    """Make one map of many masks or many sets of polygons, wherever on the Earth they lie.

    Args:
        sources: class masks or vector files, or folders of runs, of which all masks or polygons are taken.
        output: .mbtiles or a folder for pictures of masks, .pmtiles for vector tiles of polygons.
        min_zoom: the lowest zoom; see `write_tile_map` and `write_pmtiles` for this and the next.
        max_zoom: the deepest.
        overwrite: replace what is there.
        progress: called with what was drawn of masks since the last call, and all.

    Raises:
        GeosegError: when a source is not what the map is made of, or the output cannot be written.
    """
    ending = output.suffix.lower()
    if ending not in ("", MBTILES, PMTILES):
        raise OutputError(f"{output}: a map is .mbtiles, .pmtiles or a folder, got {ending}; change the name")
    if ending == PMTILES:
        files = _expanded(sources, "polygons")
        return write_pmtiles(files, output, min_zoom=min_zoom, max_zoom=max_zoom, overwrite=overwrite)
    return write_tile_map(
        _expanded(sources, "mask"), output, min_zoom=min_zoom, max_zoom=max_zoom, overwrite=overwrite,
        progress=progress,
    )  # fmt: skip


def check_web(maps: Sequence[str], polygons: bool) -> None:
    """Refuse maps that a batch cannot make, before it begins.

    Raises:
        BatchError: when a map is unknown, or of polygons where there will be none.
    """
    for one in maps:
        if one not in get_args(WebMap):
            raise BatchError(f"a web map is one of {', '.join(get_args(WebMap))}, got {one}; choose one")
        if one == "pmtiles" and not polygons:
            raise BatchError("PMTiles are made of polygons, and none are asked for; add --polygons")


def make_web_maps(run: Path, maps: Sequence[str]) -> None:
    """Make maps of a run in its folder `web`; earlier ones are replaced.

    Args:
        run: the folder of a run in which everything is done.
        maps: of `mbtiles`, `tiles` and `pmtiles`.
    """
    for one in maps:
        place = run / FOLDER / PLACES[one]
        place.parent.mkdir(exist_ok=True)
        make_web_map([run], place, overwrite=True)


def _expanded(sources: Sequence[Path], kind: Kind) -> list[Path]:
    """The masks or polygons of sources, those of a run in the order of its plan."""
    return [
        path for source in sources
        for path in (_products(source, kind) if (source / PLAN).is_file() else [source])
    ]  # fmt: skip


def _products(run: Path, kind: Kind) -> list[Path]:
    """What there is of the masks or polygons of a run.

    Raises:
        SceneError: when there is nothing.
    """
    scenes = json.loads((run / PLAN).read_text(encoding="utf-8"))["scenes"]
    found = [_product(run / f"{scene['name']}_{kind}", ENDINGS[kind]) for scene in scenes]
    there = [path for path in found if path is not None]
    if not there:
        raise SceneError(f"the run {run} has no {kind}; finish it, and ask for --polygons if they are wanted")
    if len(there) < len(found):
        log.warning("%s: %d of %d scenes have no %s yet; the map lacks them", run, len(found) - len(there),
                    len(found), kind)  # fmt: skip
    return there


def _product(base: Path, endings: Sequence[str]) -> Path | None:
    places = (base.with_name(base.name + ending) for ending in endings)
    return next((place for place in places if place.exists()), None)
