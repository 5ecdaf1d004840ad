"""Places that somebody marked in images, one by one: tree tops, say."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.errors import RecipeError
from geoseg.training.codes import IGNORE, Labels

Places = NDArray[np.int64]


def read_points(path: Path) -> dict[str, Places]:
    """The points of a table, by image.

    Args:
        path: CSV with columns image, x and y; x and y are pixels from the upper left corner.

    Returns:
        (n, 2) rows and columns, int64, by the image's name without its ending.

    Raises:
        RecipeError: no such table, or one without these columns.
    """
    found: dict[str, list[tuple[int, int]]] = {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                place = int(float(row["y"])), int(float(row["x"]))
                found.setdefault(Path(row["image"]).stem, []).append(place)
    except (OSError, KeyError, ValueError) as error:
        raise RecipeError(
            f"{path} is no table of points ({error}); its columns are image, x and y"
        ) from error
    return {name: np.array(sorted(rows), np.int64) for name, rows in found.items()}


def seeded(states: Labels, places: Places, channel: int, radius: int) -> Labels:
    """Labels with a class around its points, where nothing was known of it.

    Args:
        states: uint8 (h, w, classes) of 1 yes, 0 no, 255 nothing known; what is known stands.
        places: (n, 2) rows and columns.
        channel: of the class.
        radius: of the discs around the points, pixels.
    """
    discs = np.zeros(states.shape[:2], np.uint8)
    for row, column in places.tolist():
        cv2.circle(discs, (column, row), radius, 1, cv2.FILLED)
    result = states.copy()
    result[..., channel][(discs == 1) & (states[..., channel] == IGNORE)] = 1
    return result
