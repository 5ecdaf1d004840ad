"""Learning rate, stopping and the best epoch, as functions of what happened so far.

The history is a list of records, one per finished epoch, so a run that is taken up again needs no other
state to go on as it would have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from geoseg.recipe.fit import Fit

Record = Mapping[str, float]
History = Sequence[Record]


def learning_rate(fit: Fit, history: History, epoch: int, fraction: float) -> float:
    """The learning rate of a step.

    Args:
        fit: what the recipe says.
        history: of the epochs before this one.
        epoch: from 0.
        fraction: share of the epoch that is over after this step, above 0 … 1.
    """
    now = epoch + fraction
    if now < fit.warmup_epochs:
        return fit.learning_rate * now / fit.warmup_epochs
    if fit.schedule == "plateau":
        return fit.learning_rate * fit.factor ** plateaus(fit, history)
    if fit.schedule == "cosine":
        over = min(1.0, (now - fit.warmup_epochs) / max(fit.epochs - fit.warmup_epochs, 1))
        return fit.learning_rate * (fit.final + (1 - fit.final) * (1 + math.cos(math.pi * over)) / 2)
    return fit.learning_rate


def plateaus(fit: Fit, history: History) -> int:
    """How often `patience_lr` epochs went by without gain; the wait starts anew after each."""
    best, wait, count = -math.inf, 0, 0
    for record in history:
        if gain(fit, record) > best:
            best, wait = gain(fit, record), 0
        else:
            wait += 1
        if fit.patience_lr and wait >= fit.patience_lr:
            wait, count = 0, count + 1
    return count


def should_stop(fit: Fit, history: History) -> bool:
    """Whether all epochs are done, or none of the last `patience` was a gain."""
    if len(history) >= fit.epochs:
        return True
    return 0 < fit.patience < len(history) - best_epoch(fit, history)


def best_epoch(fit: Fit, history: History) -> int:
    """Number of the best epoch, from 0; the first of several that are equally good."""
    if fit.monitor == "last":
        return max(len(history) - 1, 0)
    return max(range(len(history)), key=lambda epoch: gain(fit, history[epoch]), default=0)


def gain(fit: Fit, record: Record) -> float:
    """What is to be raised; −∞ where validation could not measure it."""
    value = record.get(f"val_{fit.monitor}", math.nan)
    if math.isnan(value):
        return -math.inf
    return -value if fit.monitor == "loss" else value
