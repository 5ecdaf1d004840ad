"""What a bundle's network files may hold: numbers and a graph of known layers, no code and no way out.

Keras' own safe mode refuses lambdas; it has been got round by layers that read files or unpickle, and by
weights that lie in other files. So the file is looked at before Keras is given it: the members of the archive
and their sizes, the names of layers, and every data set of the weights.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from geoseg.errors import BundleError, in_a_line

CONFIG, WEIGHTS = "config.json", "model.weights.h5"
METADATA = "metadata.json"  # Keras' version, and when it saved the file
MEMBERS = {CONFIG, WEIGHTS, METADATA}
MAX_TEXT = 2**26  # bytes of the graph; one of 500 layers has 300 kB
MOST_SQUEEZED = 64  # times its compressed size; weights are squeezed by 2 … 5
SLACK = 2**20  # bytes that squeeze better
PARTS = ("keras.initializers", "keras.regularizers", "keras.constraints", "keras.dtype_policies")
MARKS = ("__keras_tensor__", "__tuple__", "__numpy__", "__slice__", "__ellipsis__")  # no classes, but values
OUTER = {
    "keras": ("DTypePolicy", "Model", "Sequential"), "keras.models": ("Functional", "Model", "Sequential"),
    "keras.src.models.functional": ("Functional",),
}  # fmt: skip
LOCATION = b"location"  # the key of ONNX for data in other files, spelt out in the file
GRAPH, INITIALIZER, EXTERNAL_DATA, KEY, VALUE = 7, 5, 13, 1, 2  # fields of onnx.proto on the way to it
DELIMITED = 2  # the wire type of texts, bytes and inner messages


def check_keras(path: Path) -> None:
    """Refuse a `.keras` file that Keras should not be given.

    Raises:
        BundleError: when it holds anything but a graph of known layers and all of their weights.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            _check_members(archive)
            config = json.loads(archive.read(CONFIG))
            _check_graph(config)
            _check_size(config, _weights(archive.read(WEIGHTS)))
    except BundleError as error:
        raise BundleError(f"{path}: {error}; do not use it") from None
    except Exception as error:  # zipfile, h5py and Keras raise all sorts for damaged files
        raise BundleError(f"{path} is a damaged .keras file: {in_a_line(error)}; get it again") from error


def _check_members(archive: zipfile.ZipFile) -> None:
    entries = archive.infolist()
    names = [entry.filename for entry in entries]
    if sorted(names) != sorted(MEMBERS):
        odd = sorted(set(names) ^ MEMBERS) or names
        raise BundleError(f"it has other members than {', '.join(sorted(MEMBERS))}: {odd[0][:80]!r}")
    for entry in entries:
        most = entry.compress_size * MOST_SQUEEZED + SLACK
        if entry.filename != WEIGHTS:
            most = min(most, MAX_TEXT)
        if entry.file_size > most:
            raise BundleError(f"its member {entry.filename} claims {entry.file_size} bytes, not up to {most}")


def _check_graph(config: Any) -> None:
    for node in _nodes(config):
        module, name, registered = (node.get(key) for key in ("module", "class_name", "registered_name"))
        if not _known(module, name, registered):
            raise BundleError(f"it holds {str(name)[:80]!r} of {str(module)[:80]!r}, which is no known layer")


def _nodes(part: Any) -> Iterator[dict[str, Any]]:
    """The objects of a graph that name a class."""
    if isinstance(part, dict):
        if "class_name" in part:
            yield part
        for key, value in part.items():
            if key != "compile_config":  # which is not loaded
                yield from _nodes(value)
    elif isinstance(part, list):
        for value in part:
            yield from _nodes(value)


def _known(module: Any, name: Any, registered: Any) -> bool:
    from geoseg.models.steps import LAYERS

    if name in MARKS:
        return True
    if registered == f"geoseg>{name}" or module == "keras.layers":
        return name in LAYERS and registered in (None, name, f"geoseg>{name}")
    return module in PARTS or name in OUTER.get(module, ())


