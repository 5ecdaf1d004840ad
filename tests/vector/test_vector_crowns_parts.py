from io import BytesIO

import numpy as np
import pytest
import shapely
from scipy import ndimage
from test_vector_crowns import canopy, cut, discs, labelled

from geoseg.errors import GridError
from geoseg.vector.crowns import CrownOptions, circularity, equivalent_diameter, simplify_coverage, surface
from geoseg.vector.crowns_basins import find_basins
from geoseg.vector.crowns_merge import Groups, merged
from geoseg.vector.crowns_spool import Spool
from geoseg.vector.crowns_surface import reliefs, squared_distance


def outlines(labels):
    """A polygon per label with all lattice points of its border, so that neighbours fit together."""
    polygons = []
    for number in range(1, labels.max() + 1):
        rows, cols = np.nonzero(labels == number)
        polygons.append(shapely.coverage_union_all(shapely.box(cols, rows, cols + 1, rows + 1)))
    return np.array(polygons, object)


@pytest.mark.parametrize("most", [1, 3, 20, 181])
def test_the_distance_is_the_euclidean_one_up_to_its_limit(most):
    for seed, scale in ((0, 1), (1, 4), (2, 12)):
        mask = canopy((97, 131), seed, scale)[0]
        distance = np.minimum(ndimage.distance_transform_edt(mask), most)
        assert np.array_equal(squared_distance(mask, most), np.rint(distance**2))


def test_without_background_the_distance_is_its_limit():
    assert (squared_distance(np.ones((5, 400), bool), 181) == 181**2).all()
    assert squared_distance(np.zeros((3, 0), bool), 9).shape == (3, 0)


@pytest.mark.parametrize("gap", [0, 1, 11, 60])
def test_the_surface_of_a_strip_is_that_of_the_whole(gap):
    mask, codes = canopy((150, 90), 8)
    mask[:, 30 : 30 + gap] = False
    options = CrownOptions(max_radius_px=9)
    whole = np.pad(surface(mask, codes, options), 1)
    for height in (1, 13, 64):
        for relief in reliefs(cut((mask, codes), height), 90, options):
            found = np.zeros((len(relief.heights), 92), np.uint16)
            found[:, relief.columns + 1] = relief.heights[:, 1:-1]
            assert np.array_equal(found, whole[relief.row : relief.row + len(found)])
            assert not relief.heights[:, [0, -1]].any()


def test_columns_far_from_canopy_are_left_out():
    mask = np.zeros((50, 400), bool)
    mask[10:40, 200:230] = True
    options = CrownOptions(max_radius_px=9, sigma_px=1.0)
    (relief,) = reliefs([(mask, np.full(mask.shape, 200, np.uint8))], 400, options)
    assert np.array_equal(relief.columns, np.arange(196, 234))


def test_what_lies_outside_the_mask_does_not_count():
    mask, codes = canopy((60, 60), 9)
    other = np.where(mask, codes, np.uint8(255))
    assert np.array_equal(surface(mask, codes, CrownOptions()), surface(mask, other, CrownOptions()))


@pytest.mark.parametrize("sigma", [0.0, 1.5])
def test_no_rows_have_no_surface(sigma):
    options = CrownOptions(sigma_px=sigma)
    assert surface(np.ones((5, 7), bool), np.ones((5, 7), np.uint8), options, slice(2, 2)).shape == (0, 7)
    assert surface(np.ones((0, 7), bool), np.ones((0, 7), np.uint8), options).shape == (0, 7)


def test_the_highest_surface_fits_into_sixteen_bits():
    options = CrownOptions(max_radius_px=181, weight_px=900.0, min_rise_px=1.0)
    full = surface(np.ones((4, 4), bool), np.full((4, 4), 254, np.uint8), options)
    assert full.min() == full.max() == 1081 * options.steps_per_px


def test_options_follow_the_pixel_size():
    assert CrownOptions.from_pixel_size(0.3) == CrownOptions(34, 1.5, 0.15, 32.0)
    fine = CrownOptions.from_pixel_size(0.05)
    assert fine.max_radius_px == 181
    assert fine.margin == 181 + 27 + 1
    assert CrownOptions.from_pixel_size(20).max_radius_px == 1


@pytest.mark.parametrize("wrong", [
    dict(max_radius_px=0), dict(max_radius_px=182), dict(sigma_px=-1.0), dict(weight_px=float("nan")),
    dict(min_rise_px=0.0), dict(max_radius_px=2.5),
], ids=str)  # fmt: skip
def test_options_that_make_no_sense_are_refused(wrong):
    with pytest.raises(GridError, match=next(iter(wrong))):
        CrownOptions(**wrong)


@pytest.mark.parametrize("sizes", [(0, 1, 2), (0.3, 0, 2), (0.3, 3, 2)])
def test_sizes_in_metres_must_make_sense(sizes):
    with pytest.raises(GridError, match="rising order"):
        CrownOptions.from_pixel_size(*sizes)


