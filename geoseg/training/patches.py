"""Cut a patch of any scale, angle and place out of a sample by one affine warp.

A frame is the (2, 3) float64 matrix that takes (x, y, 1) of a patch to x, y of its picture. Both are
continuous coordinates of pixels in which (0, 0) is the outer corner of the first pixel, so that pixels
and labels, whatever their levels, lie on the same ground exactly.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.window import Window
from geoseg.training.codes import IGNORE, Labels
from geoseg.training.samples import Sample

Frame = NDArray[np.float64]
PREFER_COARSE = 0.25  # octaves: bilinear interpolation may skip 1.7 px before it aliases visibly
TOUCH = 2  # pixels around a patch that interpolation looks at


@dataclass(frozen=True, slots=True)
class Pose:
    """How a patch is turned.

    Attributes:
        angle: radians.
        zoom: factor on the size of its pixels.
        mirror: left to right, before turning.
    """

    angle: float = 0.0
    zoom: float = 1.0
    mirror: bool = False


UPRIGHT = Pose()


def frame(size: int, centre: tuple[float, float], scale: tuple[float, float], pose: Pose = UPRIGHT) -> Frame:
    """The frame of a square patch.

    Args:
        size: side of the patch, pixels.
        centre: x, y of the patch's centre in the picture, pixels.
        scale: pixels of the picture per pixel of the patch, along x and y.
        pose: how it is turned.
    """
    cos, sin = math.cos(pose.angle), math.sin(pose.angle)
    turn = np.array([[cos, -sin], [sin, cos]]) @ np.diag([-1.0 if pose.mirror else 1.0, 1.0])
    matrix = np.diag(scale) @ turn * pose.zoom
    return np.column_stack([matrix, np.array(centre) - matrix @ (size / 2, size / 2)])


def grown(matrix: Frame, margin: int) -> Frame:
    """The frame of the same patch with `margin` more pixels on every side."""
    return np.column_stack([matrix[:, :2], matrix @ (-margin, -margin, 1)])


def bounds(matrix: Frame, size: int) -> Window:
    """The window of the picture that a patch of `size` px touches."""
    corners = matrix @ np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]], np.float64).T
    (left, top), (right, bottom) = np.floor(corners.min(1)), np.ceil(corners.max(1))
    window = Window(int(top), int(left), int(bottom - top), int(right - left))
    return window.expand(TOUCH << level_of(matrix, 16))


def level_of(matrix: Frame, most: int) -> int:
    """How often pixels are halved before a patch is cut, so that it does not alias."""
    return min(max(0, math.floor(math.log2(_step(matrix)) + PREFER_COARSE)), most)


def _step(matrix: Frame) -> float:
    """Pixels of the picture per pixel of the patch, along the finer axis."""
    return float(np.hypot(matrix[0, :2], matrix[1, :2]).min())


def cut(sample: Sample, matrix: Frame, size: int) -> tuple[NDArray[np.uint8], Labels]:
    """The pixels and labels of a patch.

    Args:
        sample: covers the part of the picture that the patch touches.
        matrix: the frame of the patch.
        size: its side, pixels.

    Returns:
        (size, size, bands) pixels, mirrored past the picture's edge, and (size, size) labels, 255 there.
    """
    local = matrix - [[0, 0, sample.window.col], [0, 0, sample.window.row]]
    level = sample.levels[level_of(matrix, len(sample.levels) - 1)]
    pixels = cv2.warpAffine(
        level, _indices(local, sample.labels.shape, level.shape), (size, size),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101,
    )  # fmt: skip
    labels = cv2.warpAffine(
        sample.labels, _indices(local, sample.labels.shape, sample.labels.shape), (size, size),
        flags=cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_CONSTANT, borderValue=IGNORE,
    )  # fmt: skip
    return pixels.reshape(size, size, -1), labels


def _indices(matrix: Frame, shape: tuple[int, ...], level: tuple[int, ...]) -> Frame:
    """A frame as cv2 wants it: from indices to indices of a level; a pixel's centre is a whole number."""
    onto = np.diag([level[1] / shape[1], level[0] / shape[0]]) @ matrix
    return np.column_stack([onto[:, :2], onto @ (0.5, 0.5, 1) - 0.5])


def grid(shape: tuple[int, int], size: int, scale: tuple[float, float]) -> Iterator[Frame]:
    """Frames that cover a picture once, row by row; the last ones reach past its edge."""
    across, down = (max(1, math.ceil(n / (size * s) - 1e-6)) for n, s in zip(shape[::-1], scale, strict=True))
    for i in range(down):
        for j in range(across):
            yield frame(size, ((j + 0.5) * size * scale[0], (i + 0.5) * size * scale[1]), scale)