def _check_size(config: Any, there: int) -> None:
    """Refuse a network with more weights than the file has, before memory is taken for them."""
    import keras
    from keras.src.backend.common import global_state

    try:
        with keras.StatelessScope(initialize_variables=False):  # variables have shapes and no values
            model = keras.saving.deserialize_keras_object(config | {"compile_config": None}, safe_mode=True)
            wanted = model.count_params()
    finally:  # else the next scope would give them values
        global_state.set_global_attribute("uninitialized_variables", [])
    if wanted > there:
        raise BundleError(f"its network has {wanted} weights, the file {there}")


def _weights(content: bytes) -> int:
    """How many numbers the weights are; refused when they lie in other files, or are not there."""
    import h5py

    if not content.startswith(b"\x89HDF"):
        raise BundleError(f"its member {WEIGHTS} is no HDF5")
    with h5py.File(io.BytesIO(content), "r") as file:
        sizes = list(_sizes(file))
    if sum(nbytes for _, nbytes in sizes) > len(content):
        raise BundleError("its weights overlap")
    return sum(size for size, _ in sizes)


def _sizes(group: Any) -> Iterator[tuple[int, int]]:
    """Numbers and bytes of every data set below a group."""
    import h5py

    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            raise BundleError(f"its weights have a link, {name[:80]!r}, where data should be")
        part = group[name]
        if isinstance(part, h5py.Group):
            yield from _sizes(part)
            continue
        if part.external or part.is_virtual or part.chunks:
            raise BundleError(f"its weights {name[:80]!r} do not lie in it as Keras lays them")
        if part.id.get_storage_size() < part.nbytes:
            raise BundleError(f"its weights {name[:80]!r} claim {part.nbytes} bytes, which are not there")
        yield part.size, part.nbytes


def check_onnx(path: Path, beside: str) -> bool:
    """Refuse an ONNX file whose weights lie in other files than the one that may be `beside` it.

    A file that points to others holds the word `location`; only one that holds it elsewhere than where its
    weights point to `beside` is parsed here. Engines see to it that what it points to is there.

    Returns:
        Whether it points to the file beside it.

    Raises:
        BundleError: when it points to others, or cannot be parsed.
    """
    content = path.read_bytes()
    if (told := content.count(LOCATION)) == 0:
        return False
    if told == sum(place == beside.encode() for place in _places(content)):
        return True
    import onnx  # which takes a tenth of a second
    from onnx.external_data_helper import _get_all_tensors, uses_external_data

    try:
        model = onnx.load_model_from_string(content)
        away = [tensor.name for tensor in _get_all_tensors(model) if uses_external_data(tensor)]
    except Exception as error:  # protobuf's own, of no common kind
        raise BundleError(f"{path} is a damaged ONNX file: {error}; get it again") from error
    if away:
        raise BundleError(f"{path}: its weights {away[0][:80]!r} lie in other files; do not use it")
    return False


def _places(content: bytes) -> Iterator[bytes]:
    """What the weights of an ONNX file name as their places."""
    for tensor in _inner(content, GRAPH, INITIALIZER):
        for entry in _inner(tensor, EXTERNAL_DATA):
            pair = dict(_fields(entry))
            if pair.get(KEY) == LOCATION:
                yield pair.get(VALUE, b"")


def _inner(message: bytes, *path: int) -> Iterator[bytes]:
    """The messages that lie in a message under these fields, one in the other."""
    for number, part in _fields(message):
        if number == path[0]:
            yield from _inner(part, *path[1:]) if path[1:] else (part,)


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and content of a message's texts and inner messages; none where it is no message."""
    from google.protobuf.empty_pb2 import Empty
    from google.protobuf.message import DecodeError
    from google.protobuf.unknown_fields import UnknownFieldSet

    try:
        fields = UnknownFieldSet(Empty.FromString(message))
    except DecodeError:
        return
    yield from ((field.field_number, field.data) for field in fields if field.wire_type == DELIMITED)