def test_merging_does_not_depend_on_the_order_of_edges_or_hills():
    rng = np.random.default_rng(1)
    heights, peaks = rng.integers(50, 60, 40), rng.permutation(40)
    edges = np.column_stack([rng.integers(0, 40, (150, 2)), rng.integers(40, 51, 150)])
    edges = edges[edges[:, 0] != edges[:, 1]]
    expected = peaks[merged(edges, peaks, heights, 8)]
    shuffle, back = rng.permutation(40), np.empty(40, int)
    back[shuffle] = np.arange(40)
    mixed = np.column_stack([back[edges[:, 1::-1]], edges[:, 2]])[rng.permutation(len(edges))]
    assert np.array_equal(peaks[shuffle][merged(mixed, peaks[shuffle], heights[shuffle], 8)][back], expected)


def test_a_forest_without_gaps_does_not_keep_its_basins():
    codes = np.tile(canopy((120, 200), 10)[1], (20, 1))
    scene, options = (np.ones(codes.shape, bool), codes), CrownOptions()
    groups, held, crowns = Groups(200, options.rise_steps), [], set()
    for relief in reliefs(cut(scene, 40), 200, options):
        groups.add(find_basins(relief), range(relief.row, relief.row + 40))
        groups.settle()
        while (done := groups.pop()) is not None:
            crowns.update(done.tolist())
        held.append(groups.stop - groups.first)
    assert len(crowns) > 700
    assert max(held) < 300


def test_the_spool_gives_back_what_it_took_from_memory_and_from_its_file():
    rng = np.random.default_rng(2)
    strips = [rng.integers(0, 99, (k % 5 + 1, 50), dtype=np.int32) for k in range(30)]
    spool, out = Spool(BytesIO(), limit=700), []
    for k, strip in enumerate(strips):
        spool.push(strip)
        if k % 3:
            out.append(spool.pop())
        assert spool.held <= 700
    out += [spool.pop() for _ in range(10)]
    assert all(np.array_equal(one, other) for one, other in zip(out, strips, strict=True))
    assert not spool.strips
    assert spool.file.seek(0, 2) == 0


def test_simplified_neighbours_neither_overlap_nor_part():
    mask = discs((90, 90), [(30, 25, 15), (30, 52, 15), (55, 40, 16), (75, 78, 8)])[0]
    polygons = outlines(labelled((mask, mask.view(np.uint8) * np.uint8(254)), 32))
    simple = simplify_coverage(polygons, 2.0)
    assert len(simple) == 4
    assert shapely.coverage_is_valid(simple)
    assert shapely.is_valid(simple).all()
    assert shapely.get_num_coordinates(simple).sum() < shapely.get_num_coordinates(polygons).sum() / 2
    assert shapely.area(shapely.union_all(simple)) == pytest.approx(shapely.area(simple).sum())
    assert shapely.intersection(simple[0], simple[1]).length > 5
    assert len(shapely.get_rings(shapely.union_all(simple))) == len(
        shapely.get_rings(shapely.union_all(polygons))
    )


def test_a_group_that_does_not_fit_together_stays_and_the_others_are_simplified():
    mask = discs((60, 60), [(30, 20, 12), (30, 41, 12)])[0]
    good = outlines(labelled((mask, mask.view(np.uint8) * np.uint8(254))))
    bad = np.array([shapely.box(100, 0, 110, 10), shapely.box(105, 5, 120, 20)])
    simple = simplify_coverage(np.concatenate([good, bad]), 2.0)
    assert shapely.equals(simple[2:], bad).all()
    assert (shapely.get_num_coordinates(simple[:2]) < shapely.get_num_coordinates(good)).all()
    assert shapely.coverage_is_valid(simple[:2])


def test_groups_do_not_run_into_each_other_when_one_group_does_not_fit():
    notch = shapely.Polygon([(0, 0), (20, 0), (20, 20), (11, 20), (10, 12), (9, 20), (0, 20)])
    tip = shapely.Polygon([(10, 14), (10.5, 19.5), (9.5, 19.5)])
    bad = [shapely.box(100, 0, 110, 10), shapely.box(105, 5, 120, 20)]
    simple = simplify_coverage(np.array([notch, tip, *bad], object), 9.0)
    assert not shapely.intersects(simple[0], simple[1])


def test_nothing_to_simplify():
    assert len(simplify_coverage(np.zeros(0, object), 1.0)) == 0
    box = np.array([shapely.box(0, 0, 3, 3)])
    assert shapely.equals_exact(simplify_coverage(box, 0.0), box).all()
    with pytest.raises(GridError, match="tolerance"):
        simplify_coverage(box, -1.0)


def test_measures_of_known_shapes():
    circle = shapely.Point(0, 0).buffer(5, quad_segs=200)
    shapes = np.array([circle, shapely.box(0, 0, 2, 2), shapely.Polygon()])
    assert circularity(shapes) == pytest.approx([1, np.pi / 4, 0], abs=1e-4)
    assert equivalent_diameter(shapely.area(shapes)) == pytest.approx([10, 4 / np.sqrt(np.pi), 0], abs=1e-3)
