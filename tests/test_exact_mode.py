"""Law 3: cropping by the derived halo equals one forward pass over the whole scene."""

import keras
import numpy as np
import pytest

from geoseg.core.grid import Grid
from geoseg.core.patches import ArraySource
from geoseg.models import build
from geoseg.models.footprint import footprint
from geoseg.pipeline import segment
from geoseg.runtime.keras_engine import KerasEngine

NETWORKS = {
    "unet": ("unet", dict(width=4), 256),
    "unet with transposed convolutions": ("unet", dict(width=4, up="transpose", up_kernel=3), 256),
    "unetpp": ("unetpp", dict(width=4), 256),
    "unetpp with deep supervision": ("unetpp", dict(width=4, deep_supervision=True), 256),
    "segnet": ("segnet", dict(width=4), 448),
    "mobilenet_unet": ("mobilenet_unet", dict(alpha=0.35, decoder=(8, 8, 8, 8)), 704),
}


def random_engine(name, arguments, size):
    """A network whose batch normalization does something, ready to run."""
    keras.utils.set_random_seed(7)
    model = build(name, bands=3, classes=2, **arguments)
    rng = np.random.default_rng(7)
    for variable in model.variables:
        if "moving_variance" in variable.path:
            variable.assign(rng.uniform(0.5, 1.5, variable.shape))
        elif "moving_mean" in variable.path:
            variable.assign(rng.normal(0, 0.2, variable.shape))
    found = footprint(model)
    return KerasEngine(model, classes=2, stride=found.stride, halo=found.halo, batch_size=2)


@pytest.mark.parametrize("network", NETWORKS)
def test_exact_mode_equals_the_untiled_forward_pass(network):
    name, arguments, size = NETWORKS[network]
    engine = random_engine(name, arguments, size)
    shape = (150, 217)
    scene = np.random.default_rng(1).integers(0, 256, (*shape, 3), dtype=np.uint8)
    grid = Grid.cropped(shape, size, engine.halo, engine.stride)
    assert len(grid) > 1
    tiled, evened = (
        np.concatenate([s.probabilities for s in segment(ArraySource(scene), engine, each)])
        for each in (grid, grid.evened())
    )

    up = [(-n) % engine.stride for n in shape]
    pad = [(engine.halo, engine.halo + more) for more in up]
    padded = np.pad(scene, [*pad, (0, 0)], mode="reflect")
    whole = engine(padded[None])[0]
    untiled = whole[engine.halo : engine.halo + shape[0], engine.halo : engine.halo + shape[1]]
    assert np.abs(untiled - 0.5).max() > 1e-3  # the network says something
    np.testing.assert_allclose(tiled, untiled, rtol=0, atol=1e-5)
    np.testing.assert_allclose(evened, untiled, rtol=0, atol=1e-5)
    blended = Grid(shape, engine.stride * 4, 0, engine.stride)
    plain = np.concatenate([s.probabilities for s in segment(ArraySource(scene), engine, blended)])
    assert np.abs(plain - untiled).max() > 1e-4  # without a halo the seams are there
