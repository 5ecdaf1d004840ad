"""Small files: weights that fit into a package, at a cost in their last digits."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np

METADATA = "metadata.json"  # of Keras: its version, and when it saved the file
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
    """Compress a `.keras` file in place; Keras reads it as before, and rounded weights take half the room.

    The time when it was written is left out: the same weights are the same bytes.
    """
    draft = path.with_name(f".{path.name}.squeezed")
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(draft, "w", zipfile.ZIP_LZMA) as target:
        for entry in source.infolist():
            plain = zipfile.ZipInfo(entry.filename)
            plain.compress_type = zipfile.ZIP_LZMA
            content = source.read(entry)
            target.writestr(plain, _undated(content) if entry.filename == METADATA else content)
    draft.replace(path)


def _undated(metadata: bytes) -> str:
    return json.dumps({key: value for key, value in json.loads(metadata).items() if key != "date_saved"})
