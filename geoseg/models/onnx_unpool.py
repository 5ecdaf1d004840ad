"""SegNet's pooling with positions and its inverse in ONNX; see `models.layers`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from keras import layers

from geoseg.models.onnx_draft import Draft

CORNERS = 4  # of a 2 × 2 window, in row-major order


def pool_with_indices(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    """Maxima, and the first corner that equals them: comparisons say `first` where TopK need not."""
    grouped = draft.op("SpaceToDepth", inputs[0], blocksize=2)  # channels of corner 0, of corner 1, …
    channels = draft.op("Shape", inputs[0], start=1, end=2)
    corners = [_group(draft, grouped, channels, k) for k in range(CORNERS)]
    maxima = draft.op("Max", *corners)
    where = draft.constant(CORNERS - 1, np.int32)
    for k in reversed(range(CORNERS - 1)):
        where = draft.op("Where", draft.op("Equal", corners[k], maxima), draft.constant(k, np.int32), where)
    return [maxima, where]


def _group(draft: Draft, x: str, channels: str, number: int) -> str:
    first, last = (draft.op("Mul", channels, draft.constant([n], np.int64)) for n in (number, number + 1))
    return draft.op("Slice", x, first, last, draft.constant([1], np.int64))


def unpool(draft: Draft, layer: layers.Layer, inputs: Sequence[str]) -> list[str]:
    """Each value in its corner, zeros in the other three."""
    values, where = inputs
    zero = draft.constant(0)
    corners = [
        draft.op("Where", draft.op("Equal", where, draft.constant(k, np.int32)), values, zero)
        for k in range(CORNERS)
    ]
    return [draft.op("DepthToSpace", draft.op("Concat", *corners, axis=1), blocksize=2, mode="DCR")]
