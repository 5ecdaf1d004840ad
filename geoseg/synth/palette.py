"""Colours of materials in full sun, and draws from them; red, green, blue, 0..255."""

import numpy as np

from geoseg.synth.shapes import Colour

Rng = np.random.Generator
SHINGLE: tuple[Colour, ...] = (
    (128, 119, 112), (104, 98, 96), (150, 134, 117), (124, 108, 96),
    (166, 155, 144), (88, 85, 88), (142, 130, 125),
)  # fmt: skip
CLAY: tuple[Colour, ...] = ((172, 118, 92), (152, 102, 82), (182, 136, 108), (160, 124, 104))
PLAIN: tuple[Colour, ...] = (
    (206, 204, 199),
    (182, 180, 174),
    (152, 150, 148),
    (226, 224, 218),
    (168, 158, 144),
)
METAL: tuple[Colour, ...] = ((156, 165, 174), (96, 122, 150), (140, 80, 70), (194, 198, 198), (120, 130, 126))
LAWN: tuple[Colour, ...] = ((100, 116, 76), (90, 110, 68), (116, 122, 84), (84, 98, 66))
SOIL: tuple[Colour, ...] = ((158, 136, 108), (146, 122, 96), (170, 152, 124), (134, 114, 92))
PAVED: tuple[Colour, ...] = ((172, 167, 158), (156, 151, 144), (184, 178, 168), (160, 146, 130))
TAR: tuple[Colour, ...] = ((104, 103, 105), (86, 86, 90), (118, 116, 116))
WATER: tuple[Colour, ...] = ((96, 172, 188), (80, 150, 178), (120, 190, 196))
CAR: tuple[Colour, ...] = (
    (228, 228, 228), (200, 202, 204), (52, 54, 58), (36, 38, 42),
    (130, 134, 138), (142, 40, 40), (48, 66, 104),
)  # fmt: skip


def tint(rng: Rng, colour: Colour, spread: float = 8.0) -> Colour:
    """A colour near ``colour``: lighter or darker by ``spread``, and a little off in hue."""
    red, green, blue = np.clip(
        np.array(colour) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3), 8, 250
    )
    return float(red), float(green), float(blue)


def pick(rng: Rng, colours: tuple[Colour, ...], spread: float = 8.0) -> Colour:
    """One of ``colours``, tinted."""
    return tint(rng, colours[int(rng.integers(len(colours)))], spread)


def scaled(colour: Colour, factor: float) -> Colour:
    """``colour`` made lighter or darker."""
    red, green, blue = (min(255.0, value * factor) for value in colour)
    return red, green, blue
