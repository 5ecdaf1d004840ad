import numpy as np
import pytest

from geoseg.core import planes
from geoseg.core.planes import interleave, row_blocks, separate

PIXELS = np.random.default_rng(0).integers(0, 255, (7, 5, 3), np.uint8)


@pytest.mark.parametrize("bands", [1, 2, 3, 7])
@pytest.mark.parametrize("dtype", ["uint8", "float32", "uint32"])
def test_interleaving_undoes_separating(bands, dtype):
    pixels = np.random.default_rng(bands).integers(0, 255, (7, 5, bands)).astype(dtype)
    assert np.array_equal(interleave(separate(pixels)), pixels)


@pytest.mark.parametrize(("bands", "dtype"), [(3, "bool"), (3, "int64"), (4, "complex64"), (600, "uint8")])
def test_what_opencv_cannot_hold_is_separated_too(bands, dtype):
    pixels = np.random.default_rng(bands).integers(0, 2, (7, 5, bands)).astype(dtype)
    assert all(np.array_equal(plane, pixels[..., band]) for band, plane in enumerate(separate(pixels)))
    assert np.array_equal(interleave(separate(pixels)), pixels)


@pytest.mark.parametrize("pixels", [PIXELS, PIXELS[::2, ::2], PIXELS[..., :1], PIXELS.transpose(1, 0, 2)])
def test_planes_are_contiguous_however_pixels_lie_in_memory(pixels):
    for band, plane in enumerate(separate(pixels)):
        assert plane.flags.c_contiguous
        assert np.array_equal(plane, pixels[..., band])


def test_planes_that_lie_together_are_not_copied():
    banded = np.ascontiguousarray(np.moveaxis(PIXELS, -1, 0))
    assert all(np.shares_memory(plane, banded) for plane in separate(np.moveaxis(banded, 0, -1)))


@pytest.mark.parametrize("shape", [(1, 1), (10, 3), (3, 10), (9, 4, 2), (5, 0)])
def test_row_blocks_hold_every_row_once(shape, monkeypatch):
    monkeypatch.setattr(planes, "CACHED", 8)
    rows = np.concatenate([np.arange(shape[0])[block] for block in row_blocks(shape)])
    assert all(block.stop - block.start in (1, 8 // max(1, shape[1])) for block in row_blocks(shape))
    assert rows.tolist() == list(range(shape[0]))
