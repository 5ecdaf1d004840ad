"""Scores on validation and test data: counts by tile, added up batch by batch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.bootstrap import bootstrap_interval
from geoseg.core.metrics import Confusion, ratio
from geoseg.core.thresholds import confusions, histogram

Counts = NDArray[np.int64]
Row = dict[str, Any]

OF_CLASSES = ("iou", "dice", "precision", "recall")
ALL = "all"


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """What is needed to score a part of the data at any threshold.

    Attributes:
        classes: their names, in channel order.
        exclusive: True for softmax, where the class of the highest probability is predicted.
        tiles: counts by (set, tile): confusion matrices (classes, classes) for softmax, histograms
            (classes, 2, 256) for sigmoid.
    """

    classes: tuple[str, ...]
    exclusive: bool
    tiles: dict[tuple[str, str], Counts] = field(default_factory=dict)

    def add(
        self,
        targets: NDArray[np.uint8],
        probabilities: NDArray[Any],
        names: Iterable[str],
        sets: Iterable[str],
    ) -> None:
        """Count a batch.

        Args:
            targets: (n, h, w, classes), 1 yes, 0 no, 255 ignore.
            probabilities: of the same shape, 0 … 1.
            names: of the tile that each patch is from.
            sets: that each patch is from.
        """
        count = _confusion if self.exclusive else histogram
        for truth, given, *key in zip(targets, probabilities, sets, names, strict=True):
            found = count(truth, given)
            place = (str(key[0]), str(key[1]))
            self.tiles[place] = self.tiles[place] + found if place in self.tiles else found

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets seen, in alphabetical order."""
        return tuple(sorted({name for name, _ in self.tiles}))

    @property
    def by_set(self) -> Counts:
        """The counts of each set, in the order of `sets`."""
        return np.stack([self._stack(name).sum(axis=0) for name in self.sets])

    def counts(self, thresholds: Sequence[float], of: str = ALL) -> Counts:
        """Confusion matrices by tile.

        Args:
            thresholds: one per class, 0 … 1; only for sigmoid.
            of: name of a set, or `all`.

        Returns:
            (tiles, classes, classes) for softmax; (tiles, classes, 2, 2) for sigmoid, no before yes.
        """
        stack = self._stack(of)
        return stack if self.exclusive else confusions(stack, thresholds)

    def _stack(self, of: str) -> Counts:
        size = len(self.classes)
        shape = (size, size) if self.exclusive else histogram(*np.zeros((2, 1, size))).shape
        found = [counts for (name, _), counts in self.tiles.items() if of in (ALL, name)]
        return np.stack(found) if found else np.zeros((0, *shape), np.int64)


def _confusion(targets: NDArray[np.uint8], probabilities: NDArray[Any]) -> Counts:
    """Pixels by true and likeliest class; those without a true class do not count."""
    known = (targets == 1).any(-1)
    both = Confusion(targets.shape[-1])
    both.add((targets == 1).argmax(-1)[known], probabilities.argmax(-1)[known])
    return both.counts


def figures(counts: Counts, exclusive: bool) -> NDArray[np.float64]:
    """All scores of confusion matrices.

    Args:
        counts: (…, classes, classes), or (…, classes, 2, 2) unless `exclusive`.
        exclusive: whether classes exclude each other.

    Returns:
        (…, 4 · classes + 2): intersection over union of each class, then Dice, precision and recall, then
        the accuracy (share of all known pixels that are right) and the mean of the first. NaN where there
        is nothing to score.
    """
    both = Confusion(counts.shape[-1], counts)
    each = [getattr(both, name) if exclusive else getattr(both, name)[..., 1] for name in OF_CLASSES]
    axes = (-1,) if exclusive else (-2, -1)
    right, pixels = both.hits.sum(axes), both.true.sum(axes)
    iou = each[0]
    mean = ratio(np.nansum(iou, -1), np.sum(~np.isnan(iou), -1))
    return np.concatenate([*each, ratio(right, pixels)[..., None], mean[..., None]], -1)


def summary(tally: Tally, thresholds: Sequence[float]) -> dict[str, float]:
    """`accuracy`, `iou` (mean over classes) and `iou_CLASS` of everything, without those that are NaN."""
    values = figures(tally.counts(thresholds).sum(0), tally.exclusive)
    named = {"accuracy": values[-2], "iou": values[-1]}
    named |= {f"iou_{name}": value for name, value in zip(tally.classes, values, strict=False)}
    return {name: float(value) for name, value in named.items() if not np.isnan(value)}


def score_rows(tally: Tally, thresholds: Sequence[float], seed: int = 0) -> list[Row]:
    """A table of scores with 95 % confidence intervals by tile.

    Args:
        tally: the counts.
        thresholds: one per class.
        seed: of the bootstrap.

    Returns:
        For every set, and for all together where there are several: a row of each class with `iou`, `dice`,
        `precision` and `recall`, and one of the class `all` with `accuracy` and the mean `iou`; each score
        with `…_low` and `…_high`. Four decimals; what cannot be scored is left out, and so is a class that is
        nowhere in the set.
    """
    groups = tally.sets if len(tally.sets) == 1 else (*tally.sets, ALL)
    return [row for of in groups for row in _rows_of(tally, thresholds, of, seed)]


def _rows_of(tally: Tally, thresholds: Sequence[float], of: str, seed: int) -> list[Row]:
    counts = tally.counts(thresholds, of)
    total = counts.sum(0)
    values = figures(total, tally.exclusive)
    low, high = bootstrap_interval(counts, lambda sums: figures(sums, tally.exclusive), seed=seed)
    rows: dict[str, Row] = {}
    for place, (name, measure) in enumerate(_labels(tally.classes)):
        row = rows.setdefault(name, {"set": of, "class": name, "tiles": len(counts)})
        for ending, source in (("", values), ("_low", low), ("_high", high)):
            if not np.isnan(source[place]):
                row[measure + ending] = round(float(source[place]), 4)
    there = {name for name, n in zip(tally.classes, _true(total, tally.exclusive), strict=True) if n}
    return [row for name, row in rows.items() if len(row) > 3 and name in {*there, ALL}]


def _true(counts: Counts, exclusive: bool) -> Counts:
    """True pixels of each class."""
    true: Counts = counts.sum(-1) if exclusive else counts[..., 1, :].sum(-1)
    return true


def _labels(classes: Sequence[str]) -> list[tuple[str, str]]:
    """The (class, score) of each of `figures`."""
    each = [(name, measure) for measure in OF_CLASSES for name in classes]
    return [*each, (ALL, "accuracy"), (ALL, "iou")]
