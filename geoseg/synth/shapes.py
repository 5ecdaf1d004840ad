"""Flat facets in metres, and the frames that carry them from a parcel to the scene.

Lengths are metres, x points right, y down (as columns and rows do), heights up; angles are radians and turn
x towards y.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeVar

from shapely import Polygon, box
from shapely.affinity import affine_transform
from shapely.geometry.base import BaseGeometry

Geometry = TypeVar("Geometry", bound=BaseGeometry)
Colour = tuple[float, float, float]


@dataclass(frozen=True)
class Surface:
    """What a facet looks like in full sun.

    Attributes:
        colour: red, green, blue, 0..255.
        grain: strength of the fine noise, as a fraction of the colour.
        mottle: how far patches fade to the scene's dry ground, 0..1.
        stripe: strength of regular rows (tiles, ribs, crops), as a fraction of the colour.
        period: distance from row to row, m.
        heading: direction in which the rows follow each other, radians.
    """

    colour: Colour
    grain: float = 0.08
    mottle: float = 0.0
    stripe: float = 0.0
    period: float = 0.5
    heading: float = 0.0


@dataclass(frozen=True)
class Facet:
    """A flat piece of a scene: a polygon (m) at height ``a·x + b·y + c`` (m) with ``plane = (a, b, c)``."""

    polygon: Polygon
    surface: Surface
    plane: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class Frame:
    """A local coordinate frame: origin (m) and angle (radians) in the frame around it."""

    x: float
    y: float
    angle: float

    def shape(self, geometry: Geometry) -> Geometry:
        """Carry a geometry out of this frame."""
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        carried: Geometry = affine_transform(geometry, [cos, -sin, sin, cos, self.x, self.y])
        return carried

    def facet(self, facet: Facet) -> Facet:
        """Carry a facet out of this frame: its outline, its slope and its rows."""
        a, b, c = facet.plane
        cos, sin = math.cos(self.angle), math.sin(self.angle)
        a, b = cos * a - sin * b, sin * a + cos * b
        surface = replace(facet.surface, heading=facet.surface.heading + self.angle)
        return Facet(self.shape(facet.polygon), surface, (a, b, c - a * self.x - b * self.y))

    def facets(self, facets: Iterable[Facet]) -> tuple[Facet, ...]:
        """Carry many facets out of this frame."""
        return tuple(self.facet(each) for each in facets)


def rectangle(x: float, y: float, width: float, depth: float) -> Polygon:
    """Rectangle around (x, y)."""
    return box(x - width / 2, y - depth / 2, x + width / 2, y + depth / 2)


def polygons(geometry: BaseGeometry) -> list[Polygon]:
    """The polygons in any geometry; lines, points and empty parts are dropped."""
    parts = getattr(geometry, "geoms", [geometry])
    return [part for part in parts if isinstance(part, Polygon) and not part.is_empty]
