"""The halo that keeps a tolerance, for networks whose exact halo is larger than one wants to pay for."""

import keras
import numpy as np

from geoseg.errors import ModelError
from geoseg.models.blocks import check_input_size
from geoseg.models.footprint import footprint


def measured_halo(
    model: keras.Model,
    *,
    tolerance: float = 1e-3,
    patch_size: int = 256,
    images: np.ndarray | None = None,
    seed: int = 0,
) -> int:
    """Find the smallest halo that keeps a patch's output close to that of its surroundings.

    The influence of a pixel fades long before the end of the receptive field, so this is smaller than
    `Footprint.halo`, at the price of a bound that was measured on some images and is not proved for others.

    Args:
        model: network with one output, whose footprint is known.
        tolerance: largest difference of any probability, 0…1.
        patch_size: side of the patches in px, a multiple of the network's stride.
        images: (n, height, width, bands), 0…255; best real ones, larger than the patch by
            `Footprint.halo` on each side. None makes one of noise.
        seed: of that noise.

    Returns:
        Halo in px, a multiple of the network's stride.

    Raises:
        ModelError: a patch size or images that do not fit, or no halo that leaves anything of the patch.
    """
    stride, edge = (found := footprint(model)).stride, found.halo
    check_input_size(patch_size, stride)
    if images is None:
        shape = (1, *[patch_size + 2 * edge] * 2, model.input_shape[-1])
        images = np.random.default_rng(seed).uniform(0, 255, shape)
    height, width = (size // stride * stride for size in images.shape[1:3])
    if min(height, width) <= patch_size:
        raise ModelError(f"images of {height} by {width} px show no surroundings of a {patch_size} px patch")
    top, left = ((size - patch_size) // 2 // stride * stride for size in (height, width))
    patch = np.s_[:, top : top + patch_size, left : left + patch_size]
    whole = _forward(model, images[:, :height, :width])[patch]
    error = np.abs(whole - _forward(model, images[patch])).max(axis=(0, 3))
    for halo in range(0, (patch_size - 1) // 2 + 1, stride):
        if error[halo : patch_size - halo, halo : patch_size - halo].max() <= tolerance:
            return halo
    raise ModelError(f"no halo of a {patch_size} px patch keeps {tolerance}; use larger patches")


def _forward(model: keras.Model, images: np.ndarray) -> np.ndarray:
    result: np.ndarray = keras.ops.convert_to_numpy(model(images.astype(np.float32), training=False))
    return result
