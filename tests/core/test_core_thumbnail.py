"""A thumbnail made of passing windows is the picture that averaging the whole scene would make."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from geoseg.core.thumbnail import FULL, Thumbnail
from geoseg.core.window import Window


def cover(thumb, pixels, valid, windows):
    for window in windows:
        rows, cols = window.within(Window(0, 0, *valid.shape))
        lattice = thumb.lattice(window)
        thumb.add(window, pixels[rows, cols][lattice], valid[rows, cols][lattice])


def pieces(shape, height, width):
    return [
        Window(row, col, height, width).clip(shape)
        for row in range(0, shape[0], height)
        for col in range(0, shape[1], width)
    ]


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 60), st.integers(1, 60)),
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.integers(1, 70),
    st.integers(0, 2**16),
)
def test_cells_are_means_of_their_valid_pixels_however_the_scene_is_windowed(shape, piece, longest, seed):
    rng = np.random.default_rng(seed)
    pixels, valid = rng.uniform(0, 255, (*shape, 2)).astype(np.float32), rng.uniform(size=shape) < 0.7
    thumb = Thumbnail(Window(0, 0, *shape), 2, longest)
    thumb._spacing = 1  # every pixel is looked at
    cover(thumb, pixels, valid, pieces(shape, *piece))
    means, seen = thumb.picture()
    assert max(seen.shape) <= longest
    for row, col in np.ndindex(seen.shape):
        top, left = row * thumb.factor, col * thumb.factor
        block = slice(top, top + thumb.factor), slice(left, left + thumb.factor)
        inside = pixels[block][valid[block]]
        assert seen[row, col] == bool(len(inside))
        np.testing.assert_allclose(
            means[row, col], inside.mean(0) if len(inside) else 0, rtol=1e-4, atol=1e-3
        )


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 300), st.integers(1, 300)),
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(1, 40),
    st.tuples(st.integers(0, 50), st.integers(0, 50)),
)
def test_a_lattice_of_pixels_reaches_every_cell_and_stays_near_the_mean(shape, piece, longest, corner):
    scene = shape[0] + corner[0] + 7, shape[1] + corner[1] + 9
    rows, cols = np.indices(scene)
    pixels = np.stack([rows, cols], -1)
    area = Window(*corner, *shape)
    thumb = Thumbnail(area, 2, longest)
    cover(thumb, pixels, np.ones(scene, bool), pieces(scene, *piece))
    means, seen = thumb.picture()
    assert seen.all()
    assert seen.shape == (-(-shape[0] // thumb.factor), -(-shape[1] // thumb.factor))
    for axis, start in enumerate(corner):
        cells = np.arange(seen.shape[axis]) * thumb.factor + start
        along = means[..., axis] if axis == 0 else means[..., axis].T
        assert (np.abs(along - cells[:, None]) < thumb.factor).all()


def test_every_pixel_of_the_largest_of_small_cells_is_looked_at():
    pixels = np.random.default_rng(0).uniform(0, 1, (12, 12, 1))
    thumb = Thumbnail(Window(0, 0, 12, 12), 1, 12 // FULL)
    cover(thumb, pixels, np.ones((12, 12), bool), [Window(0, 0, 12, 12)])
    wanted = pixels.reshape(4, FULL, 4, FULL).mean((1, 3))
    np.testing.assert_allclose(thumb.picture()[0][..., 0], wanted, atol=1e-6)


def test_overlapping_windows_and_those_outside_the_area_do_no_harm():
    pixels = np.random.default_rng(0).uniform(0, 1, (64, 64, 1))
    area = Window(16, 8, 32, 48)
    thumb = Thumbnail(area, 1, 16)
    everywhere = [Window(0, 0, 64, 64), Window(0, 0, 10, 8), Window(50, 0, 14, 64), Window(16, 8, 32, 48)]
    cover(thumb, pixels, np.ones((64, 64), bool), everywhere)
    means, seen = thumb.picture()
    assert (thumb.factor, seen.shape, seen.all()) == (3, (11, 16), True)
    np.testing.assert_allclose(means[0, 0, 0], pixels[16:19, 8:11].mean(), rtol=1e-6)


def test_values_that_are_not_valid_do_not_matter():
    pixels, valid = np.full((4, 4, 1), np.nan, np.float32), np.zeros((4, 4), bool)
    pixels[0, 0], valid[0, 0] = 7, True
    thumb = Thumbnail(Window(0, 0, 4, 4), 1, 4)
    thumb.add(Window(0, 0, 4, 4), pixels, valid)
    means, seen = thumb.picture()
    assert (means[0, 0, 0], means.sum(), seen.sum()) == (7, 7, 1)
