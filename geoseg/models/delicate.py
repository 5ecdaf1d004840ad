"""Which layers of a network lose too much when they are computed in bfloat16."""

from __future__ import annotations

import keras
from keras import layers

from geoseg.models.backbones import PRETRAINED

# Narrow outputs without activation: in bfloat16 a mask pixel in a hundred changes (on MobileNetV2), and a
# tenth as many when all down to one of these layers stays in float32. To stride 4 is too little, to 16 hardly
# better.
LAST_IN_FLOAT32 = {encoder.ends[8] for encoder in PRETRAINED.values()}

# Reads the encoder's features of stride 2, the largest of all: to round them to bfloat16 takes longer than to
# narrow them first.
LARGEST_LATERAL = "lateral_1"


def delicate_layers(model: keras.Model) -> set[str]:
    """Names of the layers that stay in float32 where the others multiply in bfloat16.

    A pre-trained encoder down to stride 8, the lateral connection at its stride 2, and the end of a network
    that has one: from the last convolution wider than a pixel on, since nothing after it evens its rounding
    out. Plain encoders have none. `benchmarks/RESULTS.md` has what each is worth.

    Args:
        model: any network of ours; of several outputs the last.
    """
    found = [layer for layer in model.layers if layer.name in LAST_IN_FLOAT32]
    if not found:
        return set()
    encoder = keras.Model(model.inputs, found[0].output)
    chain = keras.Model(model.inputs, model.outputs[-1]).layers
    last = max(place for place, layer in enumerate(chain) if _sees_neighbours(layer))
    largest = [layer for layer in chain if layer.name.startswith(LARGEST_LATERAL)]
    return {layer.name for layer in (*encoder.layers, *largest, *chain[last:])}


def _sees_neighbours(layer: keras.Layer) -> bool:
    return type(layer) is layers.Conv2D and max(layer.kernel_size) > 1
