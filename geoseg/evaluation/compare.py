"""Two sides on one grid, band by band: one pass adds up all counts and draws the error map."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geoseg.core.bands import with_margin
from geoseg.core.blocks import BlockCounts
from geoseg.core.boundary import BoundaryCounts
from geoseg.core.mask import NODATA
from geoseg.evaluation.points import PointCounts

ROWS = 256  # of a band
MISSED, EXTRA, RIGHT, CONFUSED = 1, 2, 3, 4  # codes of an error map; 0 is rightly background

Labels = NDArray[np.uint8]
Progress = Callable[[int, int], object]


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The counts of a comparison.

    Attributes:
        blocks: confusion matrices by block.
        boundary: boundary pixels.
    """

    blocks: BlockCounts
    boundary: BoundaryCounts

    def run(
        self, truth: Iterable[Labels], predicted: Iterable[Labels], draw: Callable[[Labels], object]
    ) -> None:
        """Count all rows.

        Args:
            truth: strips of numbers of classes, from top to bottom; 0 background, 255 without data.
            predicted: strips of the same heights.
            draw: takes the strips of the error map.
        """
        pairs = self._counted(truth, predicted, draw)
        for (true, found), core in with_margin(pairs, self.boundary.margin):
            self.boundary.add(true, found, core)

    def _counted(
        self, truth: Iterable[Labels], predicted: Iterable[Labels], draw: Callable[[Labels], object]
    ) -> Iterator[Labels]:
        """Both sides as (2, h, w), 255 where either has no data."""
        row = 0
        for sides in zip(truth, predicted, strict=True):
            pair = np.stack(sides)
            pair[:, (pair == NODATA).any(0)] = NODATA
            self.blocks.add(row, *pair)
            draw(error_map(*pair))
            row += pair.shape[1]
            yield pair


def error_map(truth: Labels, predicted: Labels) -> Labels:
    """What became of each pixel: 0 rightly background, 1 missed, 2 extra, 3 right, 4 of another class."""
    codes = MISSED * (truth > 0).view(np.uint8) + EXTRA * (predicted > 0).view(np.uint8)
    codes[(codes == RIGHT) & (truth != predicted)] = CONFUSED
    codes[truth == NODATA] = NODATA
    return np.asarray(codes, np.uint8)


def count_points(counts: PointCounts, predicted: Iterable[Labels]) -> None:
    """Count points on strips of labels, of which 1 is marked."""
    row = 0
    for held, core in with_margin(predicted, int(np.ceil(counts.radius)) + 1):
        counts.add(row - core.start, held, core)
        row += core.stop - core.start


def relabelled(strips: Iterable[Labels], table: Labels) -> Iterator[Labels]:
    """Strips with every label replaced by `table[label]`."""
    for strip in strips:
        yield cv2.LUT(strip, table)


def watched(strips: Iterable[Labels], width: int, total: int, progress: Progress) -> Iterator[Labels]:
    """The same strips; tells how many pixels have gone by."""
    for strip in strips:
        yield strip
        progress(len(strip) * width, total)
