"""Polygons and rasters as small integers, as the page's script unpacks them."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray

from geoseg.errors import GridError
from geoseg.report.page_parts import Html

STEPS = 32_000  # of the grid that corners lie on, along the longer side; differences fit into int16
UNKNOWN = 255  # code of a confidence that is not known
TYPES = {"uint8": "u1", "int16": "i2", "uint16": "u2", "uint32": "u4", "float32": "f4"}


def packed(values: NDArray[Any]) -> dict[str, str]:
    """An array for the page: little-endian, deflated, in base64, with the name of its type."""
    name = TYPES[values.dtype.name]
    data = np.ascontiguousarray(values, values.dtype.newbyteorder("<")).tobytes()
    return {"type": name, "bytes": base64.b64encode(zlib.compress(data, 9)).decode("ascii")}


def embedded(value: object) -> Html:
    """JSON that can stand inside a script element: nothing in it ends the element or opens a comment."""
    plain = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return Html(plain.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026"))


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Corners of polygons on a grid.

    Attributes:
        steps: (corners, 2) int16 (x, y) from one corner to the next, through all rings; at first from 0.
        corners: (rings,) uint32 number of corners; the first is not repeated at the end.
        rings: (n,) uint32 number of rings of each polygon.

    Raises:
        GridError: when the numbers do not fit together.
    """

    steps: NDArray[np.int16]
    corners: NDArray[np.uint32]
    rings: NDArray[np.uint32]

    def __post_init__(self) -> None:
        if self.corners.sum() != len(self.steps) or self.rings.sum() != len(self.corners):
            raise GridError(
                f"{len(self.steps)} corners in {len(self.corners)} rings are not as many as their counts say"
            )


def outlines(shapes: NDArray[Any], shape: tuple[int, int]) -> Outlines:
    """Polygons on the grid of `STEPS` along the longer side of a plane.

    Corners beyond the plane are moved to its edge, and corners that fall together become one. Shells turn
    one way and holes the other, so that overlapping polygons can be filled together.

    Args:
        shapes: (n,) polygons and multipolygons in pixel (col, row) coordinates.
        shape: (height, width) of the plane, pixels.
    """
    parts, owner = shapely.get_parts(shapes, return_index=True)
    rings, part = shapely.get_rings(shapely.orient_polygons(parts), return_index=True)
    points, ring = shapely.get_coordinates(rings, return_index=True)
    grid = np.rint(np.clip(points, 0, shape[::-1]) * (STEPS / max(shape))).astype(np.int32)
    keep = _distinct(grid, ring)
    corners = np.bincount(ring[keep], minlength=len(rings)).astype(np.uint32)
    steps = np.diff(grid[keep], axis=0, prepend=np.zeros((1, 2), np.int32)).astype(np.int16)
    return Outlines(steps, corners, np.bincount(owner[part], minlength=len(shapes)).astype(np.uint32))


def _distinct(grid: NDArray[np.int32], ring: NDArray[np.intp]) -> NDArray[np.bool_]:
    """(corners,) bool, False for a corner where the one before it was, and for the last one of a ring."""
    other = np.ones(len(ring) + 1, bool)  # whether a ring begins, and at the end one would
    other[1:-1] = ring[1:] != ring[:-1]
    moves = np.ones(len(ring), bool)
    moves[1:] = (grid[1:] != grid[:-1]).any(1)
    return np.asarray((moves | other[:-1]) & (other[:-1] | ~other[1:]))


def confidence_codes(confidences: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Confidences 0 … 1 as round(200·c), 255 where they are NaN."""
    known = np.isfinite(confidences)
    codes = np.full(confidences.shape, UNKNOWN, np.uint8)
    codes[known] = np.rint(200 * np.clip(confidences[known], 0, 1)).astype(np.uint8)
    return codes


@dataclass(frozen=True, slots=True, eq=False)
class Polygons:
    """Polygons to be shown on a map.

    Attributes:
        shapes: (n,) polygons in pixel (col, row) coordinates of the map's plane.
        kinds: (n,) uint8 numbers of their classes, from 0.
        areas: (n,) float64, NaN where unknown.
        confidences: (n,) float64, 0 … 1, NaN where unknown.
        notes: (n,) further lines about each, or none at all.
    """

    shapes: NDArray[Any]
    kinds: NDArray[np.uint8]
    areas: NDArray[np.float64]
    confidences: NDArray[np.float64]
    notes: Sequence[Sequence[str]] = ()

    def take(self, which: NDArray[Any]) -> Polygons:
        """The polygons that an array of indices or bools picks."""
        notes = [self.notes[k] for k in np.arange(len(self.shapes))[which]] if self.notes else ()
        return Polygons(
            self.shapes[which], self.kinds[which], self.areas[which], self.confidences[which], notes
        )

    def pack(self, shape: tuple[int, int], preview: tuple[int, int]) -> dict[str, Any]:
        """For the page.

        Args:
            shape: (height, width) of the plane.
            preview: (height, width) of its preview, in whose pixels the page thinks.
        """
        lines = outlines(self.shapes, shape)
        return {
            "steps": packed(lines.steps.ravel()), "corners": packed(lines.corners),
            "rings": packed(lines.rings), "kinds": packed(self.kinds.astype(np.uint8)),
            "areas": packed(self.areas.astype(np.float32)),
            "confidences": packed(confidence_codes(self.confidences)),
            "step": max(preview) / STEPS, "notes": list(self.notes) or None,
        }  # fmt: skip


def fitted(
    polygons: Polygons, shape: tuple[int, int], preview: tuple[int, int], most: int
) -> tuple[dict[str, Any], int]:
    """Polygons within a number of bytes: all of them, else more simply drawn, else the largest ones.

    Returns:
        What `Polygons.pack` makes, and how many polygons it holds.
    """
    order = np.argsort(-shapely.area(polygons.shapes), kind="stable")  # small ones last, so drawn on top
    polygons = polygons.take(order)
    told = polygons.pack(shape, preview)
    for tolerance in (0.5, 1.0):  # pixels of the preview
        if _size(told) <= most:
            break
        simple = shapely.simplify(polygons.shapes, tolerance * shape[0] / preview[0], preserve_topology=True)
        polygons = Polygons(simple, polygons.kinds, polygons.areas, polygons.confidences, polygons.notes)
        told = polygons.pack(shape, preview)
    while _size(told) > most and len(polygons.shapes) > 1:
        polygons = polygons.take(np.arange(int(len(polygons.shapes) * 0.95 * most / _size(told))))
        told = polygons.pack(shape, preview)
    return told, len(polygons.shapes)


def _size(told: dict[str, Any]) -> int:
    return len(json.dumps(told))
