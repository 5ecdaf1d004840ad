"""Separate touching tree crowns, strip by strip: the same crowns however the raster is cut.

    strips ─> surface ─> basins ─┬─> groups of touching basins ─> crowns ─┬─> labels
                                 └─> spool of strips that wait ───────────┘

A crown is a hill of the surface `crowns_surface.surface`: all pixels whose steepest ascent ends on its peak,
and the hills beside it that rise too little to be crowns of their own. Crowns are connected through sides and
corners, as are the groups of touching crowns; the labels are a partition of the mask.

One pass, each strip is read once. In memory: the strip at hand with its margin (about 25 B/px), the basins
that may still merge with what comes below, and up to 64 MiB of compressed labels that wait for them; more
labels wait in a temporary file. A forest that spans the raster waits no longer than its crowns are tall,
unless they run into each other without a dip of `min_rise_px`: such a chain waits for its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from tempfile import TemporaryFile

import numpy as np

from geoseg.errors import GridError
from geoseg.vector.crowns_basins import Integers, Labels, find_basins, spread
from geoseg.vector.crowns_coverage import circularity, equivalent_diameter, simplify_coverage
from geoseg.vector.crowns_merge import Groups
from geoseg.vector.crowns_options import CrownOptions
from geoseg.vector.crowns_spool import Spool
from geoseg.vector.crowns_surface import CanopyStrip, Relief, look_up, reliefs, surface

__all__ = [
    "CanopyStrip",
    "CrownOptions",
    "CrownStrip",
    "circularity",
    "equivalent_diameter",
    "find_crowns",
    "separate",
    "simplify_coverage",
    "surface",
]

NO_INTEGERS = np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class CrownStrip:
    """The crowns in one strip.

    Attributes:
        labels: (h, w) int32, 0 background, else the number of the crown: 1, 2, … in the order in which a
            raster scan meets them.
        first: number of the first crown that begins in this strip.
        peaks: (n, 2) int64, (row, col) in the raster of the peaks of the n crowns that begin here.
    """

    labels: Labels
    first: int
    peaks: Integers


def separate(
    strips: Iterable[CanopyStrip], width: int, options: CrownOptions | None = None
) -> Iterator[Labels]:
    """Label the crowns; `find_crowns` tells their peaks too.

    Args:
        strips: from top to bottom without gaps, each (mask (h, width) bool, True = canopy, False where there
            is no data; codes (h, width) uint8, probability · 254, not used outside the mask). Any h; the
            margin is worked on twice, so 256 rows or more are quickest.
        width: of the raster, px.
        options: sizes of the crowns.

    Yields:
        Labels (h, width) int32 of each strip, as `CrownStrip.labels`, some strips behind the input.
    """
    return (strip.labels for strip in find_crowns(strips, width, options))


def find_crowns(
    strips: Iterable[CanopyStrip], width: int, options: CrownOptions | None = None
) -> Iterator[CrownStrip]:
    """Label the crowns and find their peaks; arguments as for `separate`."""
    if width < 1:
        raise GridError(f"a raster has a width of 1 or more, got {width}")
    return _numbered(_settled(strips, width, options or CrownOptions()), width)


def _settled(
    strips: Iterable[CanopyStrip], width: int, options: CrownOptions
) -> Iterator[tuple[Labels, Integers]]:
    """Each strip's basins as `_queue` packs them, and of each the index of its crown's peak in the raster."""
    groups = Groups(width, options.rise_steps)
    with TemporaryFile() as file:
        spool = Spool(file)
        for relief in reliefs(strips, width, options):
            _queue(relief, groups, spool)
            groups.settle()
            yield from _finished(groups, spool)
        groups.close()
        yield from _finished(groups, spool)


def _queue(relief: Relief, groups: Groups, spool: Spool) -> None:
    """Find a strip's basins, and let their columns (the first row) and labels wait for their crowns."""
    basins = find_basins(relief)
    groups.add(basins, range(relief.row, relief.row + len(basins.labels)))
    spool.push(np.vstack([basins.columns.astype(np.int32), basins.labels]))


def _finished(groups: Groups, spool: Spool) -> Iterator[tuple[Labels, Integers]]:
    """The strips at the head of the queue of which all crowns are known."""
    while (crowns := groups.pop()) is not None:
        yield spool.pop(), crowns


def _numbered(settled: Iterable[tuple[Labels, Integers]], width: int) -> Iterator[CrownStrip]:
    """Number the crowns in raster order."""
    known, numbers, count = NO_INTEGERS, NO_INTEGERS, 0
    for packed, crowns in settled:
        columns, basins = packed[0], packed[1:]
        names, sight, which = np.unique(crowns, return_index=True, return_inverse=True)
        # a crown is connected: one that began higher up is in the strip just above as well
        place = np.searchsorted(known, names).clip(max=max(len(known) - 1, 0))
        old = known[place] == names if len(known) else np.zeros(len(names), bool)
        new = np.flatnonzero(~old)
        new = new[np.argsort(sight[new])]
        known, previous = names, numbers
        numbers = np.zeros(len(names), np.int64)
        numbers[old] = previous[place[old]]
        numbers[new] = count + 1 + np.arange(len(new))
        labels = look_up(np.append(0, numbers[which]).astype(np.int32), basins)
        yield CrownStrip(spread(labels, columns, width), count + 1, np.stack(np.divmod(names[new], width), 1))
        count += len(new)
