"""From probabilities to labels: which pixels belong to a class, and how surely."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.mask import NODATA, TOP
from geoseg.errors import SceneError
from geoseg.vector.source_classes import ClassBand, code_cut

SLACK = 1e-3  # by which the probabilities of other programs may leave 0 … 1


class LabelStrip(NamedTuple):
    """Rows of a raster.

    Attributes:
        labels: (h, w) uint8 or uint16, 0 background and elsewhere the number of a class.
        codes: (h, w) uint8 probabilities round(254·p), 255 where not valid; None for masks.
        valid: (h, w) bool, True = has data.
        lead: (h, w) uint8, what passes `ClassBand.cut` at the border: a pixel is labelled exactly where it is
            valid and its lead exceeds the cut. It is `codes`, or, where the most probable class wins, the
            distance to the best of the others. None for masks.
    """

    labels: NDArray[Any]
    codes: NDArray[np.uint8] | None
    valid: Valid
    lead: NDArray[np.uint8] | None = None


def class_strip(
    planes: Sequence[NDArray[Any]], valid: Valid, one: ClassBand, coded: bool, path: str
) -> LabelStrip:
    """A strip of one class.

    Args:
        planes: (h, w) each, the class's probabilities; those of all classes, in the order of their bands,
            where it is `exclusive`.
        valid: (h, w) bool, True = has data.
        one: the class.
        coded: whether probabilities are codes, 255 where not valid, or numbers 0 … 1.
        path: named in errors.

    Raises:
        SceneError: when a number is not from 0 to 1.
    """
    place = one.band - 1 if one.exclusive else 0
    if coded:
        valid = valid & (planes[place] != NODATA)
    own = _filled(planes[place], valid)
    codes = own if coded else _encode(own, path)
    if one.threshold is None:
        won, best = _compared(own, planes, valid, place)
        lead = _lead(won, codes, best if coded else _encode(best, path))
    else:
        lead = codes if coded else _on_its_side(codes, own, one.threshold)
        won = lead > code_cut(one.threshold)
    labels = np.multiply(won & valid, one.label, dtype=np.uint8 if one.label < 256 else np.uint16)
    absent: NDArray[np.uint8] = np.where(valid, np.uint8(0), np.uint8(NODATA))
    return LabelStrip(labels, codes | absent, valid, lead | absent)


def _filled(plane: NDArray[Any], valid: Valid) -> NDArray[Any]:
    """A copy with 0 where there is no data, in memory of its own."""
    return np.where(valid, plane, plane.dtype.type(0))


def _encode(values: NDArray[Any], path: str) -> NDArray[np.uint8]:
    """Codes round(254·p)."""
    low, high = float(values.min()), float(values.max())
    if low < -SLACK or high > 1 + SLACK:
        raise SceneError(
            f"{path}: probabilities are 0 to 1, got {low if low < -SLACK else high:g}; for a mask of class "
            "numbers convert it with gdal_translate -ot Byte"
        )
    codes: NDArray[np.uint8] = cv2.convertScaleAbs(values, alpha=TOP)
    return codes


def _on_its_side(codes: NDArray[np.uint8], values: NDArray[Any], threshold: float) -> NDArray[np.uint8]:
    """Codes moved by half a step at most to fall on the side of the threshold on which the values are."""
    cut, inside = code_cut(threshold), values >= values.dtype.type(threshold)
    wrong = inside != (codes > cut)
    codes[wrong] = np.where(inside[wrong], cut + 0.5, cut - 0.5)
    return codes


def _compared(
    own: NDArray[Any], planes: Sequence[NDArray[Any]], valid: Valid, place: int
) -> tuple[NDArray[np.bool_], NDArray[Any]]:
    """Where a class is the most probable, and the highest probability of the others.

    The first of equal classes wins, as in `core.mask.classify`.
    """
    won, best = np.ones(valid.shape, bool), np.zeros_like(own)
    for at, plane in enumerate(planes):
        if at != place:
            other = _filled(plane, valid)
            won &= own > other if at < place else own >= other
            np.maximum(best, other, out=best)
    return won, best


def _lead(won: NDArray[np.bool_], codes: NDArray[np.uint8], best: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """How far a class is ahead of the best of the others, or behind it: 128 … 254 where it won, else 127 … 1.

    Of two neighbours one is ahead where the other is behind, so their borders run through the same points.
    """
    half: NDArray[np.uint8] = np.maximum(cv2.absdiff(codes, best), 1) - 1 >> 1
    lead: NDArray[np.uint8] = np.where(won, 128 + half, 127 - half)
    return lead
