"""Tracing masks and labels, against GDAL's polygonizer and whatever the strips' height."""

import tracemalloc
from dataclasses import fields, replace

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from rasterio.features import shapes
from scipy import ndimage

from geoseg.errors import GridError
from geoseg.vector import trace_slab
from geoseg.vector.components import concatenate
from geoseg.vector.trace import trace

HEIGHTS = [1, 2, 3, 7, 100]
LEVEL = 127.5


def cut(labels, codes, valid, height):
    for row in range(0, len(labels), height):
        yield tuple(None if plane is None else plane[row : row + height] for plane in (labels, codes, valid))


def traced(labels, codes=None, valid=None, height=None, **options):
    """All components of a raster in one batch; None when there are none."""
    strips = cut(labels, codes, valid, height or len(labels))
    batches = list(trace(strips, labels.shape[1], **options))
    assert all(map(len, batches))
    return concatenate(batches) if batches else None


def planes(components):
    """Everything that components consist of, by name."""
    if components is None:
        return {}
    values = {field.name: getattr(components, field.name) for field in fields(components)}
    return {name: value for name, value in values.items() if value is not None}


def same(one, other):
    one, other = planes(one), planes(other)
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype and one[name].tobytes() == other[name].tobytes() for name in one
    )


def by_gdal(labels):
    """Polygons and values of 4-connected components, along the sides of pixels."""
    found = list(shapes(labels.astype(np.int32), mask=labels != 0, connectivity=4))
    polygons = [shapely.Polygon(g["coordinates"][0], g["coordinates"][1:]) for g, _ in found]
    return np.array(polygons, object), np.array([value for _, value in found])


def wkb(polygons):
    """The set of polygons in normal form; vertices on straight sides do not count."""
    return sorted(shapely.to_wkb(shapely.normalize(shapely.simplify(polygons, 0))))


