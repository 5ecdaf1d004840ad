"""Seams are found where they were planted, and nowhere else."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from geoseg.core.seams import Joints, Jumps, contrast
from geoseg.errors import GridError


def landscape(shape, seed):
    """Smooth blobs with some noise, as probabilities have."""
    rng = np.random.default_rng(seed)
    smooth = gaussian_filter(rng.normal(size=shape), 6)
    return (smooth / smooth.std() * 60 + 120 + rng.normal(size=shape)).astype(np.float32)


def planted(shape, step, height, seed):
    """The same with another level in every patch."""
    rng = np.random.default_rng(seed + 1)
    levels = rng.normal(0, height, [side // step + 1 for side in shape])
    patches = np.repeat(np.repeat(levels, step, 0), step, 1)[: shape[0], : shape[1]]
    return landscape(shape, seed) + patches


def jumps_of(values, valid=None, classes=False, strip=1000):
    """Jumps of an (h, w) array, taken `strip` rows at a time."""
    valid = np.ones(values.shape, bool) if valid is None else valid
    jumps = Jumps(values.shape, classes)
    for row in range(0, len(values), strip):
        jumps.add(values[None, row : row + strip], valid[row : row + strip])
    return jumps


def compared(values, *wheres, **how):
    jumps = jumps_of(values, **how)
    wheres = wheres * 2 if len(wheres) == 1 else wheres
    return contrast(list(zip(jumps.sums, jumps.counts, wheres, strict=True)))


@settings(deadline=None, max_examples=60)
@given(
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.integers(1, 3)),
    st.integers(1, 5),
    st.booleans(),
    st.integers(0, 2**16),
)
def test_jumps_are_those_of_the_whole_array_however_it_passes_by(shape, strip, classes, seed):
    height, width, bands = shape
    rng = np.random.default_rng(seed)
    values, valid = (
        rng.integers(0, 3, (bands, height, width)).astype(np.uint8),
        rng.random((height, width)) < 0.8,
    )
    jumps = Jumps((height, width), classes)
    for row in range(0, height, strip):
        jumps.add(values[:, row : row + strip], valid[row : row + strip])
    for axis, length in enumerate((height, width)):
        assert jumps.sums[axis].shape == jumps.counts[axis].shape == (length,)
        for line in range(length):
            pairs = [
                (values[:, a, b].astype(int), values[:, c, d].astype(int))
                for a, b, c, d in (
                    [(line - 1, k, line, k) for k in range(width)]
                    if axis == 0
                    else [(k, line - 1, k, line) for k in range(height)]
                )
                if line and valid[a, b] and valid[c, d]
            ]
            steps = [(x != y).any() if classes else np.abs(x - y).mean() for x, y in pairs]
            assert jumps.counts[axis][line] == len(pairs)
            assert jumps.sums[axis][line] == pytest.approx(sum(steps), abs=1e-5)


def test_a_planted_seam_is_found_and_measured():
    found = compared(planted((700, 900), 100, 12.0, 0), Joints(100, spacing=4))
    assert found.p_value == pytest.approx(1e-4)
    assert found.ratio > 1.2
    assert found.joints == 6 + 8
    assert found.ratio == pytest.approx(found.on_grid / found.off_grid)


def test_a_grid_elsewhere_finds_nothing_of_it():
    for origin in (20, 48, 80):
        found = compared(planted((700, 900), 100, 3.0, 0), Joints(100, spacing=4, origin=origin))
        assert found.p_value > 0.5, "the true joints are among the others, and larger"
        assert found.ratio < 1


def test_without_seams_p_values_are_spread_evenly():
    values = [compared(landscape((260, 330), seed), Joints(64, spacing=8)).p_value for seed in range(60)]
    counts = np.histogram(values, 3, (0, 1))[0]
    assert min(values) > 1e-3
    assert counts.min() >= 8, counts  # of 20 expected; binomial: below 8 once in 1,000


def test_a_pattern_of_the_networks_stride_is_no_seam():
    values = landscape((700, 900), 1)
    values[:, ::16] += 30  # what strided layers leave, tiled or not
    values[::16] += 30
    assert compared(values, Joints(192, (0, 64), spacing=16)).p_value > 0.01
    assert compared(values, Joints(192, (0, 64), spacing=4)).ratio > 1.5, (
        "a finer comparison takes it for one"
    )


def test_masks_count_pixels_that_change_their_class():
    mask = (landscape((800, 800), 2) > 120).astype(np.uint8) + 1
    assert compared(mask, Joints(100, spacing=4), classes=True).p_value > 0.01
    mask[:, 400:] = np.roll(mask[:, 400:], 30, 0)  # two halves that do not fit
    mask[400:] = np.roll(mask[400:], 30, 1)
    found = compared(mask, Joints(400, spacing=4), classes=True)
    assert found.p_value < 0.05
    assert found.ratio > 1.5
    assert 0 < found.on_grid < 1


def test_seams_on_one_axis_are_told_from_the_other():
    values = planted((100, 900), 100, 3.0, 3)
    values = np.repeat(values[:1] * 0 + np.repeat(np.arange(9) % 2 * 5.0, 100), 700, 0) + landscape(
        (700, 900), 3
    )
    jumps = jumps_of(values)
    rows, columns = (
        contrast([(jumps.sums[axis], jumps.counts[axis], Joints(100, spacing=4))]) for axis in (0, 1)
    )
    assert rows.p_value > 0.01
    assert columns.p_value < 0.001


@pytest.mark.parametrize("origin", [0, 37, -37, 163, -500])
def test_the_origin_moves_the_grid(origin):
    big = planted((900, 1100), 100, 4.0, 4)
    part = big[(-origin) % 100 :, (-origin) % 100 :]
    found = compared(part, Joints(100, spacing=4, origin=origin))
    assert found.p_value < 0.001


def test_pixels_without_data_do_not_matter():
    values, valid = planted((700, 900), 100, 3.0, 5), np.ones((700, 900), bool)
    valid[200:400, 300:600] = False
    expected = compared(values, Joints(100, spacing=4), valid=valid)
    values[~valid] = np.nan
    assert compared(values, Joints(100, spacing=4), valid=valid) == expected


def test_nothing_jumps_where_all_is_alike():
    found = compared(np.zeros((400, 400), np.float32), Joints(100, spacing=4))
    assert (found.ratio, found.p_value, found.on_grid) == (1, 1, 0)


def test_too_small_a_raster_has_no_joints():
    assert compared(landscape((90, 90), 0), Joints(100, spacing=4)) is None


def test_the_answer_is_the_same_every_time():
    values = np.round(landscape((300, 300), 6))
    assert compared(values, Joints(64, spacing=8)) == compared(values, Joints(64, spacing=8), strip=7)


@pytest.mark.parametrize(
    "numbers", [(100, (0,), 16), (96, (0, 8), 16), (100, (0,), 0), (32, (0,), 16), (32, (0, 8), 16)]
)
def test_grids_that_cannot_be_compared_are_refused(numbers):
    with pytest.raises(GridError, match="--stride"):
        Joints(*numbers)


@pytest.mark.parametrize("numbers", [(48, (0,), 16), (64, (0, 16), 16)])
def test_the_fewest_lines_that_can_be_compared_are_enough(numbers):
    assert Joints(*numbers).step == numbers[0]
