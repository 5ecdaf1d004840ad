"""Sun light: the slope of each pixel, and the shadows."""

import math
from dataclasses import dataclass

import cv2
import numpy as np

from geoseg.synth.canvas import Canvas
from geoseg.synth.texture import Plane

_SHADE = np.array([0.30, 0.345, 0.42], np.float32)  # what the blue sky alone gives
MAX_HEIGHT = 18.0  # m; nothing in a scene is higher


@dataclass(frozen=True)
class Sun:
    """Direction of the sun: azimuth clockwise from north (up), elevation above the horizon; degrees."""

    azimuth_deg: float
    elevation_deg: float

    @property
    def vector(self) -> tuple[float, float, float]:
        """Unit vector to the sun: right, down, up."""
        azimuth, elevation = math.radians(self.azimuth_deg), math.radians(self.elevation_deg)
        flat = math.cos(elevation)
        return flat * math.sin(azimuth), -flat * math.cos(azimuth), math.sin(elevation)

    @property
    def slope(self) -> float:
        """Fall of a ray per unit of ground."""
        return math.tan(math.radians(self.elevation_deg))


def lit(canvas: Canvas, sun: Sun) -> Plane:
    """Share of the sun's disc that reaches each pixel, (h, w) float32, 0..1.

    A ray falls by ``sun.slope`` per metre; the highest ray over a pixel is found by doubling: what shades it
    within 2n steps is what shades it within n steps, or shades within n steps the pixel n steps sunward.
    """
    east, south, _ = sun.vector
    flat = math.hypot(east, south)
    fall = sun.slope / canvas.scale
    rays, reach = canvas.height, 1
    rows, columns = rays.shape
    while reach * fall < 2 * MAX_HEIGHT:
        shift = np.array([[1, 0, reach * east / flat], [0, 1, reach * south / flat]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        ahead = cv2.warpAffine(rays, shift, (columns, rows), flags=flags, borderMode=cv2.BORDER_REPLICATE)
        rays = np.maximum(rays, ahead - np.float32(reach * fall))
        reach *= 2
    depth = rays - canvas.height
    soft: Plane = cv2.GaussianBlur(np.clip(1.25 - depth / 0.4, 0, 1), (0, 0), 0.18 * canvas.scale)
    return soft


def shade(canvas: Canvas, sun: Sun) -> Plane:
    """Light from every pixel, (h, w, 3) float32; level ground in full sun keeps its colour."""
    east, south, up = sun.vector
    right, down = canvas.slope[..., 0], canvas.slope[..., 1]
    facing = (up - right * east - down * south) / np.sqrt(1 + right * right + down * down) / up
    direct = lit(canvas, sun) * np.clip(facing, 0, 1.6)
    return canvas.colour * (_SHADE + (1 - _SHADE) * direct[..., None]).astype(np.float32)
