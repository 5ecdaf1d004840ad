"""Proof that an engine and a precision say what Keras says in float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import classify
from geoseg.core.stitch import Probabilities
from geoseg.models.bundle import CARD_FILE, INT8_FILE, Bundle
from geoseg.runtime import available
from geoseg.runtime.choose import load_engine
from geoseg.staging import staged

SAME_MASK = 1e-3  # share of mask pixels that a faster precision may change


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two answers to the same patches lie apart.

    Attributes:
        largest: difference of any probability, 0 … 1.
        flipped: share of mask pixels that belong to another class, 0 … 1.
    """

    largest: float
    flipped: float


def agreement(bundle: Bundle, images: NDArray[np.uint8], engine: str, precision: str) -> Agreement:
    """Compare an engine with Keras in float32.

    Args:
        bundle: the model. Its card need not allow the precision.
        images: (n, size, size, bands) patches, 0 … 255, best of real scenes.
        engine: `openvino`, `onnx` or `tensorflow`.
        precision: what it computes in.

    Raises:
        EngineError: the engine or precision is not to be had here.
    """
    allowed = tuple({"float32": 0, precision: 0})
    free = replace(bundle, card=replace(bundle.card, precisions=allowed))
    answers = [load_engine(free, name, precision=kind, patch_size=images.shape[1])(images)
               for name, kind in (("tensorflow", "float32"), (engine, precision))]  # fmt: skip
    masks = [_mask(each, bundle) for each in answers]
    return Agreement(float(np.abs(answers[0] - answers[1]).max()), float(np.mean(masks[0] != masks[1])))


def prove(bundle: Bundle, images: NDArray[np.uint8], most: float = SAME_MASK) -> Bundle:
    """Write into the card which faster precisions of this machine change at most that share of the mask.

    Args:
        bundle: the model.
        images: patches that it was not trained on; see `agreement`.
        most: share of mask pixels that may change, 0 … 1.

    Raises:
        OutputError: the card cannot be written.
    """
    here = available.precisions("openvino") if available.installed("openvino") else ("float32",)
    faster = [each for each in here if each != "float32"]
    kept = [each for each in faster if agreement(bundle, images, "openvino", each).flipped <= most]
    kept += ["int8"] if INT8_FILE in bundle.card.files and "int8" in bundle.card.precisions else []
    card = replace(bundle.card, precisions=("float32", *kept))
    with staged(bundle.folder / CARD_FILE, overwrite=True) as (draft,):
        draft.write_text(card.to_toml(), encoding="utf-8")
    return replace(bundle, card=card)


def _mask(answers: Probabilities, bundle: Bundle) -> NDArray[np.uint8]:
    card, rows = bundle.card, answers.reshape(1, -1, answers.shape[-1])
    thresholds: Sequence[float] = card.thresholds
    return classify(rows, np.ones(rows.shape[:2], bool), thresholds, card.activation)
