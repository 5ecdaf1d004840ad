"""Synthetic probabilities of buildings and of tree crowns with known truth, of 0.3 m pixels.

Unit of all coordinates: pixels (x = column, y = row).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
import shapely
from numpy.typing import NDArray
from rasterio.features import rasterize
from rasterio.transform import Affine
from scipy.spatial import cKDTree

PIXEL_M = 0.3
CELL = 58  # px between the middles of two buildings
BLOCK = 12  # buildings a side of a district, whose buildings share a direction
FINE = 4  # samples a pixel side for the share of a pixel that is covered
ROWS = 512
SHARES = {"box": 0.5, "L": 0.25, "T": 0.1, "courtyard": 0.05, "U": 0.05, "circle": 0.05}

Codes = NDArray[np.uint8]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Buildings:
    """A scene of buildings.

    Attributes:
        codes: (n, n) uint8, probability · 255; a building is 128 or more.
        truth: (k,) shapely Polygons.
        circle: (k,) bool, True = a round tank.
    """

    codes: Codes
    truth: NDArray[Any]
    circle: NDArray[np.bool_]


def make_buildings(size: int, seed: int = 7) -> Buildings:
    """Buildings in districts, as a network sees them: blurred, with wobbly borders and false specks."""
    rng = np.random.default_rng(seed)
    truth, circle = _outlines(size, rng)
    soft = cv2.GaussianBlur(_coverage(truth, size), (0, 0), 1.3)
    wobble = 0.55 * _noise(size, 4, rng) + 0.45 * _noise(size, 9, rng)
    probability = 1 / (1 + np.exp(-6 * (soft - 0.5) - 0.9 * wobble))
    probability += 0.02 * rng.standard_normal((size, size), dtype=np.float32)
    for row, col in rng.integers(3, size - 3, (size**2 // 16_777, 2)):
        height, width = rng.integers(1, 4, 2)
        probability[row : row + height, col : col + width] += 0.4
    return Buildings(_codes(probability, 255), truth, circle)


def make_crowns(size: int, seed: int = 3) -> tuple[Codes, NDArray[np.int32]]:
    """Canopy of touching crowns of 5 … 24 px radius: codes (probability · 254), and the crown of a pixel."""
    rng = np.random.default_rng(seed)
    height = np.full((size, size), -1, np.float32)
    labels = np.zeros((size, size), np.int32)
    for number, (x, y, radius) in enumerate(_stems(size, rng), 1):
        _plant(height, labels, number, (x, y, radius), rng)
    canopy = cv2.GaussianBlur(np.clip(height, -0.6, 1), (0, 0), 1.5)
    canopy += 0.1 * _noise(size, 4, rng) + 0.06 * _noise(size, 11, rng)
    return _codes(1 / (1 + np.exp(-5 * (canopy - 0.08))), 254), labels


def _noise(size: int, scale: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Smooth noise with bumps of `scale` px."""
    few = size // scale + 4
    grid = rng.standard_normal((few, few)).astype(np.float32)
    wide = cv2.resize(grid, (few * scale, few * scale), interpolation=cv2.INTER_CUBIC)
    return wide[scale : scale + size, scale : scale + size]


def _codes(probability: NDArray[np.float32], top: int) -> Codes:
    return np.clip(np.rint(probability * top), 0, top).astype(np.uint8)


