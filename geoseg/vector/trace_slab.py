"""Strips of rows as slabs: each begins with the last row of the one above and has a margin at both sides."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.errors import GridError

Labels = NDArray[Any]
Codes = NDArray[np.uint8]
Valid = NDArray[np.bool_]
LabelStrip = tuple[Labels, Codes | None, Valid | None]

SLAB_PIXELS = 4_000_000  # bounds the memory at any width; more rows are cut into several slabs
DTYPES = (np.bool_, np.uint8, np.uint16, np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Slab:
    """h rows to trace, below one row that was traced before; outside the raster all is invalid background.

    Attributes:
        row: where the second row lies in the raster; also the lattice row between the first two rows.
        labels: (h + 1, width + 2) uint8 | uint16 | int32, 0 = background.
        codes: (h + 1, width + 2) uint8, or None when there are none.
        valid: (h + 1, width + 2) bool, True = has data.
    """

    row: int
    labels: Labels
    codes: Codes | None
    valid: Valid

    @property
    def stride(self) -> int:
        """From one row to the next in the flat arrays: width + 2."""
        return int(self.labels.shape[1])


def slabs(strips: Iterable[LabelStrip], width: int) -> Iterator[Slab]:
    """Cut strips of any height into slabs, and close the raster with a row of background.

    Args:
        strips: from top to bottom, each (labels (h, width), codes (h, width) uint8 or None, valid (h, width)
            bool or None for all valid); invalid pixels become background.
        width: of the raster, px.
    """
    above, row = _outside(width), 0
    for labels, codes, valid in strips:
        _check(labels, codes, valid, width)
        if row and (codes is None) != (above.codes is None):
            raise GridError("some strips have probability codes and others have none; give all or none")
        for rows in _cuts(len(labels), width):
            above = _below(above, row, labels[rows], _rows(codes, rows), _rows(valid, rows))
            row += len(above.labels) - 1
            yield above
    nothing = np.zeros((1, width), np.uint8)
    yield _below(above, row, nothing, None if above.codes is None else nothing, nothing.astype(bool))


def _cuts(height: int, width: int) -> Iterator[slice]:
    """The rows of a strip, a slab at a time."""
    step = max(1, SLAB_PIXELS // width)
    return (slice(top, top + step) for top in range(0, height, step))


def _rows(plane: NDArray[Any] | None, rows: slice) -> NDArray[Any] | None:
    """Some rows of a plane that may be missing."""
    return None if plane is None else plane[rows]


def _check(labels: Labels, codes: Codes | None, valid: Valid | None, width: int) -> None:
    """Refuse a strip whose arrays do not fit together."""
    if labels.ndim != 2 or labels.shape[1] != width or labels.dtype not in DTYPES:
        raise GridError(
            f"a strip of labels must be (rows, {width}) of bool, uint8, uint16 or int32, "
            f"got {labels.shape} of {labels.dtype}; cut or convert it"
        )
    for name, plane, dtype in ("probability codes", codes, np.uint8), ("validity", valid, np.bool_):
        if plane is not None and (plane.shape != labels.shape or plane.dtype != dtype):
            raise GridError(
                f"the {name} of a strip must be {np.dtype(dtype).name} of shape {labels.shape}, "
                f"got {plane.dtype} of {plane.shape}; give one per pixel"
            )


def _outside(width: int) -> Slab:
    """A row above the raster."""
    shape = 1, width + 2
    return Slab(0, np.zeros(shape, np.uint8), np.zeros(shape, np.uint8), np.zeros(shape, bool))


def _below(above: Slab, row: int, labels: Labels, codes: Codes | None, valid: Valid | None) -> Slab:
    """The slab of some rows, under the last row of the slab above."""
    known = _under(above.valid, np.ones((), bool) if valid is None else valid, len(labels))
    taken = _under(above.labels, labels, len(labels))
    if valid is not None:
        taken[1:, 1:-1] *= valid
    if codes is None or above.codes is None:
        return Slab(row, taken, None, known)
    return Slab(row, taken, _under(above.codes, codes, len(labels)), known)


def _under(above: NDArray[Any], rows: NDArray[Any], height: int) -> NDArray[Any]:
    """The last row of the plane above, then some rows with a margin of zeros at both sides."""
    plane = np.zeros((height + 1, above.shape[1]), np.result_type(above, rows))
    plane[0], plane[1:, 1:-1] = above[-1], rows
    return plane
