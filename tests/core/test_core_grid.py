import numpy as np
import pytest
from core_scenes import grids, windows
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from geoseg.core.grid import Grid
from geoseg.core.window import Window, whole
from geoseg.errors import GridError

COUNT = settings(deadline=None, max_examples=150)


def brute_support(grid, index):
    """The scene pixels of a patch that are not cropped away, as a mask."""
    mask = np.zeros(grid.scene_shape, bool)
    top, left = index[0] * grid.step - grid.lead, index[1] * grid.step - grid.lead
    rows, cols = (slice(start + grid.lead, start + grid.size - grid.lead) for start in (top, left))
    mask[rows, cols] = True
    return mask


def drawn(window, shape):
    mask = np.zeros(shape, bool)
    mask[window.within(whole(shape))] = True
    return mask


@COUNT
@given(grids())
def test_origins_are_exact_multiples_of_the_step(grid):
    down, across = grid.shape
    for i, j in ((0, 0), (down - 1, across - 1), (down // 2, across - 1)):
        assert grid.window((i, j)) == Window(
            i * grid.step - grid.lead, j * grid.step - grid.lead, grid.size, grid.size
        )
    assert grid.step % grid.stride == 0
    assert len(grid) == down * across


@COUNT
@given(grids())
def test_supports_cover_the_scene_and_each_is_needed(grid):
    for axis in (grid.rows, grid.cols):
        supports = [range(*axis.support(i)) for i in range(axis.count)]
        assert all(len(support) for support in supports)
        assert set().union(*supports) == set(range(axis.length))
        if axis.count > 1:
            assert set().union(*supports[:-1]) != set(range(axis.length))


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_support_and_touching_agree_with_brute_force(data):
    sides = st.integers(1, 60)
    grid = data.draw(grids(shapes=st.tuples(sides, sides), max_size=32))
    area = data.draw(windows(grid.scene_shape))
    wanted = drawn(area, grid.scene_shape)
    rows, cols = grid.touching(area)
    for index in np.ndindex(grid.shape):
        brute = brute_support(grid, index)
        assert np.array_equal(drawn(grid.support(index), grid.scene_shape), brute)
        assert (index[0] in rows and index[1] in cols) == (brute & wanted).any()


@COUNT
@given(grids(), st.integers(1, 200))
def test_chunks_tile_the_scene_without_overlap_on_whole_steps(grid, side):
    hits = np.zeros(grid.scene_shape, int)
    for chunk in grid.chunks(side):
        assert not chunk.empty
        assert chunk.row % grid.step == chunk.col % grid.step == 0
        hits[chunk.within(whole(grid.scene_shape))] += 1
        assert max(chunk.shape) <= max(grid.step, side + grid.step // 2)
    assert (hits == 1).all()


@COUNT
@given(grids(cropped=True))
def test_evened_patches_are_as_many_and_no_larger_than_it_takes(grid):
    assume(2 * grid.lead == grid.overlap)
    evened = grid.evened()
    assert evened.shape == grid.shape and evened.lead == grid.lead
    assert evened.size <= grid.size and evened.step % grid.stride == 0
    if evened.step > grid.stride:
        smaller = Grid.cropped(grid.scene_shape, evened.size - grid.stride, grid.lead, grid.stride)
        assert len(smaller) > len(grid)


@COUNT
@given(grids(cropped=True))
def test_cropped_supports_tile_the_scene_without_overlap(grid):
    if grid.lead:
        hits = sum(brute_support(grid, index).astype(int) for index in np.ndindex(grid.shape))
        assert (hits == 1).all()


def test_a_scene_smaller_than_a_patch_has_one_patch():
    assert Grid((1, 256)).shape == (1, 1)
    assert Grid((256, 257)).shape == (1, 2)


def test_a_chunk_is_never_less_than_a_step():
    assert next(Grid((1000, 1000)).chunks(1)).shape == (192, 192)
    assert next(Grid((9000, 9000)).chunks(4096)).shape == (21 * 192, 21 * 192)


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (dict(scene_shape=(0, 5)), ["at least one pixel", "(0, 5)"]),
        (dict(scene_shape=(5, -1)), ["at least one pixel", "(5, -1)"]),
        (dict(size=250), ["250", "multiple", "stride 16", "use 256"]),
        (dict(size=8, overlap=0), ["8", "multiple", "stride 16", "use 16"]),
        (dict(overlap=256), ["below the patch size 256", "got 256"]),
        (dict(overlap=-16), ["from 0", "got -16"]),
        (dict(overlap=60), ["multiple", "stride 16", "256 - 60", "use --overlap 64"]),
        (dict(overlap=250), ["256 - 250", "use --overlap 240"]),
        (dict(lead=16), ["twice their halo 16", "got 64"]),
    ],
)
def test_numbers_that_do_not_fit_are_refused_with_what_was_got_and_what_to_do(numbers, words):
    with pytest.raises(GridError) as error:
        Grid(**{"scene_shape": (1000, 1000), **numbers})
    message = str(error.value)
    assert all(word in message for word in words), message
    assert "\n" not in message


def test_advice_given_by_errors_works():
    assert Grid((9, 9), 256, overlap=240).step == 16
    assert Grid.cropped((9, 9), 4 * 112, 112, 16).step == 224


def test_a_halo_that_leaves_nothing_is_refused_with_a_size_that_works():
    with pytest.raises(GridError, match=r"patch size 224 .* halo of 112 px .* --patch-size 448 or more"):
        Grid.cropped((1000, 1000), 224, 112, 16)


def test_a_halo_off_the_stride_is_refused_in_terms_of_the_halo():
    with pytest.raises(GridError, match=r"halo is a multiple .* 16, got 43; use 48$"):
        Grid.cropped((1000, 1000), 256, 43, 16)


@pytest.mark.parametrize("stride", [0, -16])
def test_a_stride_below_one_is_refused(stride):
    with pytest.raises(GridError, match=f"not a multiple of the network's stride {stride}"):
        Grid((1000, 1000), stride=stride)
