"""Networks that were made to tell images apart, as encoders: where each of their strides ends."""

from dataclasses import dataclass, replace
from typing import Protocol

import keras

from geoseg.models.efficientnet_lite import build_efficientnet_lite0


class Builder(Protocol):
    """What makes a network without its top."""

    def __call__(self, x: keras.KerasTensor, *, alpha: float) -> keras.Model:
        """From an image tensor (batch, height, width, bands) of -1…1, by a width multiplier."""


def build_mobilenet_v2(x: keras.KerasTensor, *, alpha: float) -> keras.Model:
    """MobileNetV2 (Sandler et al. 2018) with random weights."""
    return keras.applications.MobileNetV2(input_tensor=x, alpha=alpha, include_top=False, weights=None)


@dataclass(frozen=True)
class Pretrained:
    """A network that was made to tell images apart, and whose features serve a decoder.

    Attributes:
        build: from an image tensor and a width multiplier to the network without its top.
        ends: the last layer of each stride, 2 to 32: 1×1 expansions are the widest features, read before the
            next reduction.
    """

    build: Builder
    ends: dict[int, str]


MOBILENET_V2 = Pretrained(
    build_mobilenet_v2,
    {
        2: "block_1_expand_relu",
        4: "block_3_expand_relu",
        8: "block_6_expand_relu",
        16: "block_13_expand_relu",
        32: "block_16_project_BN",
    },
)
EFFICIENTNET_LITE0 = Pretrained(
    build_efficientnet_lite0,
    {
        2: "stage_2_1_expand",
        4: "stage_3_1_expand",
        8: "stage_4_1_expand",
        16: "stage_6_1_expand",
        32: "stage_7_1",
    },
)

# The short ones lack the last blocks, with a fourth of MobileNetV2's weights, half of EfficientNet-Lite0's.
PRETRAINED = {
    "mobilenet_v2": MOBILENET_V2,
    "mobilenet_v2_short": replace(MOBILENET_V2, ends=MOBILENET_V2.ends | {32: "block_15_add"}),
    "efficientnet_lite0": EFFICIENTNET_LITE0,
    "efficientnet_lite0_short": replace(EFFICIENTNET_LITE0, ends=EFFICIENTNET_LITE0.ends | {32: "stage_6_2"}),
}
