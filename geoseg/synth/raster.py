"""Polygons to pixels, by the rule that a pixel belongs to a polygon if its centre does."""

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt
import shapely
from shapely import Polygon

Float = npt.NDArray[np.float64]


def edges(polygon: Polygon) -> tuple[Float, Float]:
    """Start and end points, each (n, 2), of all edges of all rings."""
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    start = np.concatenate([ring[:-1] for ring in rings])
    end = np.concatenate([ring[1:] for ring in rings])
    return start, end


def cover(start: Float, end: Float, height: int, width: int) -> npt.NDArray[np.bool_]:
    """Pixels whose centre lies inside the rings (even-odd rule).

    Args:
        start: (n, 2) x, y of edge starts, in pixels; (0, 0) is the outer corner of the first pixel.
        end: (n, 2) x, y of edge ends.
        height: rows of the result.
        width: columns of the result.

    Returns:
        (height, width) bool, True inside. Edges may lie outside the result on any side.
    """
    low = np.where((start[:, 1] < end[:, 1])[:, None], start, end)
    high = np.where((start[:, 1] < end[:, 1])[:, None], end, start)
    first = np.clip(np.ceil(low[:, 1] - 0.5), 0, height).astype(np.int64)
    count = np.clip(np.ceil(high[:, 1] - 0.5), 0, height).astype(np.int64) - first
    edge = np.repeat(np.arange(len(low)), count)
    row = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count) + first[edge]
    low, high = low[edge], high[edge]
    x = low[:, 0] + (row + 0.5 - low[:, 1]) * (high[:, 0] - low[:, 0]) / (high[:, 1] - low[:, 1])
    column = np.clip(np.ceil(x - 0.5), 0, width).astype(np.int64)
    crossings = np.bincount(row * (width + 1) + column, minlength=height * (width + 1))
    inside = np.cumsum(crossings.reshape(height, width + 1), axis=1, dtype=np.int32)[:, :-1] & 1
    return inside.astype(np.bool_)


def window(polygon: Polygon, scale: float, top: int, height: int, width: int) -> tuple[slice, slice] | None:
    """Rows and columns of the canvas that a polygon (times ``scale``) touches; None if it misses.

    The canvas has ``height`` × ``width`` pixels, and its first row is row ``top`` of the scene.
    """
    left, up, right, down = (value * scale for value in polygon.bounds)
    rows = slice(max(int(up) - top, 0), min(int(down) + 1 - top, height))
    columns = slice(max(int(left), 0), min(int(right) + 1, width))
    return (rows, columns) if rows.start < rows.stop and columns.start < columns.stop else None


def inside(polygon: Polygon, scale: float, top: int, at: tuple[slice, slice]) -> npt.NDArray[np.bool_]:
    """Pixels of the canvas window ``at`` whose centre lies in the polygon times ``scale``."""
    rows, columns = at
    shift = np.array([columns.start, rows.start + top], dtype=np.float64)
    start, end = (points * scale - shift for points in edges(polygon))
    return cover(start, end, rows.stop - rows.start, columns.stop - columns.start)


def burn(mask: npt.NDArray[np.uint8], shapes: Iterable[Polygon], value: int) -> None:
    """Write ``value`` into every pixel of ``mask`` whose centre lies in one of ``shapes`` (pixels)."""
    for polygon in shapes:
        at = window(polygon, 1.0, 0, *mask.shape)
        if at is not None:
            mask[at][inside(polygon, 1.0, 0, at)] = value
