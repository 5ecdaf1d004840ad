"""Max-pooling that remembers where its maxima were, and the unpooling that puts them back.

Badrinarayanan, Kendall and Cipolla, "SegNet: A Deep Convolutional Encoder-Decoder Architecture for Image
Segmentation", 2015 (arXiv:1511.00561), section 3. Windows are 2×2 with stride 2, without overlap. Both
layers are made of slices, comparisons and reshapes only: every Keras backend and ONNX can run them, and
height and width may be unknown until the call.
"""

import keras
from keras import ops

from geoseg.errors import ModelError


@keras.saving.register_keras_serializable(package="geoseg")
class MaxPoolingWithIndices(keras.layers.Layer):  # type: ignore[misc]
    """2×2 max-pooling that also returns the position of each maximum.

    Input: (batch, height, width, channels), height and width even. Outputs, both of shape
    (batch, height / 2, width / 2, channels): the maxima, and int32 positions 0…3 in row-major order inside
    the window. Of equal maxima the first one counts.
    """

    def call(self, inputs: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Pool `inputs`."""
        corners = [inputs[:, row::2, col::2, :] for row in (0, 1) for col in (0, 1)]
        stacked = ops.stack(corners, axis=-1)
        return ops.max(stacked, axis=-1), ops.cast(ops.argmax(stacked, axis=-1), "int32")

    def compute_output_spec(self, inputs: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
        """Shapes and types of the two outputs."""
        batch, height, width, channels = inputs.shape
        if any(size is not None and size % 2 for size in (height, width)):
            raise ModelError(
                f"pooling layer {self.name!r} needs even sizes, got {height} by {width}; "
                "use a patch size that is a multiple of the network's stride"
            )
        shape = (batch, height and height // 2, width and width // 2, channels)
        return keras.KerasTensor(shape, self.compute_dtype), keras.KerasTensor(shape, "int32")


@keras.saving.register_keras_serializable(package="geoseg")
class MaxUnpooling(keras.layers.Layer):  # type: ignore[misc]
    """Inverse of `MaxPoolingWithIndices`: each value goes back to its position, zeros elsewhere.

    Inputs: a list of values and int32 positions 0…3, both (batch, height, width, channels).
    Output: (batch, 2·height, 2·width, channels).
    """

    def call(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Unpool `inputs = [values, positions]`."""
        values, positions = inputs
        batch, height, width, channels = ops.shape(values)
        corners = [ops.where(positions == k, values, ops.zeros_like(values)) for k in range(4)]
        rows = [
            ops.reshape(ops.stack(pair, axis=3), (batch, height, 2 * width, channels))
            for pair in (corners[:2], corners[2:])
        ]
        return ops.reshape(ops.stack(rows, axis=2), (batch, 2 * height, 2 * width, channels))

    def compute_output_spec(self, inputs: list[keras.KerasTensor]) -> keras.KerasTensor:
        """Shape and type of the output."""
        batch, height, width, channels = inputs[0].shape
        shape = (batch, height and 2 * height, width and 2 * width, channels)
        return keras.KerasTensor(shape, self.compute_dtype)
