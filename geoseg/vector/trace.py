"""From strips of labels to polygons of connected components: exact, in one pass, in bounded memory.

    strips ─> slabs ─┬─> nodes ─> paths ─┬─> join ─> rings ─> components
                     └─> runs ───────────┘

Pixels of one label that share a side are one component; pixels that meet only at a corner are two, and
different labels never join. The result is the same, byte for byte, however the raster was cut into strips.
Only the slab at hand and the rings of components that still grow are in memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from geoseg.errors import GridError
from geoseg.vector.components import Components, assemble
from geoseg.vector.join import Seam, join
from geoseg.vector.trace_slab import LabelStrip, slabs


def trace(
    strips: Iterable[LabelStrip],
    width: int,
    *,
    min_pixels: int = 1,
    max_hole_pixels: int = 0,
    level: float | None = None,
) -> Iterator[Components]:
    """Trace the components of a raster as its rows pass by.

    The polygons of a raster with several labels share every vertex with their neighbours: a valid coverage.

    Args:
        strips: from top to bottom without gaps, each a tuple of labels (h, width) bool | uint8 | uint16 |
            int32, 0 = background; probability codes (h, width) uint8, or None in all strips; valid (h, width)
            bool, True = has data, or None for all valid. Any h. Invalid pixels are background.
        width: of the raster, px.
        min_pixels: components with fewer pixels are left out.
        max_hole_pixels: holes that enclose no more pixels, and no component that is kept, are filled: left
            out of the polygons, and not counted in `pixels`.
        level: threshold in codes, for instance 127.5, at which to place the sub-pixel border; None for none.

    Yields:
        Components as soon as they are complete, never an empty batch; all batches together are in the
        order of `Components`.
    """
    if width < 1 or min_pixels < 0 or max_hole_pixels < 0:
        raise GridError(
            f"a width of 1 or more and pixel counts of 0 or more are needed, got width {width}, "
            f"min_pixels {min_pixels}, max_hole_pixels {max_hole_pixels}"
        )
    return _traced(strips, width, level, min_pixels, max_hole_pixels)


def _traced(
    strips: Iterable[LabelStrip], width: int, level: float | None, least: int, hole: int
) -> Iterator[Components]:
    """The generator behind `trace`, whose arguments are checked at the call."""
    seam = Seam()
    for slab in slabs(strips, width):
        if level is not None and slab.codes is None:
            raise GridError("a level was given but no probability codes; give the strips their codes")
        seam, finished = join(seam, slab, level, least, hole)
        if len(finished.rings):
            yield assemble(finished.rings, finished.tally, level is not None)
