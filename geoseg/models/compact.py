"""Small files: weights that fit into a package, at a cost in their last digits."""

from __future__ import annotations

import zipfile
from pathlib import Path

import keras
import numpy as np

KERNEL = 2  # axes from which a weight is one of many


def round_weights(model: keras.Model) -> None:
    """Give a model's kernels values that float16 can hold; biases and normalization keep theirs.

    Eleven significant bits instead of 24. A kernel with a value that float16 cannot hold stays as it is.
    """
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        if value.ndim >= KERNEL and np.abs(value).max() < np.finfo(np.float16).max:
            variable.assign(value.astype(np.float16).astype(np.float32))


def squeeze(path: Path) -> None:
    """Compress a `.keras` file in place; Keras reads it as before, and rounded weights take half the room."""
    draft = path.with_name(f".{path.name}.squeezed")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(draft, "w", zipfile.ZIP_LZMA) as target:
        for entry in source.infolist():
            plain = zipfile.ZipInfo(entry.filename)  # has no time: the same weights are the same bytes
            plain.compress_type = zipfile.ZIP_LZMA
            target.writestr(plain, source.read(entry))
    draft.replace(path)
