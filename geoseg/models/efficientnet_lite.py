"""EfficientNet-Lite0: EfficientNet without squeeze-and-excitation and with ReLU6, for processors and phones.

Tan and Le 2019, "EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks"
(arXiv:1905.11946); the Lite variants: tensorflow/tpu, models/official/efficientnet/lite.
"""

import keras
from keras import layers

# Blocks, kernel, stride, expansion and filters of each stage (table 1 of the paper).
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


def build_efficientnet_lite0(x: keras.KerasTensor, *, alpha: float = 1.0) -> keras.Model:
    """EfficientNet-Lite0 without its top, with random weights.

    Args:
        x: tensor (batch, height, width, bands) of -1…1; height and width multiples of 32.
        alpha: width multiplier of the stages; ImageNet weights exist for 1.0.

    Returns:
        Model from `x` to the features of stride 32. The first block of the third stage has the layers
        `stage_3_1_expand` and `stage_3_1_depthwise`, each after its activation, and ends with `stage_3_1`.
    """
    features = _conv(x, 32, 3, stride=2, name="stem")
    for number, (blocks, kernel, stride, expansion, filters) in enumerate(STAGES, start=1):
        for block in range(1, blocks + 1):
            features = _inverted_residual(
                features,
                max(8, round(filters * alpha / 8) * 8),
                kernel=kernel,
                stride=stride if block == 1 else 1,
                expansion=expansion,
                name=f"stage_{number}_{block}",
            )
    return keras.Model(x, features, name="efficientnet_lite0")


def _inverted_residual(
    x: keras.KerasTensor, filters: int, *, kernel: int, stride: int, expansion: int, name: str
) -> keras.KerasTensor:
    """Widened, convolved channel by channel, narrowed, and added to what came in where the shapes agree."""
    inner = x if expansion == 1 else _conv(x, x.shape[-1] * expansion, 1, name=f"{name}_expand")
    inner = _conv(inner, None, kernel, stride=stride, name=f"{name}_depthwise")
    adds = stride == 1 and x.shape[-1] == filters
    inner = _conv(inner, filters, 1, active=False, name=f"{name}_project" if adds else name)
    return layers.Add(name=name)([x, inner]) if adds else inner


def _conv(
    x: keras.KerasTensor, filters: int | None, kernel: int, *, name: str, stride: int = 1, active: bool = True
) -> keras.KerasTensor:
    """Convolution (channel by channel without `filters`), batch normalization, and ReLU6 if active."""
    if stride == 2:  # as "same" pads an even size, for any size
        near = (kernel - 2) // 2
        x = layers.ZeroPadding2D(((near, near + 1),) * 2, name=f"{name}_pad")(x)
    options = {
        "strides": stride,
        "padding": "valid" if stride == 2 else "same",
        "use_bias": False,
        "name": f"{name}_conv",
    }
    convolve = (
        layers.Conv2D(filters, kernel, **options) if filters else layers.DepthwiseConv2D(kernel, **options)
    )
    x = layers.BatchNormalization(epsilon=1e-3, name=f"{name}_bn" if active else name)(convolve(x))
    return layers.ReLU(6.0, name=name)(x) if active else x
