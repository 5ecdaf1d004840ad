"""A Keras network as ONNX: for our own engines, and for QGIS Deepness and the package geodeep.

The graph is written layer by layer instead of traced, so it is the same from every Keras backend, is
channels first inside without a single needless transposition, and needs no converter: `tf2onnx` looks for
a maintainer, wants TensorFlow and does not know SegNet's pooling.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import keras
import onnx
from onnx import ModelProto, TensorProto, helper

from geoseg.errors import ModelError
from geoseg.models.bundle import CARD_FILE, KERAS_FILE, ONNX_FILE, Bundle, sha256
from geoseg.models.card import Card
from geoseg.models.delicate import delicate_layers
from geoseg.models.onnx_draft import Draft
from geoseg.models.onnx_external import point_into
from geoseg.models.onnx_fold import fold
from geoseg.models.onnx_rules import draw
from geoseg.staging import staged

OPSET, IR_VERSION = 17, 8  # read by ONNX Runtime from 1.13 and OpenVINO from 2023 on
FLOAT32_LAYERS = "float32_layers"  # in the metadata: names that nodes to be kept in float32 begin with
INPUT, OUTPUT = "pixels", "probabilities"
NEUTRAL = 0.5  # the threshold that tools apply to every class alike
FIRST, LAST = [0, 3, 1, 2], [0, 2, 3, 1]  # axes that put channels first, and last again


def to_onnx(model: keras.Model, card: Card | None = None, *, half: bool = False) -> ModelProto:
    """A network as our engines run it.

    Input `pixels`: (batch, height, width, bands) float32 of 0 … 255, any multiple of the stride. Output
    `probabilities`: (batch, height, width, classes) float32; the last head of several.

    Args:
        model: a network of ours.
        card: written into the file's metadata.
        half: store large weights as float16, which halves the file; they are float32 again when loaded.

    Raises:
        ModelError: a layer that has no ONNX form here.
    """
    draft = Draft()
    x = draft.op("Transpose", INPUT, perm=FIRST)
    y = _network(draft, model, x)
    draft.scope = "output"
    draft.nodes.append(helper.make_node("Transpose", [y], [OUTPUT], OUTPUT, perm=LAST))
    sides = ["batch", "height", "width"]
    shapes = [*sides, model.input_shape[-1]], [*sides, int(model.outputs[-1].shape[-1])]
    return _finished(draft, *shapes, half, card, {FLOAT32_LAYERS: sorted(delicate_layers(model))})


def to_tool_onnx(
    model: keras.Model, card: Card, *, size: int | None = None, half: bool = False
) -> ModelProto:
    """A network as QGIS Deepness and geodeep run it.

    Both cut patches of the size that the file states, hand over bytes divided by 255 with channels first,
    and take the most probable channel among those above one threshold. So the input `pixels` is (batch,
    bands, size, size) float32 of 0 … 1, and the output `probabilities` (batch, channels, size, size). For a
    sigmoid a channel `background` comes first and each class is moved so that its own threshold becomes
    0.5: the tools' mask is then geoseg's.

    Args:
        model: a network of ours.
        card: of the bundle.
        size: height and width of patches, pixels; the card's when None.
        half: see `to_onnx`.

    Raises:
        ModelError: a layer that has no ONNX form here.
    """
    size, draft = size or card.patch_size, Draft()
    y = _network(draft, model, draft.op("Mul", INPUT, draft.constant(255)))
    draft.scope = "output"
    channels = [spec.name for spec in card.classes]
    if card.activation == "sigmoid":
        y, channels = _with_background(draft, y, card.thresholds), ["background", *channels]
    draft.nodes.append(helper.make_node("Identity", [y], [OUTPUT], OUTPUT))
    sides = [size, size]
    shapes = ["batch", model.input_shape[-1], *sides], ["batch", len(channels), *sides]
    return _finished(draft, *shapes, half, card, tool_metadata(card, channels, size))


def tool_metadata(card: Card, channels: Sequence[str], size: int) -> dict[str, Any]:
    """What QGIS Deepness and geodeep look up in a segmentation model; values are written as JSON."""
    smallest, largest = card.pixel_sizes_m
    return {
        "model_type": "Segmentor",
        "class_names": {str(number): name for number, name in enumerate(channels)},
        "resolution": round(100 * math.sqrt(smallest * largest), 1),  # centimetres per pixel
        "tile_size": size,  # read by Deepness
        "tiles_size": size,  # as its documentation calls it
        "tiles_overlap": round(100 * card.overlap / card.patch_size),  # per cent
        "seg_thresh": NEUTRAL if card.activation == "sigmoid" else 0.0,
        "seg_small_segment": 0,
        "standardization_mean": [0.0] * len(card.bands),
        "standardization_std": [1.0] * len(card.bands),
    }


def add_onnx(bundle: Bundle, model: keras.Model | None = None, *, half: bool = False) -> Bundle:
    """Write `model.onnx` into a bundle that lacks it, or anew, and name it in the card.

    Args:
        bundle: the whole one, not cut off at a level.
        model: its network; loaded from the bundle when None.
        half: see `to_onnx`; what `model.keras` holds in float16 too is not written twice.

    Raises:
        ModelError: a layer that has no ONNX form here.
        OutputError: the folder cannot be written to.
    """
    proto = to_onnx(bundle.load_keras() if model is None else model, bundle.card, half=half)
    if half:
        point_into(proto, bundle.file(KERAS_FILE))
    targets = (bundle.folder / ONNX_FILE, bundle.folder / CARD_FILE)
    with staged(*targets, overwrite=True) as (file, card_file):
        onnx.save_model(proto, str(file))
        files = {**bundle.card.files, ONNX_FILE: sha256(file)}
        card = replace(bundle.card, files=files)
        card_file.write_text(card.to_toml(), encoding="utf-8")
    return Bundle(bundle.folder, card)


def _finished(
    draft: Draft,
    given: Sequence[Any],
    made: Sequence[Any],
    half: bool,
    card: Card | None,
    extra: Mapping[str, Any],
) -> ModelProto:
    """The graph with its input and output shapes and its metadata, checked."""
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
            for name, shape in ((INPUT, given), (OUTPUT, made))]  # fmt: skip
    fold(draft)
    nodes, weights = draft.finish(half)
    graph = helper.make_graph(nodes, card.name if card else "network", ends[:1], ends[1:], weights)
    proto = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="geoseg"
    )
    about = {} if card is None else {"licence": card.licence, "attribution": "; ".join(card.attribution)}
    helper.set_model_props(proto, about | {key: json.dumps(value) for key, value in extra.items()})
    onnx.checker.check_model(proto)
    return proto


def _with_background(draft: Draft, y: str, thresholds: Sequence[float]) -> str:
    shift = [[[NEUTRAL - threshold]] for threshold in thresholds]
    moved = draft.op("Add", y, draft.constant(shift))
    best = draft.op("ReduceMax", moved, axes=[1], keepdims=1)
    return draft.op("Concat", draft.op("Sub", draft.constant(1), best), moved, axis=1)


def _network(draft: Draft, model: keras.Model, x: str) -> str:
    """Everything that the last output of a model needs, from the name `x` of its input."""
    if len(model.inputs) != 1:
        raise ModelError(f"{model.name} has {len(model.inputs)} inputs; a network for ONNX has one")
    cut = keras.Model(model.inputs[0], model.outputs[-1])
    return _operation(draft, cut, [x])[-1]


def _operation(draft: Draft, operation: Any, inputs: Sequence[str]) -> list[str]:
    """Names of the outputs of a layer, or of a whole model inside a model."""
    if isinstance(operation, keras.Sequential):
        for layer in operation.layers:
            inputs = _operation(draft, layer, inputs)
        return list(inputs)
    if not isinstance(operation, keras.Model):
        return draw(draft, operation, inputs)
    known = dict(zip(map(id, operation.inputs), inputs, strict=True))
    for depth in sorted(operation._nodes_by_depth, reverse=True):
        for node in operation._nodes_by_depth[depth]:
            if not node.is_input:
                given = [known[id(tensor)] for tensor in node.input_tensors]
                known |= zip(map(id, node.outputs), _operation(draft, node.operation, given), strict=True)
    return [known[id(tensor)] for tensor in operation.outputs]
