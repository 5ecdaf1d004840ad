import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

from geoseg.errors import GridError
from geoseg.vector.crowns import CrownOptions, find_crowns, separate, surface
from geoseg.vector.crowns_basins import find_basins
from geoseg.vector.crowns_surface import Relief

SIDES = st.integers(1, 40)
EIGHT = np.ones((3, 3))
NEAR = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]
SMALL = CrownOptions(max_radius_px=6, sigma_px=1.0, min_rise_px=0.2, weight_px=8.0)


def canopy(shape, seed, scale=5, saturated=False):
    """Blobs of canopy, of which the probability falls off towards the rim."""
    rng = np.random.default_rng(seed)
    noise = cv2.GaussianBlur(rng.standard_normal(shape), (0, 0), scale) * scale
    codes = np.clip(127 + noise * 160, 0, 254).astype(np.uint8)
    mask = codes >= 128
    return mask, np.where(mask, np.uint8(254), codes) if saturated else codes


def discs(shape, circles):
    rows, cols = np.indices(shape)
    mask = np.zeros(shape, bool)
    for row, col, radius in circles:
        mask |= np.hypot(rows - row, cols - col) <= radius
    return mask, np.where(mask, np.uint8(254), np.uint8(0))


def cut(scene, height):
    return [tuple(plane[k : k + height] for plane in scene) for k in range(0, len(scene[0]), height)]


def labelled(scene, height=10_000, options=None):
    strips = list(separate(cut(scene, height), scene[0].shape[1], options))
    assert [len(strip) for strip in strips] == [len(mask) for mask, _ in cut(scene, height)]
    return np.concatenate(strips)


def partition(labels):
    """The labels renumbered by first occurrence: equal for equal partitions."""
    numbers = np.zeros(labels.shape, int)
    _, first, which = np.unique(labels[labels > 0], return_index=True, return_inverse=True)
    numbers[labels > 0] = np.argsort(np.argsort(first))[which] + 1
    return numbers


def slow_crowns(heights, rise):
    """Labels by definition: climb from each pixel, then merge over one pass after the other."""
    inside = [tuple(map(int, place)) for place in np.argwhere(heights > 0)]
    level = {place: (int(heights[place]), place) for place in inside}

    def around(place):
        return [at for dy, dx in NEAR if (at := (place[0] + dy, place[1] + dx)) in level]

    def top(place):
        up = max(around(place), key=level.__getitem__)
        return place if up == place else top(up)

    peak = {place: top(place) for place in inside}
    crown = {place: place for place in peak.values()}
    passes = {
        (-min(level[a][0], level[b][0]), *sorted((peak[a], peak[b])))
        for a in inside for b in around(a) if peak[a] != peak[b]
    }  # fmt: skip
    merging = True
    while merging:
        merging = False
        for height, a, b in sorted(passes):
            low, high = sorted((crown[a], crown[b]), key=level.__getitem__)
            if low != high and level[low][0] + height < rise:
                crown = {basin: high if name == low else name for basin, name in crown.items()}
                merging = True
                break
    labels = np.zeros(heights.shape, int)
    for place in inside:
        labels[place] = crown[peak[place]][0] * heights.shape[1] + crown[peak[place]][1] + 1
    return labels


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10**6), st.tuples(SIDES, SIDES), SIDES)
def test_the_crowns_are_those_of_a_slow_ascent_and_merge(seed, shape, height):
    scene = canopy(shape, seed, scale=1 + seed % 4, saturated=seed % 3 == 0)
    heights = surface(*scene, SMALL)
    assert np.array_equal(labelled(scene, height, SMALL), partition(slow_crowns(heights, SMALL.rise_steps)))


@pytest.mark.parametrize("saturated", [False, True])
def test_strip_heights_change_no_label(saturated):
    scene = canopy((330, 257), 1, scale=6, saturated=saturated)
    whole = labelled(scene)
    assert whole.max() > 50
    for height in (1, 7, 64, 100):
        assert np.array_equal(labelled(scene, height), whole)


def test_a_margin_of_background_changes_no_crown():
    mask, codes = canopy((150, 140), 2)
    mask[:40], mask[-40:], mask[:, :40], mask[:, -40:] = False, False, False, False
    padded = np.pad(mask, ((13, 5), (29, 2))), np.pad(codes, ((13, 5), (29, 2)))
    assert np.array_equal(labelled(padded, 64)[13:-5, 29:-2], labelled((mask, codes), 64))


def test_crowns_are_the_same_with_nothing_or_much_of_it_between_them():
    parts = canopy((150, 140), 2), canopy((150, 90), 6)
    wide, narrow = (
        labelled([np.concatenate([one, np.zeros((150, gap), one.dtype), other], 1)
                  for one, other in zip(*parts, strict=True)], 64)
        for gap in (300, 6)
    )  # fmt: skip
    assert np.array_equal(np.delete(wide, np.s_[140:434], 1), narrow)


def test_strips_without_canopy_have_labels_too():
    mask, codes = canopy((200, 90), 6)
    mask[50:120] = False
    assert np.array_equal(labelled((mask, codes), 16), labelled((mask, codes)))
    assert not labelled((np.zeros_like(mask), codes), 16).any()


