"""Small files: weights that fit into a package, at a cost in their last digits."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from pathlib import Path

import h5py
import keras
import numpy as np

from geoseg.models.safety import CONFIG, METADATA, WEIGHTS

KERNEL = 2  # axes from which a weight is one of many
ALIGNMENT = 64  # bytes: of a cache line
LOCAL_HEADER, FIELD_HEADER = 30, 4  # bytes before a member's name, and of an extra field before its content
PADDING = 0xD935  # the kind of extra field that Android's zipalign pads with


def round_weights(model: keras.Model) -> None:
    """Give a model's kernels values that float16 can hold; biases and normalization keep theirs.

    Eleven significant bits instead of 24. A kernel with a value that float16 cannot hold stays as it is.
    """
    for variable in model.weights:
        value = keras.ops.convert_to_numpy(variable)
        if value.ndim >= KERNEL and np.abs(value).max() < np.finfo(np.float16).max:
            variable.assign(value.astype(np.float16).astype(np.float32))


def squeeze(path: Path) -> None:
    """Make a `.keras` file of rounded weights small, in place; Keras reads it as before.

    The weights come first, at a multiple of `ALIGNMENT` bytes, kernels in float16 and nothing compressed:
    other files can point to them (`onnx_external`). The time when it was written is left out: the same
    weights are the same bytes.
    """
    draft = path.with_name(f".{path.name}.squeezed")
    with zipfile.ZipFile(path) as source:
        config, metadata, weights = (source.read(name) for name in (CONFIG, METADATA, WEIGHTS))
    with zipfile.ZipFile(draft, "w") as target:
        target.writestr(_aligned(WEIGHTS), _halved(weights))
        target.writestr(zipfile.ZipInfo(CONFIG), config, zipfile.ZIP_DEFLATED)
        target.writestr(zipfile.ZipInfo(METADATA), _undated(metadata))
    draft.replace(path)


def _halved(weights: bytes) -> bytes:
    """HDF5 with all kernels that float16 holds in float16."""
    target = io.BytesIO()
    with h5py.File(io.BytesIO(weights), "r") as source, h5py.File(target, "w") as file:
        _copy_halved(source, file)
    return target.getvalue()


def _copy_halved(source: h5py.Group, target: h5py.Group) -> None:
    target.attrs.update(source.attrs)
    for name, part in source.items():
        if isinstance(part, h5py.Group):
            _copy_halved(part, target.create_group(name))
            continue
        value = part[()]
        half = value.astype(np.float16) if np.ndim(value) >= KERNEL else value
        target.create_dataset(name, data=half if np.array_equal(half, value) else value)
        target[name].attrs.update(part.attrs)


def _aligned(name: str) -> zipfile.ZipInfo:
    """The first member of an archive, with a field of zeros before its content."""
    entry = zipfile.ZipInfo(name)
    room = -(LOCAL_HEADER + len(name) + FIELD_HEADER) % ALIGNMENT
    entry.extra = struct.pack("<HH", PADDING, room) + bytes(room)
    return entry


def _undated(metadata: bytes) -> str:
    return json.dumps({key: value for key, value in json.loads(metadata).items() if key != "date_saved"})
