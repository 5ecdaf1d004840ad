"""A network that multiplies in bfloat16, for devices that do so faster."""

from __future__ import annotations

import keras

from geoseg.models.delicate import delicate_layers


def in_bfloat16(model: keras.Model) -> keras.Model:
    """A copy of a model that computes in bfloat16, with the same float32 weights.

    What the bundle's `model.onnx` keeps in float32 for OpenVINO stays so here too (`delicate_layers`). So do
    the outputs: probabilities are float32 as before.

    Args:
        model: any network of ours, in float32.
    """
    kept = {*model.output_names, *delicate_layers(model)}

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name not in kept and not isinstance(layer, keras.layers.InputLayer):
            config["dtype"] = "mixed_bfloat16"
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
