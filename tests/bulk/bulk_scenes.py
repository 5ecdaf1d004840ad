"""Small scenes and a small network with context, so that a wrong grid or a lost neighbour changes bytes."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from conftest import write_raster

os.environ.setdefault("OGR_CURRENT_DATE", "2026-01-01T00:00:00.000Z")  # GeoPackage notes the time otherwise

OUTPUTS = ("*_mask.tif", "*_probabilities.tif", "*_polygons.*")


def save_network(folder):
    """Two layers of 5 × 5 with weights of their own: blobs of two classes."""
    import keras

    from geoseg.models.bundle import save_bundle
    from geoseg.models.card import Card, ClassSpec

    keras.utils.set_random_seed(3)
    pixels = keras.Input((None, None, 3))
    deep = keras.layers.Conv2D(4, 5, padding="same", activation="tanh")(
        keras.layers.Rescaling(1 / 127.5, -1)(pixels)
    )
    out = keras.layers.Conv2D(2, 5, padding="same", activation="sigmoid")(deep)
    card = Card(
        name="context", summary="Blobs.", licence="MIT", attribution=("nobody",), architecture="conv",
        parameters=0, activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.1, 1.0),
        patch_size=64, overlap=16, median_kernel=3, stride=1, halo=0,
        classes=(
            ClassSpec("building", "#ff0000", profile="building"),
            ClassSpec("tree", "#00ff00", profile="tree"),
        ),
    )  # fmt: skip
    return save_bundle(keras.Model(pixels, out), card, folder)


def smooth_noise(shape, seed):
    """(h, w, 3) uint8 hills of about 12 px, so that masks have shapes."""
    import cv2

    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (shape[0] // 12 + 2, shape[1] // 12 + 2, 3), np.uint8)
    return cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC)


def write_scenes(folder):
    """A large one with a hole, one that is resampled, both cut into chunks, and a small one."""
    folder.mkdir(exist_ok=True)
    (folder / "sub").mkdir(exist_ok=True)
    hole = np.ones((210, 330), bool)
    hole[40:130, 90:200] = False
    write_raster(folder / "large.tif", smooth_noise((210, 330), 1), mask=hole)
    coarse = Affine(1.5, 0, 452310, 0, -1.5, 3771240)
    write_raster(folder / "coarse.tif", smooth_noise((60, 110), 2), transform=coarse)
    write_raster(folder / "sub" / "small.tif", smooth_noise((20, 24), 3))
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """The folder of a bundle."""
    return save_network(tmp_path_factory.mktemp("network") / "context").folder


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """A folder of scenes."""
    return write_scenes(tmp_path_factory.mktemp("scenes") / "scenes")


def digests(folder):
    """The sum of each output below a folder, by its name there."""
    paths = [path for pattern in OUTPUTS for path in Path(folder).rglob(pattern) if path.is_file()]
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in paths}


def hidden(folder):
    """What a run should not leave behind."""
    return list(Path(folder).rglob(".*"))
