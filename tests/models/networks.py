"""Tiny networks of every architecture and encoder, and weights to test them with."""

from functools import cache, partial

import keras
import numpy as np

from geoseg.models import build_mobilenet_unet, build_segnet, build_unet, build_unetpp

MOBILENET = {"encoder": "mobilenet_v2", "alpha": 0.1, "width": 2}
SHORT = {"alpha": 0.1, "width": 2, "full_resolution": False, "lateral": True}

NETWORKS = {
    "unet": partial(build_unet, width=2),
    "unet-transpose": partial(build_unet, width=2, up="transpose", up_kernel=3, batch_norm=False),
    "unet-mobilenet": partial(build_unet, **MOBILENET),
    "unetpp": partial(build_unetpp, width=2),
    "unetpp-mobilenet": partial(build_unetpp, **MOBILENET, full_resolution=False),
    "unetpp-mobilenet-short": partial(build_unetpp, encoder="mobilenet_v2_short", **SHORT),
    "unetpp-efficientnet": partial(build_unetpp, encoder="efficientnet_lite0_short", **SHORT),
    "segnet": partial(build_segnet, width=2),
    "mobilenet_unet": partial(build_mobilenet_unet, alpha=0.1, decoder=(8, 4, 4, 2)),
}

STRIDES = dict.fromkeys(NETWORKS, 32) | dict.fromkeys(("unet", "unet-transpose", "unetpp"), 16)


def randomized(model, seed=0):
    """Give batch normalization scales, offsets and statistics as after training, so that nothing is dead."""
    rng = np.random.default_rng(seed)
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in norms:
        n = layer.gamma.shape[0]
        layer.set_weights([rng.uniform(0.5, 1.5, n), rng.normal(0, 0.3, n), np.zeros(n), np.ones(n)])
        layer.momentum = 0.0
    size = 4 * STRIDES["segnet"]
    model(rng.uniform(0, 255, (2, size, size, model.input_shape[-1])).astype("float32"), training=True)
    return model


@cache
def ready(name):
    """A network of two classes with random weights, for all tests that only read it."""
    keras.utils.set_random_seed(0)
    return randomized(NETWORKS[name](classes=2))


def averaging(model):
    """Make every convolution a mean, so that influences are positive and cannot cancel."""
    for layer in model.layers:
        if isinstance(layer, keras.layers.DepthwiseConv2D):
            height, width = layer.kernel_size
            layer.set_weights([np.full(layer.kernel.shape, 1 / (height * width))])
        elif isinstance(layer, (keras.layers.Conv2D, keras.layers.Conv2DTranspose)):
            kernel, *bias = layer.get_weights()
            count = kernel[0, 0].size / layer.filters * 3
            layer.set_weights([np.full(kernel.shape, 1 / count), *bias])
    return model


def forward(model, images):
    return keras.ops.convert_to_numpy(model(np.asarray(images, "float32"), training=False))
