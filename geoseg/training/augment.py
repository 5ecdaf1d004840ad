"""Random changes of training patches.

Every change of pixels is a function of (h, w, bands) uint8 pixels, a strength and a generator of random
numbers, and leaves pixels as they are at strength 0. What changes colours takes the first three bands for
red, green and blue; the others change in brightness only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from geoseg.recipe.data import Augment
from geoseg.training.patches import Pose

Pixels = NDArray[np.uint8]
GRAY = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601
RGB = 3
BRIGHTNESS, CONTRAST, GAMMA, CAST = 0.15, 0.5, 0.4, 0.1  # at strength 1: share of the range, octave-like logs
SATURATION, HUE = 0.7, math.radians(25)
SIGMAS = 0.5, 1.5  # of blur, pixels
DEVIATIONS = 2.0, 10.0  # of noise, steps of 255
QUALITIES = 30, 90  # of JPEG
COARSER = 1.25, 3.0  # pixels of the sensor in pixels of the patch
STRETCH = 2.0  # of the deviation, at most
SHADES = 0.35, 0.75  # what a shadow leaves of the light


def pose(augment: Augment, rng: Generator) -> Pose:
    """How a patch is turned, mirrored and zoomed."""
    mirror = augment.flips and bool(rng.random() < 0.5)
    angle = math.pi / 2 * int(rng.integers(4)) if augment.turns else 0.0
    if rng.random() < augment.rotate:
        angle = rng.uniform(0, 2 * math.pi)
    span = math.log(max(augment.scale, 1.0))
    return Pose(angle, math.exp(rng.uniform(-span, span)), mirror)


def recolored(pixels: Pixels, augment: Augment, rng: Generator) -> Pixels:
    """All changes that leave shapes where they are, in the order in which light, lens and file make them."""
    pixels = shadow(pixels, augment.shadow, rng)
    pixels = tone(hue(pixels, augment.color, rng), augment.color, rng)
    pixels = blur(gray(pixels, augment.gray, rng), augment.blur, rng)
    if rng.random() >= augment.coarse:
        return compressed(pixels, augment, rng)
    taken = compressed(averaged(pixels, rng.uniform(*COARSER)), augment, rng)
    return _shaped(cv2.resize(taken, pixels.shape[1::-1], interpolation=cv2.INTER_LINEAR), pixels)


def compressed(pixels: Pixels, augment: Augment, rng: Generator) -> Pixels:
    """What the sensor and the file do to its own pixels."""
    return jpeg(noise(pixels, augment.noise, rng), augment.jpeg, rng)


def averaged(pixels: Pixels, factor: float) -> Pixels:
    """The patch as pixels of a coarser sensor, `factor` times as large."""
    size = [max(1, round(n / factor)) for n in pixels.shape[1::-1]]
    small: Pixels = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    return small.reshape(*size[::-1], pixels.shape[2])


def borrowed(pixels: Pixels, others: Sequence[Pixels], share: float, rng: Generator) -> Pixels:
    """A share of the patches in the colours of another one: mean and deviation of each band.

    What Reinhard et al. (2001, Color Transfer between Images) do, band by band: a network sees the roofs of
    one city in the light, haze and camera of another.
    """
    if share == 0 or rng.random() >= share:
        return pixels
    (mean, deviation), (wanted, spread) = map(_colors, (pixels, others[int(rng.integers(len(others)))]))
    factor = np.clip(spread / np.maximum(deviation, 1), 1 / STRETCH, STRETCH)
    table = (np.arange(256)[:, None] - mean) * factor + wanted
    return _looked_up(table, pixels)


def tone(pixels: Pixels, strength: float, rng: Generator) -> Pixels:
    """Brightness, contrast and gamma of all bands, and a cast of each, as one table."""
    if strength == 0:
        return pixels
    shift, contrast, gamma = rng.uniform(-strength, strength, 3) * (BRIGHTNESS, CONTRAST, GAMMA)
    casts = 1 + rng.uniform(-strength, strength, pixels.shape[2]) * CAST
    middle = float(pixels.mean()) / 255
    curve = (np.linspace(0, 1, 256) ** math.exp(gamma) - middle) * math.exp(contrast) + middle + shift
    return _looked_up(255 * curve[:, None] * casts, pixels)


def hue(pixels: Pixels, strength: float, rng: Generator) -> Pixels:
    """Hue and saturation: a turn about the grey axis of the colour cube, and a stretch away from it."""
    if strength == 0 or pixels.shape[2] < RGB:
        return pixels
    angle, stretch = rng.uniform(-strength, strength, 2) * (HUE, SATURATION)
    axis = np.full((3, 3), 1 / 3)
    cross = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
    turn = math.cos(angle) * (np.eye(3) - axis) + math.sin(angle) * cross
    return _transformed(pixels, axis + math.exp(stretch) * turn)


def gray(pixels: Pixels, share: float, rng: Generator) -> Pixels:
    """A share of the patches without colour."""
    if rng.random() >= share or pixels.shape[2] < RGB:
        return pixels
    return _transformed(pixels, np.tile(GRAY, (3, 1)))


def blur(pixels: Pixels, share: float, rng: Generator) -> Pixels:
    """A share of the patches out of focus."""
    if rng.random() >= share:
        return pixels
    return _shaped(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(*SIGMAS)), pixels)


def noise(pixels: Pixels, share: float, rng: Generator) -> Pixels:
    """A share of the patches with sensor noise: normal, each band its own."""
    if rng.random() >= share:
        return pixels
    grain = rng.standard_normal(pixels.shape, np.float32) * np.float32(rng.uniform(*DEVIATIONS))
    return np.clip(np.rint(pixels + grain), 0, 255).astype(np.uint8)


def jpeg(pixels: Pixels, share: float, rng: Generator) -> Pixels:
    """A share of the patches with the artefacts of JPEG, in colour for the first three bands."""
    if rng.random() >= share:
        return pixels
    quality = int(rng.integers(*QUALITIES))
    first = RGB if pixels.shape[2] >= RGB else 1
    parts = [pixels[..., :first], *(pixels[..., b : b + 1] for b in range(first, pixels.shape[2]))]
    return np.concatenate([_coded(part, quality) for part in parts], axis=2)


def shadow(pixels: Pixels, share: float, rng: Generator) -> Pixels:
    """A share of the patches with a cast shadow: a soft-edged quadrilateral of less light."""
    if rng.random() >= share:
        return pixels
    height, width = pixels.shape[:2]
    corners = np.rint(rng.uniform(-0.2, 1.2, (4, 2)) * (width, height)).astype(np.int32)
    cover = np.zeros((height, width), np.float32)
    cv2.fillConvexPoly(cover, cv2.convexHull(corners), 1.0 - rng.uniform(*SHADES))
    light = 1 - cv2.GaussianBlur(cover, (0, 0), rng.uniform(0.5, 3))
    darker: Pixels = np.rint(pixels * light[..., None]).astype(np.uint8)
    return darker


def _coded(pixels: Pixels, quality: int) -> Pixels:
    """Through JPEG and back; cv2 takes red for the last of three bands."""
    _, data = cv2.imencode(".jpg", pixels[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    back: Any = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    return np.asarray(back.reshape(pixels.shape)[..., ::-1], np.uint8)


def _transformed(pixels: Pixels, matrix: NDArray[np.floating]) -> Pixels:
    """The first three bands multiplied by a 3 × 3 matrix."""
    colors = cv2.transform(np.ascontiguousarray(pixels[..., :RGB]), matrix.astype(np.float32))
    return np.concatenate([colors, pixels[..., RGB:]], axis=2) if pixels.shape[2] > RGB else colors


def _colors(pixels: Pixels) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and standard deviation of each band."""
    mean, deviation = cv2.meanStdDev(pixels.reshape(-1, 1, pixels.shape[2]))
    return mean[:, 0], deviation[:, 0]


def _looked_up(table: NDArray[np.floating], pixels: Pixels) -> Pixels:
    """The (256, bands) value that each band's 256 become, rounded."""
    whole = np.clip(np.rint(table), 0, 255).astype(np.uint8)
    return _shaped(cv2.LUT(pixels, whole[None]), pixels)


def _shaped(result: Pixels, pixels: Pixels) -> Pixels:
    """cv2 drops a single band's axis."""
    return result.reshape(pixels.shape)
