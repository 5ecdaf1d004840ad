"""Do the joints of patches show? A randomization test of jumps across the lines between pixels.

Across every line between two columns (or rows) of a raster stands a mean jump: how much the pixels right of
it differ from those left of it. Patches of equal size meet in lines that repeat every `step` pixels. If they
left no trace, a joint would be a line like its neighbours; if they did, its jump is larger. So each period of
the grid is compared with itself moved sideways, period by period at random (a stratified randomization test,
Fisher 1935): contents that vary over the scene, and that are alike in neighbouring lines, cancel out. Moves
are multiples of the network's stride, because a network leaves a pattern of that period in any scene, tiled
or not.

    |<----------- step ----------->|
    .    .    joint    .    .    .    .    joint    .       lines every `spacing` pixels
    |<-- one stratum, moved by a random number of lines -->|
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.errors import GridError

DRAWS = 9999
LEAST = 3  # lines of a period, for a joint to have others to be compared with


@dataclass(frozen=True, slots=True)
class Joints:
    """Where patches meet, along one axis.

    Attributes:
        step: the period, pixels.
        offsets: lines of a period at which a patch begins or ends, multiples of `spacing` from 0 to below
            `step`.
        spacing: distance of the lines that are compared, a divisor of `step`, pixels.
        origin: a line from which the period is counted, pixels; may lie outside the raster.

    Raises:
        GridError: when the numbers do not fit together.
    """

    step: int
    offsets: tuple[int, ...] = (0,)
    spacing: int = 1
    origin: int = 0

    def __post_init__(self) -> None:
        if self.spacing < 1 or self.step % self.spacing or any(o % self.spacing for o in self.offsets):
            raise GridError(f"lines are compared every {self.spacing} px, which must divide the grid's step "
                            f"{self.step} and offsets {self.offsets}; choose another --stride")  # fmt: skip
        if self.step // self.spacing < len(self.offsets) + LEAST - 1:
            raise GridError(f"patches a step of {self.step} px apart leave no lines to compare every "
                            f"{self.spacing} px; choose a smaller --stride")  # fmt: skip


class Jumps:
    """Jumps across all lines of a raster, summed while its rows pass by.

    Attributes:
        sums: by axis (rows, columns), the sum of jumps across the line before each row or column.
        counts: likewise, the pairs of valid pixels.
    """

    def __init__(self, shape: tuple[int, int], classes: bool) -> None:
        """Begin with nothing.

        Args:
            shape: (height, width) of the raster.
            classes: whether values are names, which differ or not, instead of quantities.
        """
        self.sums = tuple(np.zeros(side) for side in shape)
        self.counts = tuple(np.zeros(side) for side in shape)
        self._classes, self._row = classes, 0
        self._above: tuple[NDArray[Any], Valid] | None = None

    def add(self, values: NDArray[Any], valid: Valid) -> None:
        """Take the next rows.

        Args:
            values: (bands, h, width) numbers.
            valid: (h, width) bool, True = has data.
        """
        if self._above is not None:
            values = np.concatenate([self._above[0], values], 1)
            valid = np.concatenate([self._above[1], valid])
        first = self._row - (self._above is not None)
        fresh = int(self._above is not None)
        for axis in (0, 1):
            jumps, known = self._across(values, valid, axis)
            if axis == 1:  # the row above has been counted
                jumps, known = jumps[fresh:], known[fresh:]
            lines = slice(first + 1, first + 1 + jumps.shape[0]) if axis == 0 else slice(1, None)
            self.sums[axis][lines] += (jumps * known).sum(1 - axis, dtype=np.float64)
            self.counts[axis][lines] += known.sum(1 - axis)
        self._row = first + values.shape[1]
        self._above = values[:, -1:].copy(), valid[-1:].copy()

    def _across(self, values: NDArray[Any], valid: Valid, axis: int) -> tuple[NDArray[Any], Valid]:
        """(h, w) mean jump of all bands, and whether both pixels have data."""
        later, earlier = (_part(values, axis + 1, part) for part in (slice(1, None), slice(None, -1)))
        known = _part(valid, axis, slice(1, None)) & _part(valid, axis, slice(None, -1))
        if self._classes:
            return (later != earlier).any(0), known
        jumps = np.abs(np.subtract(later, earlier, dtype=np.float32)).mean(0)
        return np.where(known, jumps, 0), known


def _part(values: NDArray[Any], axis: int, part: slice) -> NDArray[Any]:
    return values[(slice(None),) * axis + (part,)]


@dataclass(frozen=True, slots=True)
class Contrast:
    """How joints compare with other lines.

    Attributes:
        on_grid: mean jump across joints.
        off_grid: mean jump across the other lines that they were compared with.
        ratio: the first by the second; 1 when there is no jump anywhere.
        p_value: share of random grids with jumps at least as large, the true one among them: small where
            joints show.
        joints: how many lines were looked at as joints.
    """

    on_grid: float
    off_grid: float
    ratio: float
    p_value: float
    joints: int


def contrast(axes: Sequence[tuple[NDArray[Any], NDArray[Any], Joints]], seed: int = 0) -> Contrast | None:
    """Compare joints with other lines.

    Args:
        axes: for each axis to be looked at, sums and counts of `Jumps`, and where the joints are.
        seed: of the random grids.

    Returns:
        The comparison; None when there is no joint with its whole period inside the raster.
    """
    rng = np.random.default_rng(seed)
    on, off, moved = np.zeros(2), np.zeros(2), np.zeros((DRAWS, 2))
    joints = 0
    for sums, counts, where in axes:
        strata = np.stack([_strata(values, where) for values in (sums, counts)], -1)
        places = _joints_in(where)
        joints += len(strata) * len(places)
        whole, here = strata.sum((0, 1)), strata[:, places].sum((0, 1))
        on, off = on + here, off + whole - here
        turned = np.sum([np.roll(strata, -place, axis=1) for place in places], axis=0)
        for stratum in turned:
            moved += stratum[rng.integers(0, stratum.shape[0], DRAWS)]
    if not joints:
        return None
    jump, usual, others = (_ratio(*np.moveaxis(pair, -1, 0)) for pair in (on, off, moved))
    as_large = np.count_nonzero(others >= jump * (1 - 1e-9))
    ratio = float(jump / usual) if usual else 1.0 if not jump else math.inf
    return Contrast(float(jump), float(usual), ratio, float(1 + as_large) / (1 + DRAWS), joints)


def _ratio(sums: Any, counts: Any) -> Any:
    return sums / np.maximum(counts, 1)


def _joints_in(where: Joints) -> list[int]:
    """The lines of a stratum that are joints; they lie in its middle."""
    lines = where.step // where.spacing
    return [(offset // where.spacing + _lead(where)) % lines for offset in where.offsets]


def _lead(where: Joints) -> int:
    """Lines of a stratum before its first joint."""
    return (where.step - max(where.offsets)) // where.spacing // 2


def _strata(values: NDArray[Any], where: Joints) -> NDArray[Any]:
    """(periods, lines) values of the periods that lie inside the raster as a whole."""
    lines = where.step // where.spacing
    start = where.origin - _lead(where) * where.spacing
    first = start + -(-(1 - start) // where.step) * where.step  # line 0 is the raster's edge
    periods = max(0, (len(values) - first + where.spacing - 1) // where.step)
    inside = values[first : first + periods * where.step : where.spacing]
    return inside[: periods * lines].reshape(periods, lines)
