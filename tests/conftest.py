"""Rasters and models made in code, and what is shared by all tests."""

import logging
import os
from pathlib import Path

import numpy as np
import pytest
import rasterio
from affine import Affine
from rasterio.control import GroundControlPoint
from rasterio.enums import ColorInterp

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
UTM = "EPSG:32611"
NORTH_UP = Affine(0.3, 0, 452310, 0, -0.3, 3771240)


def pytest_configure(config):
    config.addinivalue_line("filterwarnings", "ignore:Use `@` matmul:PendingDeprecationWarning")
    config.addinivalue_line("filterwarnings", "ignore::rasterio.errors.NotGeoreferencedWarning")


def coded(shape, bands=3, dtype="uint8"):
    """Pixels (h, w, bands) that tell their place: band 0 rises with the row, band 1 with the column."""
    rows, cols = np.indices(shape)
    planes = [rows % 200 + 20, cols % 211 + 11, (3 * rows + 5 * cols) % 241 + 7]
    return np.stack([planes[b % 3] + b // 3 for b in range(bands)], -1).astype(dtype)


def corner_points(shape, transform):
    """Ground control points at the four corners and the centre of a scene."""
    height, width = shape
    places = [(0, 0), (0, width), (height, width), (height, 0), (height / 2, width / 2)]
    return [
        GroundControlPoint(r, c, *(transform * (c, r)), 0.0, id=str(k)) for k, (r, c) in enumerate(places)
    ]


def write_raster(
    path, pixels, *, mask=None, mask_kind="internal", colors=None, names=None, gcps=None,
    transform=NORTH_UP, crs=UTM, **profile,
):  # fmt: skip
    """Write (h, w, bands) pixels; `mask` (h, w) bool, True = data, is `internal`, `external` or `alpha`."""
    planes = pixels.transpose(2, 0, 1)
    if mask is not None and mask_kind == "alpha":
        top = np.iinfo(pixels.dtype).max if np.issubdtype(pixels.dtype, np.integer) else 1
        planes = np.concatenate([planes, np.where(mask, top, 0).astype(pixels.dtype)[None]])
        data = [ColorInterp.red, ColorInterp.green, ColorInterp.blue, *[ColorInterp.undefined] * len(planes)]
        colors = colors or [*data[: len(planes) - 1], ColorInterp.alpha]
    place = {"gcps": gcps} if gcps else {"transform": transform} if transform is not None else {}
    known = dict(driver="GTiff", height=planes.shape[1], width=planes.shape[2], count=len(planes),
                 dtype=pixels.dtype.name, crs=crs)  # fmt: skip
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=mask_kind == "internal"),
        rasterio.open(path, "w", **known | place | profile) as file,
    ):
        if colors:
            file.colorinterp = colors
        file.write(planes)
        for band, name in enumerate(names or (), 1):
            file.set_band_description(band, name)
        if mask is not None and mask_kind != "alpha":
            file.write_mask(mask)
    return path


@pytest.fixture(autouse=True)
def heard():
    """Every test hears warnings, although commands that were told to be quiet ran in the same process."""
    logging.getLogger("geoseg").setLevel(logging.NOTSET)


@pytest.fixture
def untraced():
    """Trainings of very few steps run operation by operation: TensorFlow takes longer to trace a step."""
    import keras

    if keras.backend.backend() != "tensorflow":
        yield
        return
    import tensorflow

    tensorflow.config.run_functions_eagerly(True)
    yield
    tensorflow.config.run_functions_eagerly(False)


@pytest.fixture
def make_raster(tmp_path):
    """A function that writes a GeoTIFF under a name and returns its path; see `write_raster`."""

    def make(name="scene.tif", shape=(40, 60), bands=3, dtype="uint8", pixels=None, **options):
        given = coded(shape, bands, dtype) if pixels is None else pixels
        return write_raster(tmp_path / name, given, **options)

    return make


@pytest.fixture(scope="session")
def suburb():
    """(1000, 1000, 3) uint8 pixels of the sample scene, 0.3 m."""
    with rasterio.open(ROOT / "sample_data" / "suburb.tif") as file:
        return file.read().transpose(1, 2, 0)


@pytest.fixture(scope="session")
def loaded():
    """The bundled model, ready to run on 256 px patches."""
    from geoseg.api import load

    return load(patch_size=256, overlap=64)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory):
    """A bundle of one 1 × 1 convolution: `bright` from 127.5 up in band 1, `dark` below 127.2 in band 2."""
    import keras

    from geoseg.models.bundle import save_bundle
    from geoseg.models.card import Card, ClassSpec

    pixels = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(2, 1, activation="sigmoid", name="classes")
    model = keras.Model(pixels, layer(pixels))
    kernel = np.array([[0.05, 0], [0, -0.05], [0, 0]], np.float32).reshape(1, 1, 3, 2)
    layer.set_weights([kernel, np.array([-0.05 * 127.5, 0.05 * 127.2], np.float32)])
    card = Card(
        name="tiny", summary="Thresholds.", licence="MIT", attribution=("nobody",), architecture="conv",
        parameters=0, activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.1, 1.0),
        patch_size=64, overlap=16, median_kernel=0, stride=1, halo=0,
        classes=(ClassSpec("bright", "#ff0000"), ClassSpec("dark", "#0000ff")),
    )  # fmt: skip
    return save_bundle(model, card, tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="session")
def tiny(tiny_bundle):
    """The tiny model, ready to run."""
    from geoseg.api import load

    return load(tiny_bundle.folder)


@pytest.fixture(scope="session")
def shared():
    """The folder of public test data beside the checkout."""
    if not (SHARED / "data").is_dir():
        pytest.skip(f"there is no {SHARED / 'data'}: public test data is not part of the repository")
    return SHARED / "data"
