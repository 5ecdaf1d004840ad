"""A network that multiplies in bfloat16, for devices that do so faster."""

from __future__ import annotations

import keras

from geoseg.models.encoders import DELICATE_END


def in_bfloat16(model: keras.Model) -> keras.Model:
    """A copy of a model that computes in bfloat16, with the same float32 weights.

    What the bundle's `model.onnx` keeps in float32 for OpenVINO stays so here too: a MobileNetV2 encoder
    down to its delicate end. So do the outputs: probabilities are float32 as before.

    Args:
        model: any network of ours, in float32.
    """
    kept = {*model.output_names, *_delicate(model)}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name not in kept and not isinstance(layer, keras.layers.InputLayer):
            config["dtype"] = "mixed_bfloat16"
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy


def _delicate(model: keras.Model) -> set[str]:
    """The layers that the delicate end needs, with itself; none where it is not there."""
    if not any(layer.name == DELICATE_END for layer in model.layers):
        return set()
    cut = keras.Model(model.inputs, model.get_layer(DELICATE_END).output)
    return {layer.name for layer in cut.layers}
