"""A network that multiplies in another precision than float32, for devices that do so faster."""

from __future__ import annotations

from collections.abc import Collection

import keras

from geoseg.models.delicate import delicate_layers


def in_bfloat16(model: keras.Model) -> keras.Model:
    """A copy of a model that computes in bfloat16, with the same float32 weights.

    What the bundle's `model.onnx` keeps in float32 for OpenVINO stays so here too (`delicate_layers`). So do
    the outputs: probabilities are float32 as before.

    Args:
        model: any network of ours, in float32.
    """
    return in_policy(model, "mixed_bfloat16", delicate_layers(model))


def in_policy(model: keras.Model, policy: str, kept: Collection[str] = ()) -> keras.Model:
    """A copy of a model whose layers compute as a dtype policy of Keras says, with the same float32 weights.

    Inputs are scaled, and outputs made, in float32 as before.

    Args:
        model: any network of ours, in float32.
        policy: such as `mixed_float16`.
        kept: names of layers that stay as they are, besides those of the outputs.
    """
    kept = {*model.output_names, *kept}
    exact = (keras.layers.InputLayer, keras.layers.Rescaling)

    def clone(layer: keras.Layer) -> keras.Layer:
        config = layer.get_config()
        if layer.name not in kept and not isinstance(layer, exact):
            config["dtype"] = policy
        return layer.__class__.from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    copy.set_weights(model.get_weights())
    return copy
