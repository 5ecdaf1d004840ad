import numpy as np
import pytest

from geoseg.core.batching import batches
from geoseg.core.patches import Patch
from geoseg.core.scaling import Scaling


def patches(count, dtype="uint8"):
    valid = np.ones((4, 4), bool)
    return [Patch((0, k), np.full((4, 4, 2), k + 1, dtype), valid) for k in range(count)]


@pytest.mark.parametrize("size", [1, 3, 7, 20])
def test_every_batch_has_one_shape_and_patches_stay_in_order(size):
    found = list(batches(patches(7), size))
    assert [patch.index[1] for batch in found for patch in batch.patches] == list(range(7))
    assert len(found) == -(-7 // size)
    for batch in found:
        assert batch.pixels.shape == (size, 4, 4, 2)
        assert batch.pixels.dtype == np.uint8
        filled = len(batch.patches)
        assert (batch.pixels[:filled, 0, 0, 0] == [patch.index[1] + 1 for patch in batch.patches]).all()
        assert not batch.pixels[filled:].any()


def test_no_patches_make_no_batch():
    assert list(batches([], 3)) == []


def test_pixels_are_scaled_and_padding_stays_zero():
    (batch,) = batches(patches(2, "uint16"), 3, Scaling(-10, 90))
    assert batch.pixels.dtype == np.float32
    assert np.allclose(batch.pixels[:, 0, 0, 0], [11 * 2.55, 12 * 2.55, 0])


def test_patches_are_taken_only_when_a_batch_is_asked_for():
    taken = []
    source = (taken.append(patch) or patch for patch in patches(9))
    next(batches(source, 2))
    assert len(taken) == 2