def _outlines(size: int, rng: np.random.Generator) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Building outlines that lie inside the scene, and which are circles."""
    side = size // CELL
    districts = rng.uniform(0, 90, (side // BLOCK + 1, side // BLOCK + 1))
    kinds = rng.choice(list(SHARES), (side, side), p=list(SHARES.values()))
    outlines = []
    for row, col in np.ndindex(side, side):
        angle = np.deg2rad(districts[row // BLOCK, col // BLOCK] + rng.normal(0, 1.5))
        middle = (np.array([col, row]) + 0.5) * CELL + rng.uniform(-3, 3, 2)
        turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        shell, *holes = (np.array(ring) @ turn + middle for ring in _rings(kinds[row, col], rng))
        outlines.append(shapely.Polygon(shell, holes))
    truth = np.array(outlines, object)
    inside = shapely.within(truth, shapely.box(2, 2, size - 2, size - 2))
    return truth[inside], (kinds.ravel() == "circle")[inside]


def _rings(kind: str, rng: np.random.Generator) -> list[Any]:
    """The shell of a building around (0, 0), then its holes."""
    a, b = rng.uniform(8, 19), rng.uniform(7, 14)
    if kind == "L":
        u, v = a * rng.uniform(-0.2, 0.4), b * rng.uniform(-0.2, 0.4)
        return [[(-a, -b), (a, -b), (a, v), (u, v), (u, b), (-a, b)]]
    if kind == "T":
        u, v = a * rng.uniform(0.25, 0.5), b * rng.uniform(-0.2, 0.2)
        return [[(-a, -b), (a, -b), (a, v), (u, v), (u, b), (-u, b), (-u, v), (-a, v)]]
    if kind == "U":
        u, v = 0.4 * a, -0.3 * b
        return [[(-a, -b), (a, -b), (a, b), (u, b), (u, v), (-u, v), (-u, b), (-a, b)]]
    if kind == "courtyard":
        return [_box(20, 18), _box(9, 8.1)[::-1]]
    if kind == "circle":
        around = np.linspace(0, 2 * np.pi, 64, endpoint=False)
        return [rng.uniform(9, 16) * np.stack([np.cos(around), np.sin(around)], 1)]
    return [_box(a, b)]


def _box(a: float, b: float) -> list[tuple[float, float]]:
    return [(-a, -b), (a, -b), (a, b), (-a, b)]


def _coverage(truth: NDArray[Any], size: int) -> NDArray[np.float32]:
    """The share of each pixel that lies in a building."""
    cover = np.zeros((size, size), np.float32)
    tree = shapely.STRtree(truth)
    for row in range(0, size, ROWS):
        height = min(ROWS, size - row)
        shapes = truth[tree.query(shapely.box(0, row, size, row + height))]
        fine = rasterize(
            shapes,
            out_shape=(height * FINE, size * FINE),
            dtype="uint8",
            transform=Affine(1 / FINE, 0, 0, 0, 1 / FINE, row),
        )
        share = cv2.resize(fine * np.uint8(240), (size, height), interpolation=cv2.INTER_AREA)
        cover[row : row + height] = share / np.float32(240)
    return cover


def _stems(size: int, rng: np.random.Generator) -> Floats:
    """(n, 3) x, y and radius of trees, denser in some places; of two that stand too close one goes."""
    many = size**2 // 250
    grid = rng.random((9, 9)).astype(np.float32)
    density = cv2.resize(grid, (size, size), interpolation=cv2.INTER_CUBIC)
    spots = rng.uniform(0, size, (many, 2))
    here = density[tuple(spots.astype(int).T[::-1])].clip(0)
    spots = spots[rng.random(many) < 1.3 * here**1.5][: size**2 // 1290]
    radius = np.clip(rng.lognormal(np.log(11), 0.3, len(spots)), 5, 24)
    keep = np.ones(len(spots), bool)
    for i, j in sorted(cKDTree(spots).query_pairs(32)):
        near = np.hypot(*(spots[i] - spots[j])) < 0.65 * (radius[i] + radius[j])
        keep[j] &= not (keep[i] and near)
    return np.column_stack([spots, radius])[keep]


def _plant(
    height: NDArray[np.float32],
    labels: NDArray[np.int32],
    number: int,
    stem: tuple[float, float, float],
    rng: np.random.Generator,
) -> None:
    """Put an uneven dome where it is higher than what stands there."""
    x, y, radius = stem
    stretch, turn = 1 + rng.uniform(-0.15, 0.15), rng.uniform(0, np.pi)
    reach = int(1.3 * radius) + 2
    rows = slice(max(int(y) - reach, 0), int(y) + reach + 1)
    cols = slice(max(int(x) - reach, 0), int(x) + reach + 1)
    tall, mine = height[rows, cols], labels[rows, cols]
    dy, dx = np.ogrid[: tall.shape[0], : tall.shape[1]]
    dy, dx = dy + rows.start + 0.5 - y, dx + cols.start + 0.5 - x
    along, across = dx * np.cos(turn) + dy * np.sin(turn), dy * np.cos(turn) - dx * np.sin(turn)
    angle = np.arctan2(across, along)
    rim = radius * (1 + 0.08 * np.cos(3 * angle + turn) + 0.05 * np.cos(5 * angle))
    dome = 1 - (np.hypot(along * stretch, across / stretch) / rim) ** 2
    over = (dome > tall) & (dome > 0)
    tall[over], mine[over] = dome[over], number
