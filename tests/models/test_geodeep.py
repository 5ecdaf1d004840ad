"""The exported ONNX opens in geodeep, as it does in QGIS Deepness, and says there what it says here."""

import numpy as np
import pytest
from scipy.ndimage import median_filter

from geoseg.core.mask import classify
from geoseg.runtime.formats import export_bundle

geodeep = pytest.importorskip("geodeep", reason="the package geodeep opens the exported file")


def blobs(shape):
    """(h, w, 3) uint8: large areas of several colours."""
    rows, cols = np.indices(shape)
    red = np.where((rows // 45 + cols // 60) % 2, 220, 60)
    green = np.where((rows // 60 + cols // 40) % 3, 200, 40)
    return np.stack([red, green, np.full(shape, 90)], -1).astype(np.uint8)


def test_its_mask_is_ours(tiny, tiny_bundle, make_raster, tmp_path):
    (path,) = export_bundle(tiny_bundle, "onnx", tmp_path / "tiny.onnx")
    pixels = blobs((200, 260))
    scene = make_raster(pixels=pixels, tiled=True, blockxsize=64, blockysize=64)
    theirs = geodeep.segment(str(scene), str(path))
    probabilities = np.concatenate(
        [tiny.engine(np.resize(block, (tiny.engine.batch_size, 64, 64, 3)).astype(np.float32))[:1]
         for block in patches(pixels)]
    )  # fmt: skip
    whole = np.zeros((256, 320, 2), np.float32)
    for k, block in enumerate(probabilities):
        row, col = divmod(k, 5)
        whole[row * 64 :][:64, col * 64 :][:, :64] = block
    whole = whole[:200, :260]
    ours = classify(whole, np.ones((200, 260), bool), tiny.settings.thresholds, "sigmoid")
    assert set(np.unique(ours)) == {0, 1, 2}
    inside = np.s_[4:-4, 4:-4]  # geodeep smooths with a median of its own
    np.testing.assert_array_equal(theirs[inside], median_filter(ours, 5)[inside])


def patches(pixels):
    """The 64 px patches of a scene, row by row, with zeros beyond its edge."""
    padded = np.pad(pixels, ((0, 56), (0, 60), (0, 0)))
    for row in range(0, 256, 64):
        for col in range(0, 320, 64):
            yield padded[row : row + 64, col : col + 64][None]


def test_it_reads_our_metadata(tiny_bundle, tmp_path):
    from geodeep.inference import create_session

    (path,) = export_bundle(tiny_bundle, "onnx", tmp_path / "tiny.onnx")
    _, config = create_session(str(path))
    assert (config["model_type"], config["seg_thresh"], config["seg_small_segment"]) == ("Segmentor", 0.5, 0)
    assert config["class_names"] == {"0": "background", "1": "bright", "2": "dark"}
    assert config["resolution"] == pytest.approx(100 * (0.1 * 1.0) ** 0.5, abs=0.05)
    assert (config["tiles_size"], config["tiles_overlap"]) == (64, 25)