@st.composite
def rasters(draw, most=1):
    """(h, w) labels 0 … most, noisy or in smooth blobs."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    cover = draw(st.sampled_from([0.01, 0.2, 0.4, 0.5, 0.6, 0.8, 0.95]))
    noise = rng.random((2, *shape))
    if draw(st.booleans()):
        noise = ndimage.gaussian_filter(noise, (0, 1.2, 1.2)).argsort(None).argsort().reshape(2, *shape)
        noise = noise / noise.size
    labels = 1 + (noise[1] * most).astype(int).clip(0, most - 1)
    dtype = draw(st.sampled_from(["uint8", "uint16", "int32"]))
    return np.where(noise[0] < cover, labels, 0).astype(dtype)


def holds(labels, codes, components):
    """The laws that any trace obeys."""
    if not labels.any():
        assert components is None
        return
    polygons, (expected, values) = components.polygons(), by_gdal(labels)
    assert wkb(polygons) == wkb(expected)
    assert sorted(components.label) == sorted(values)
    assert shapely.is_valid(polygons).all()
    assert np.array_equal(shapely.area(polygons), components.pixels)
    box = shapely.bounds(polygons)[:, [1, 0, 3, 2]]
    assert np.array_equal(box, components.bounds)
    order = np.lexsort((box[:, 1], box[:, 0], box[:, 2]))
    assert np.array_equal(order, np.arange(len(order)))
    assert not shapely.is_ccw(shapely.get_exterior_ring(polygons)).any()  # y is down: so it is on screen
    for label in np.unique(values):
        chosen = components.label == label
        assert components.probability_sum[chosen].sum() == codes[labels == label].sum(dtype=np.int64)


@settings(max_examples=80, deadline=None)
@given(rasters())
def test_masks_are_traced_as_gdal_does_with_strips_of_any_height(mask):
    codes = np.random.default_rng(0).integers(0, 256, mask.shape, np.uint8)
    whole = traced(mask, codes, level=LEVEL)
    holds(mask, codes, whole)
    assert all(same(traced(mask, codes, height=height, level=LEVEL), whole) for height in HEIGHTS)


@settings(max_examples=60, deadline=None)
@given(rasters(most=4))
def test_labels_are_traced_in_one_pass_and_form_a_coverage(labels):
    codes = np.random.default_rng(0).integers(0, 256, labels.shape, np.uint8)
    whole = traced(labels, codes, level=LEVEL)
    holds(labels, codes, whole)
    if whole is not None:
        assert shapely.coverage_is_valid(whole.polygons())
    assert all(same(traced(labels, codes, height=height, level=LEVEL), whole) for height in HEIGHTS)


@settings(max_examples=25, deadline=None)
@given(rasters(most=2), st.integers(1, 9), st.integers(0, 12), st.integers(0, 2**32))
def test_filters_and_validity_do_not_depend_on_the_strips(labels, least, hole, seed):
    valid = np.random.default_rng(seed).random(labels.shape) < 0.9
    options = dict(valid=valid, min_pixels=least, max_hole_pixels=hole)
    whole = traced(labels, **options)
    assert all(same(traced(labels, height=height, **options), whole) for height in HEIGHTS)
    if whole is None:
        return
    assert (whole.pixels >= least).all()
    polygons = whole.polygons()
    assert shapely.is_valid(polygons).all()
    assert shapely.area(shapely.union_all(polygons)) == shapely.area(polygons).sum()  # nothing overlaps


@settings(max_examples=25, deadline=None)
@given(rasters(), st.integers(0, 2**32))
def test_components_at_the_edge_or_at_nodata_are_marked(mask, seed):
    valid = np.random.default_rng(seed).random(mask.shape) < 0.95
    found = traced(mask, valid=valid)
    labels, _ = ndimage.label((mask != 0) & valid)
    outside = ~np.pad(valid, 1)
    beside = ndimage.binary_dilation(outside)[1:-1, 1:-1]
    if found is not None:
        first = found.corners[found.ring_offsets[found.component_offsets[:-1]]]
        one = labels[first[:, 1], first[:, 0] - 1]  # the pixel below the first edge of a shell
        assert found.touches_edge.tolist() == [bool(beside[labels == k].any()) for k in one]


def test_wide_strips_are_cut_into_slabs_that_bound_memory(monkeypatch):
    mask = np.random.default_rng(1).random((40, 30)) < 0.5
    whole = traced(mask)
    monkeypatch.setattr(trace_slab, "SLAB_PIXELS", 100)
    assert max(len(slab.labels) for slab in trace_slab.slabs([(mask, None, None)], 30)) == 4
    assert same(traced(mask), whole)


def peak_memory(strips, width):
    """Bytes at most held by numpy while tracing, without what is handed out."""
    tracemalloc.start()
    for _ in trace(strips, width, level=LEVEL):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_rows():
    codes = np.random.default_rng(4).integers(0, 256, (32, 500), np.uint8)
    codes[:, 7] = 0
    strip = codes > 160, codes, None
    few, many = (peak_memory([strip] * count, 500) for count in (5, 50))
    assert many < 1.2 * few


def test_a_raster_wider_than_65536_pixels():
    mask = np.zeros((5, 70_001), bool)
    mask[1:4, 65_530:65_545] = mask[1:4, 10:20] = mask[2, 69_999:] = mask[:2, 70_000] = True
    mask[2, 65_537] = False
    found = traced(mask, height=2)
    assert wkb(found.polygons()) == wkb(by_gdal(mask)[0])
    assert found.bounds[:, 1].tolist() == [69_999, 10, 65_530]


def test_rows_and_columns_whose_product_exceeds_32_bits(monkeypatch):
    labels = np.random.default_rng(2).integers(0, 3, (20, 70_000), np.uint8)
    labels[:, 100:-100] = 0
    low, far = traced(labels, labels, height=7, level=1.5), 2_000_000_000
    shifted = lambda *strips: (replace(s, row=s.row + far) for s in trace_slab.slabs(*strips))  # noqa: E731
    monkeypatch.setattr("geoseg.vector.trace.slabs", shifted)
    deep = traced(labels, labels, height=7, level=1.5)
    assert np.array_equal(deep.corners - [0, far], low.corners)
    assert np.abs(deep.border - [0, far] - low.border).max() < 1e-6
    assert np.array_equal(deep.pixels, low.pixels)


@pytest.mark.parametrize(
    ("strip", "words"),
    [
        ((np.zeros((2, 3), np.uint8), None, None), r"must be \(rows, 4\)"),
        ((np.zeros((2, 4), np.float32), None, None), "got .* of float32"),
        ((np.zeros((2, 4), np.uint8), np.zeros((2, 3), np.uint8), None), "probability codes of a strip"),
        ((np.zeros((2, 4), np.uint8), None, np.zeros((2, 4), np.uint8)), "validity of a strip must be bool"),
    ],
)
def test_strips_that_do_not_fit_are_refused(strip, words):
    with pytest.raises(GridError, match=words):
        list(trace([strip], 4))


def test_arguments_that_make_no_sense_are_refused():
    mask = np.ones((2, 4), bool)
    with pytest.raises(GridError, match="width 0"):
        trace([], 0)
    with pytest.raises(GridError, match="min_pixels -1"):
        trace([], 4, min_pixels=-1)
    with pytest.raises(GridError, match="no probability codes"):
        list(trace([(mask, None, None)], 4, level=0.5))
    with pytest.raises(GridError, match="give all or none"):
        list(trace([(mask, None, None), (mask, mask.astype(np.uint8), None)], 4))
    with pytest.raises(GridError, match="trace them with a level"):
        traced(mask).border_polygons()
