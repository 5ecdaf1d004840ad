import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.window import whole
from geoseg.training.patches import Pose, bounds, cut, frame, grid, grown, level_of
from geoseg.training.samples import Sample, halved, shrunk

SIDE = 200
angles = st.one_of(st.sampled_from([k * math.pi / 2 for k in range(4)]), st.floats(0, 2 * math.pi))


def ramps(shape=(SIDE, SIDE)):
    """Pixels whose first band is their column and whose second is their row."""
    rows, cols = np.indices(shape)
    return np.stack([cols, rows], -1).astype(np.uint8)


def sample(labels, halvings=3, pixels=None):
    pixels = ramps(labels.shape) if pixels is None else pixels
    return Sample(whole(labels.shape), halved(pixels, halvings), labels)


def seen(matrix, size):
    """Where the centres of a patch's pixels lie in the picture, continuous x and y."""
    rows, cols = np.indices((size, size)) + 0.5
    return np.einsum("ij,jhw->hwi", matrix, np.stack([cols, rows, np.ones_like(rows)]))


@settings(deadline=None, max_examples=60)
@given(st.floats(0.3, 6), st.floats(0.3, 6), angles, st.booleans(), st.floats(60, 140), st.floats(60, 140))
def test_pixels_and_labels_lie_on_the_same_ground(across, down, angle, mirror, x, y):
    size = 24
    matrix = frame(size, (x, y), (across, down), Pose(angle, 1, mirror))
    truth = seen(matrix, size)
    inside = ((truth > 9) & (truth < SIDE - 9)).all(-1)
    for axis in (0, 1):
        labels = ramps()[..., axis]
        pixels, found = cut(sample(labels, 3, ramps().astype(np.float32)), matrix, size)
        # a pixel with the number n covers n … n + 1; cv2 rounds places to 1/32 pixel
        off = (pixels[..., axis] + 0.5 - truth[..., axis])[inside]
        assert np.abs(off).max(initial=0) <= max(across, down) / 16
        assert np.abs(found + 0.5 - truth[..., axis])[inside].max(initial=0) < 0.55


@settings(deadline=None, max_examples=40)
@given(st.floats(0.4, 5), angles)
def test_a_checkerboard_stays_under_its_labels(scale, angle):
    rows, cols = np.indices((400, 400)) // 20
    labels = ((rows + cols) % 2).astype(np.uint8)
    size = 64
    matrix = frame(size, (200.3, 199.1), (scale, scale), Pose(angle))
    pixels, found = cut(sample(labels, 3, labels[..., None] * 255), matrix, size)
    inside = ((seen(matrix, size) > 4) & (seen(matrix, size) < 396)).all(-1)
    bright, known = pixels[..., 0] > 127, found == 1
    if scale <= 4:
        moved = [(np.roll(known, step, (0, 1)) != bright)[inside].mean() for step in ((0, 0), (0, 1), (1, 0))]
        assert moved[0] == min(moved)
        assert moved[0] < 0.05 * max(scale, 1)


@given(st.integers(20, 130), st.integers(20, 130), st.sampled_from([16, 32, 50]))
def test_whole_images_shrink_without_a_shift(height, width, side):
    pixels = ramps((height, width))
    small = shrunk(pixels, pixels[..., 0].copy(), side)
    centres = (np.arange(side) + 0.5) * width / side
    inner = (centres > 1) & (centres < width - 1)
    assert np.abs(small.levels[0][:, inner, 0] + 0.5 - centres[inner]).max() <= 1
    assert np.abs(small.labels[:, inner] + 0.5 - centres[inner]).max() <= 0.5 + 1e-6


def test_a_patch_at_scale_one_is_a_slice_and_turns_are_exact():
    labels = np.random.default_rng(0).integers(0, 3, (50, 60)).astype(np.uint8)
    pixels = np.random.default_rng(1).integers(0, 256, (50, 60, 5)).astype(np.uint8)
    one = sample(labels, 0, pixels)
    for turns in range(4):
        for mirror in (False, True):
            found, codes = cut(one, frame(16, (20, 30), (1, 1), Pose(turns * math.pi / 2, 1, mirror)), 16)
            wanted = [np.rot90(array[22:38, 12:28], turns) for array in (pixels, labels)]
            wanted = [np.fliplr(array) if mirror else array for array in wanted]
            assert np.array_equal(found, wanted[0]) and np.array_equal(codes, wanted[1])


def test_past_the_edge_pixels_are_mirrored_and_labels_ignored():
    labels, pixels = np.ones((30, 30), np.uint8), ramps((30, 30))
    found, codes = cut(sample(labels, 0), frame(40, (15, 15), (1, 1)), 40)
    assert np.array_equal(found, np.pad(pixels, ((5, 5), (5, 5), (0, 0)), mode="reflect"))
    assert np.array_equal(codes, np.pad(labels, 5, constant_values=255))


def test_fine_stripes_become_grey_and_not_moire():
    stripes = np.tile(np.array([0, 255], np.uint8), (256, 128))[..., None]
    for scale in (2.0, 2.7, 3.3, 4.0, 7.1):
        matrix = frame(24, (128, 128), (scale, scale))
        pixels, _ = cut(sample(stripes[..., 0], 4, stripes), matrix, 24)
        assert abs(float(pixels.mean()) - 127.5) < 2 and pixels.std() < 3


@given(st.floats(0.2, 20), st.integers(0, 5))
def test_the_level_leaves_less_than_a_skip_of_1_7_px(scale, most):
    level = level_of(frame(8, (0, 0), (scale, scale)), most)
    assert 0 <= level <= most
    assert level == most or scale / 2**level < 1.7
    assert level == 0 or scale / 2**level > 0.8


@given(st.integers(1, 90), st.integers(1, 90), st.floats(0.3, 3), st.sampled_from([8, 20]))
def test_a_grid_covers_every_pixel_once(height, width, scale, size):
    count = np.zeros((height, width), int)
    for matrix in grid((height, width), size, (scale, scale)):
        (left, top), step = matrix[:, 2], size * scale
        rows, cols = (np.arange(n) + 0.5 for n in (height, width))
        count += ((rows >= top) & (rows < top + step))[:, None] & ((cols >= left) & (cols < left + step))
    assert (count == 1).all()


@given(st.floats(0.3, 3), angles, st.integers(0, 9))
def test_a_grown_frame_has_the_same_core_and_bounds_hold_it(scale, angle, margin):
    matrix = frame(20, (50, 60), (scale, scale), Pose(angle))
    outer = grown(matrix, margin)
    core = seen(outer, 20 + 2 * margin)[margin : 20 + margin, margin : 20 + margin]
    assert np.allclose(core, seen(matrix, 20))
    window, places = bounds(outer, 20 + 2 * margin), seen(outer, 20 + 2 * margin)
    assert window.col <= places[..., 0].min() - 1 and window.stop_col >= places[..., 0].max() + 1
    assert window.row <= places[..., 1].min() - 1 and window.stop_row >= places[..., 1].max() + 1


@pytest.mark.parametrize("bands", [1, 3, 4, 8])
def test_levels_are_means_of_four(bands):
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, bands)).astype(np.uint8)
    levels = halved(pixels, 2)
    assert [level.shape for level in levels] == [(32, 48, bands), (16, 24, bands), (8, 12, bands)]
    mean = pixels.reshape(16, 2, 24, 2, bands).mean((1, 3))
    assert np.abs(levels[1] - mean).max() <= 0.5
    assert len(halved(pixels[:3], 5)) == 1
