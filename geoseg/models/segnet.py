"""SegNet: the decoder puts each value back to where the encoder's max-pooling took it from.

Badrinarayanan, Kendall and Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", 2015 (arXiv:1511.00561). The encoder has the 13 convolutions of VGG16.
"""

from collections.abc import Sequence

import keras
from keras import layers

from geoseg.errors import ModelError
from geoseg.models.blocks import conv, head, image_input
from geoseg.models.layers import MaxPoolingWithIndices, MaxUnpooling


def build_segnet(
    *,
    bands: int = 3,
    classes: int = 1,
    activation: str = "sigmoid",
    patch_size: int | None = None,
    width: int = 64,
    convolutions: Sequence[int] = (2, 2, 3, 3, 3),
    dropout: float = 0.0,
    batch_norm: bool = True,
    name: str = "segnet",
) -> keras.Model:
    """Build a SegNet.

    Args:
        bands: input bands; pixel values are 0…255 in any numeric type.
        classes: output channels.
        activation: "sigmoid" for independent classes, "softmax" for classes that exclude each other.
        patch_size: height and width in px, a multiple of the stride; None takes any multiple.
        width: filters at full resolution; each level doubles them, up to eight times.
        convolutions: number of 3×3 convolutions on each level, from full resolution down, in the encoder as
            in the decoder; the stride is 2**len(convolutions). The default is VGG16's.
        dropout: share of values dropped in training at the start of each level but the first, 0…1.
        batch_norm: normalize after each convolution.
        name: name of the model.

    Returns:
        Model from (batch, height, width, bands) to float32 probabilities (batch, height, width, classes).

    Raises:
        ModelError: arguments that do not fit together.
    """
    if not convolutions or min(convolutions) < 1:
        raise ModelError(f"SegNet needs a convolution or more on every level, got {tuple(convolutions)}")
    image, x = image_input(bands, patch_size, 2 ** len(convolutions))
    levels = [[min(width * 2**level, width * 8)] * count for level, count in enumerate(convolutions)]
    positions = []
    for level, filters in enumerate(levels):
        x = _convolutions(x, filters, f"encoder_{level}", dropout if level else 0.0, batch_norm)
        x, where = MaxPoolingWithIndices(name=f"pool_{level}")(x)
        positions.append(where)
    for level, where in reversed(list(enumerate(positions))):
        x = MaxUnpooling(name=f"unpool_{level}")([x, where])
        # The last convolution of a level prepares the channels that the next unpooling expects.
        filters = [*levels[level][1:], levels[max(level - 1, 0)][0]]
        x = _convolutions(x, filters, f"decoder_{level}", dropout, batch_norm)
    return keras.Model(image, head(x, classes, activation, name="probabilities"), name=name)


def _convolutions(
    x: keras.KerasTensor, filters: Sequence[int], name: str, dropout: float, batch_norm: bool
) -> keras.KerasTensor:
    if dropout:
        x = layers.Dropout(dropout, name=f"{name}_dropout")(x)
    for number, count in enumerate(filters, start=1):
        x = conv(x, count, name=f"{name}_{number}", batch_norm=batch_norm)
    return x
