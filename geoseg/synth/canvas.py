"""Planes of a band of the scene, and the drawing of facets and crowns on them; the highest is seen."""

import math
from dataclasses import dataclass

import numpy as np

from geoseg.synth.raster import inside, window
from geoseg.synth.shapes import Colour, Facet, Surface
from geoseg.synth.texture import Noise, Plane
from geoseg.synth.vegetation import Crown


@dataclass(frozen=True)
class Canvas:
    """Planes of a band, (h, w) or (h, w, n) float32; ``top`` is its first row, ``scale`` pixels per metre."""

    top: int
    scale: float
    colour: Plane
    texture: Plane
    height: Plane
    slope: Plane

    @classmethod
    def blank(cls, top: int, rows: int, columns: int, scale: float) -> "Canvas":
        """A level canvas."""
        size = (rows, columns)
        colour, texture, slope = (np.zeros((*size, n), np.float32) for n in (3, 2, 2))
        return cls(top, scale, colour, texture, np.zeros(size, np.float32), slope)

    @property
    def frame(self) -> tuple[int, int, int]:
        """First row, rows, columns."""
        rows, columns = self.height.shape
        return self.top, rows, columns

    def grid(self, at: tuple[slice, slice]) -> tuple[Plane, Plane]:
        """Place of the pixel centres of a window: x (1, w) and y (h, 1), m."""
        rows, columns = at
        x = (np.arange(columns.start, columns.stop) + 0.5) / self.scale
        y = (np.arange(rows.start, rows.stop) + self.top + 0.5) / self.scale
        return x.astype(np.float32)[None, :], y.astype(np.float32)[:, None]


def painted(surface: Surface, x: Plane, y: Plane, scale: float) -> Plane | None:
    """Factor of a surface's rows at x, y (m); None without rows, or with finer ones than pixels can show."""
    if not surface.stripe or surface.period * scale < 2:
        return None
    across = x * np.float32(math.cos(surface.heading)) + y * np.float32(math.sin(surface.heading))
    wave: Plane = np.sin(across * np.float32(2 * math.pi / surface.period))
    return 1 + np.float32(surface.stripe) * wave


def draw_facet(canvas: Canvas, facet: Facet) -> None:
    """Draw a facet wherever nothing higher is drawn yet."""
    at = window(facet.polygon, canvas.scale, *canvas.frame)
    if at is None:
        return
    x, y = canvas.grid(at)
    a, b, c = facet.plane
    height = np.float32(a) * x + np.float32(b) * y + np.float32(c)
    seen = inside(facet.polygon, canvas.scale, canvas.top, at) & (height >= canvas.height[at])
    rows = painted(facet.surface, x, y, canvas.scale)
    colour = np.array(facet.surface.colour, np.float32)
    canvas.colour[at][seen] = colour if rows is None else rows[seen][:, None] * colour
    canvas.texture[at][seen] = (facet.surface.grain, facet.surface.mottle)
    canvas.height[at][seen] = np.broadcast_to(height, seen.shape)[seen]
    canvas.slope[at][seen] = (a, b)


def draw_crown(canvas: Canvas, crown: Crown, tops: Plane, lumps: Plane) -> None:
    """Draw a crown wherever no higher crown is drawn yet.

    Args:
        canvas: the band.
        crown: the tree.
        tops: (h, w) height of the crowns drawn so far, m; minus infinity where there is none.
        lumps: (h, w) noise that makes the crown's surface uneven.
    """
    polygon = crown.polygon
    at = window(polygon, canvas.scale, *canvas.frame)
    if at is None:
        return
    x, y = canvas.grid(at)
    dx, dy = x - np.float32(crown.x), y - np.float32(crown.y)
    out = np.minimum(np.hypot(dx, dy) / crown.reach(np.arctan2(dy, dx)), 1.0).astype(np.float32)
    dome = (1 - crown.peak) * np.sqrt(1 - 0.85 * out * out) + crown.peak * (1.1 - 0.8 * out)
    body = min(crown.height * 0.6, 1.5 * crown.radius)
    rough = lumps[at]
    height = crown.height - body + body * dome + (0.16 * crown.radius + 0.1) * rough
    seen = inside(polygon, canvas.scale, canvas.top, at) & (height > tops[at])
    if min(height.shape) < 2:
        return
    down, right = np.gradient(height, 1 / canvas.scale)
    hollow = np.clip(0.93 + 0.24 * rough - 0.2 * out**4, 0.45, 1.35)[..., None]
    canvas.colour[at][seen] = (hollow * np.array(crown.colour, np.float32))[seen]
    canvas.texture[at][seen] = (0.16, 0.0)
    canvas.slope[at][seen] = np.clip(np.stack([right, down], axis=-1), -1.6, 1.6)[seen]
    canvas.height[at][seen] = np.maximum(canvas.height[at], height)[seen]
    tops[at][seen] = height[seen]


def weather(canvas: Canvas, noise: Noise, dry: Colour) -> None:
    """Put grain and dry patches on the colours."""
    grain, mottle = canvas.texture[..., :1], canvas.texture[..., 1:]
    patches = noise.fractal([(17.0, 0.7), (5.0, 0.4), (1.3, 0.35)], 3, *canvas.frame)[..., None]
    share = np.clip(mottle * (0.5 + 0.6 * patches), 0, 1)
    canvas.colour[:] += share * (np.array(dry, np.float32) - canvas.colour)
    fine = noise.fractal([(0.15, 0.6), (0.4, 0.55), (1.1, 0.4), (3.5, 0.35), (11.0, 0.45)], 9, *canvas.frame)
    canvas.colour[:] *= np.maximum(1 + grain * fine[..., None], 0.2)