def test_the_surface_turns_with_the_scene():
    mask, codes = canopy((90, 120), 3)
    turned = surface(np.rot90(mask), np.rot90(codes), CrownOptions())
    assert np.array_equal(turned, np.rot90(surface(mask, codes, CrownOptions())))


def test_without_ties_the_basins_turn_with_the_scene():
    heights = np.random.default_rng(4).permutation(np.arange(1, 60 * 70 + 1)).reshape(60, 70)
    heights = np.where(canopy((60, 70), 4)[0], heights, 0).astype(np.uint16)
    upright, turned = (
        partition(find_basins(Relief(0, np.arange(plane.shape[1]), np.pad(plane, 1))).labels)
        for plane in (heights, np.rot90(heights))
    )
    assert np.array_equal(partition(np.rot90(turned, -1)), upright)


def test_labels_lie_exactly_on_the_mask():
    scene = canopy((300, 280), 5)
    labels = labelled(scene, 64)
    assert np.array_equal(labels > 0, scene[0])
    assert np.bincount(labels.ravel())[1:].sum() == scene[0].sum()


def test_labels_count_up_in_raster_order():
    labels = labelled(canopy((200, 190), 6), 64)
    assert np.array_equal(labels, partition(labels))


def test_a_crown_is_connected_and_within_one_component():
    mask, codes = canopy((220, 200), 7)
    labels = labelled((mask, codes), 64)
    components, _ = ndimage.label(mask, EIGHT)
    for number, (rows, cols) in enumerate(ndimage.find_objects(labels), 1):
        crown = labels[rows, cols] == number
        assert ndimage.label(crown, EIGHT)[1] == 1
        assert len(np.unique(components[rows, cols][crown])) == 1


@pytest.mark.parametrize(("circles", "crowns"), [
    ([(30, 30, 12)], 1),
    ([(30, 22, 12), (30, 41, 12)], 2),
    ([(22, 30, 11), (41, 30, 13)], 2),
    ([(30, 20, 10), (30, 36, 10), (30, 52, 10)], 3),
    ([(20, 15, 9), (55, 60, 9)], 2),
], ids=["one", "side by side", "above each other", "three in a row", "apart"])  # fmt: skip
def test_touching_discs_are_one_crown_each(circles, crowns):
    scene = discs((80, 80), circles)
    labels = labelled(scene, 16)
    assert labels.max() == crowns
    assert len({labels[row, col] for row, col, _ in circles}) == crowns


def test_a_crown_may_span_many_strips():
    scene = discs((100, 60), [(50, 30, 25)])
    labels = labelled(scene, 9)
    assert np.array_equal(labels, scene[0].astype(int))


def test_peaks_are_told_once_in_the_strip_where_the_crown_begins():
    scene = discs((100, 80), [(30, 20, 14), (50, 60, 14), (58, 22, 13)])
    strips = list(find_crowns(cut(scene, 10), 80))
    labels = np.concatenate([strip.labels for strip in strips])
    peaks = np.concatenate([strip.peaks for strip in strips])
    assert np.abs(peaks - [(30, 20), (50, 60), (58, 22)]).max() <= 2
    assert labels[tuple(peaks.T)].tolist() == [1, 2, 3]
    for strip in strips:
        assert set(np.unique(strip.labels)) - {0} >= set(range(strip.first, strip.first + len(strip.peaks)))


def test_a_saturated_plateau_is_one_crown():
    flat = np.ones((90, 90), bool), np.full((90, 90), 254, np.uint8)
    assert (labelled(flat, 32) == 1).all()
    square = tuple(np.pad(plane, 30) for plane in flat)
    assert np.array_equal(labelled(square, 32, SMALL), square[0].astype(int))


def test_single_pixels_are_crowns():
    mask = np.zeros((9, 9), bool)
    mask[::4, ::4] = True
    labels = labelled((mask, mask.astype(np.uint8)), 2)
    assert labels[::4, ::4].ravel().tolist() == list(range(1, 10))


def test_nothing_gives_nothing():
    assert list(separate([], 5)) == []
    empty = np.zeros((20, 30), bool), np.full((20, 30), 255, np.uint8)
    assert (labelled(empty, 6) == 0).all()


def test_one_row_and_one_column():
    for shape in ((1, 40), (40, 1), (1, 1)):
        scene = np.ones(shape, bool), np.full(shape, 254, np.uint8)
        assert (labelled(scene, 3) == 1).all()


@pytest.mark.parametrize("strip", [
    (np.zeros((3, 4), bool), np.zeros((3, 4), np.uint8)),
    (np.zeros((3, 5), bool), np.zeros((2, 5), np.uint8)),
    (np.zeros((3, 5), np.uint8), np.zeros((3, 5), np.uint8)),
    (np.zeros((3, 5), bool), np.zeros((3, 5), np.float32)),
    (np.zeros((0, 5), bool), np.zeros((0, 5), np.uint8)),
], ids=["width", "rows", "mask", "codes", "empty"])  # fmt: skip
def test_strips_that_do_not_fit_are_refused(strip):
    with pytest.raises(GridError, match="strip of canopy"):
        list(separate([strip], 5))


def test_a_width_is_needed():
    with pytest.raises(GridError, match="width"):
        separate([], 0)
