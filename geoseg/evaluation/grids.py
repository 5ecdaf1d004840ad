"""The grid of a comparison, and lengths on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from geoseg.errors import GridError, SceneError
from geoseg.evaluation.options import Options
from geoseg.evaluation.sides import PolygonSide, Side
from geoseg.geo.aligned import plane_over
from geoseg.geo.geobox import GeoBox


def grid_of(ours: Side, theirs: Side | None, chosen: Options) -> GeoBox:
    """The grid to compare on: the prediction's, else the truth's, else one over the polygons.

    Args:
        ours: the prediction.
        theirs: the truth; None when it is points.
        chosen: with `res_m` and `bounds`.

    Raises:
        GeosegError: when there is no such grid.
    """
    box = ours.box or (None if theirs is None else theirs.box)
    if box is not None and chosen.res_m is not None:
        raise GridError("--res is for two vector files; a raster is compared on its own grid, leave it out")
    if box is None:
        frames = [side.frame for side in (ours, theirs) if isinstance(side, PolygonSide)]
        box = plane_over(_together(frames, ours.path), chosen.res_m, ours.path)
    return box if chosen.bounds is None else box.window(box.window_of(chosen.bounds))


def _together(frames: list[Any], path: Path) -> Any:
    """The features of vector files, in the CRS of the first."""
    import pandas as pd

    crs = frames[0].crs
    if any((frame.crs is None) != (crs is None) for frame in frames):
        raise SceneError(f"{path}: no CRS on one side; give both files theirs with ogr2ogr -a_srs")
    return pd.concat([(frame if crs is None else frame.to_crs(crs))[["geometry"]] for frame in frames])


def tolerance_px(chosen: Options, box: GeoBox) -> float:
    """How far boundary pixels may be apart, px."""
    if chosen.tolerance_m is None:
        return chosen.tolerance
    return pixels_of(chosen.tolerance_m, box, "--tolerance-m", "--tolerance")


def pixels_of(metres: float, box: GeoBox, option: str, instead: str) -> float:
    """A length in pixels; an option and what to do instead are named when they have no known size."""
    side = box.side_m()
    if side is None:
        raise GridError(f"{option} needs the size of a pixel, and the grid has no CRS; {instead}")
    return metres / side
