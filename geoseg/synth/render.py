"""Facets and crowns to pixels, band by band.

A band is drawn into planes (colour, texture, height, slope) at twice the resolution; the highest facet wins,
crowns win over all. One pass then shades every pixel by its slope and by the shadow of what stands between it
and the sun, and the sensor reduces the result. Bands overlap by the longest shadow, so they meet exactly.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from geoseg.synth.canvas import Canvas, draw_crown, draw_facet, weather
from geoseg.synth.light import MAX_HEIGHT, Sun, shade
from geoseg.synth.sensor import Pixels, Sensor
from geoseg.synth.shapes import Colour, Facet
from geoseg.synth.texture import Noise, Plane
from geoseg.synth.vegetation import Crown

SUPER = 2
_BAND = 512


@dataclass(frozen=True)
class World:
    """All that is seen of a scene.

    Attributes:
        facets: ground first, then what lies on it; m.
        crowns: trees, m.
        sun: where the light comes from.
        dry: colour of the ground where grass has dried out, 0..255.
    """

    facets: Sequence[Facet]
    crowns: Sequence[Crown]
    sun: Sun
    dry: Colour


def draw_band(world: World, noise: Noise, top: int, rows: int, columns: int) -> Plane:
    """Light of a band of the super-sampled scene, (rows, columns, 3) float32."""
    canvas = Canvas.blank(top, rows, columns, noise.scale)
    for facet in world.facets:
        draw_facet(canvas, facet)
    tops = np.full((rows, columns), -np.inf, np.float32)
    lumps = noise.fractal([(0.5, 0.3), (1.0, 0.5), (2.0, 0.5)], 21, *canvas.frame)
    for crown in world.crowns:
        draw_crown(canvas, crown, tops, lumps)
    weather(canvas, noise, world.dry)
    return shade(canvas, world.sun)


def bands(height: int, size: int, margin: int) -> Iterator[tuple[int, int, int, int]]:
    """First and last row of each band, without and with ``margin`` rows around it."""
    for top in range(0, height, size):
        bottom = min(top + size, height)
        yield top, bottom, top - margin, bottom + margin


def render(
    world: World,
    height: int,
    width: int,
    pixel_size_m: float,
    sensor: Sensor,
    rng: np.random.Generator,
    band: int = _BAND,
) -> Pixels:
    """Draw a scene.

    Args:
        world: what is seen, m.
        height: rows.
        width: columns.
        pixel_size_m: ground size of a pixel.
        sensor: what blurs, tints and compresses it.
        rng: source of texture and noise.
        band: rows drawn at a time; bounds the memory and does not show in the result.

    Returns:
        (height, width, 3) uint8 RGB, 1..255.
    """
    textures, grains = rng.spawn(2)
    noise = Noise.draw(textures, SUPER / pixel_size_m)
    shadow = MAX_HEIGHT / world.sun.slope / pixel_size_m
    margin = int(shadow) + sensor.margin
    pixels = np.empty((height, width, 3), np.uint8)
    for top, bottom, above, below in bands(height, band, margin):
        light = draw_band(world, noise, above * SUPER, (below - above) * SUPER, width * SUPER)
        image = sensor.focus(light, SUPER)[margin:-margin]
        pixels[top:bottom] = sensor.expose(image, top, height, grains)
    return sensor.compress(pixels)
