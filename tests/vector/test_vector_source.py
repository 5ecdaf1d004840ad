"""Reading what is to be vectorized: geoseg's own rasters, and anybody's."""

from types import SimpleNamespace

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import NORTH_UP, UTM, corner_points, write_raster
from rasterio.crs import CRS

from geoseg.core.mask import classify, quantize
from geoseg.core.stitch import Strip
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.geobox import GeoBox
from geoseg.models.card import Card, ClassSpec
from geoseg.outputs import mask_output, probability_output, rasters
from geoseg.vector.source import open_raster_source

SHAPE = (300, 211)
NAMES = ("building", "tree", "water body", "road")
LIMITS = (0.5, 0.4, 0.6, 0.5)


def chances(classes=2, seed=3):
    """(h, w, classes) float32 probabilities and validity (h, w)."""
    rng = np.random.default_rng(seed)
    rows, cols = np.indices(SHAPE)
    return rng.random((*SHAPE, classes), np.float32), (rows + cols > 60) & (cols < 200)


def write_own(folder, kind, classes=2, activation="sigmoid", profiles=None, names=NAMES):
    """A raster as geoseg predict writes it: `mask`, `uint8` or `float32` probabilities."""
    probabilities, valid = chances(classes)
    specs = tuple(
        ClassSpec(name, threshold=t, profile=p)
        for name, t, p in zip(names[:classes], LIMITS, profiles or ["generic"] * 4, strict=False)
    )
    card = Card(
        name="tiny", summary="", licence="MIT", attribution=(), architecture="unet", parameters=0,
        activation=activation, bands=("red",), pixel_sizes_m=(0.1, 1.0), patch_size=64, overlap=16,
        median_kernel=0, stride=1, halo=0, classes=specs,
    )  # fmt: skip
    bundle = SimpleNamespace(card=card, level=None)
    settings = SimpleNamespace(thresholds=LIMITS[:classes], digest="0")
    box = GeoBox(SHAPE, NORTH_UP, CRS.from_string(UTM))
    output = mask_output(box, bundle, settings, {}, {}) if kind == "mask" else probability_output(
        box, bundle, settings, {}, {}, kind)  # fmt: skip
    path = folder / f"{kind}.tif"
    window = Window(0, 0, *SHAPE)
    with rasters([path], [output]) as stripe:
        stripe(window)(Strip(window, probabilities, valid))
    return path


def write(folder, values, name="mask.tif", **options):
    pixels = values if values.ndim == 3 else values[..., None]
    return write_raster(folder / name, pixels, **options)


def thresholds(source):
    return tuple(one.threshold for one in source.bands)


def whole(source, name=None, rows=128):
    """Labels, codes and validity of the whole raster."""
    strips = list(source.strips(name, rows))
    assert all(len(strip.labels) == rows for strip in strips[:-1])
    labels, codes, valid, _ = zip(*strips, strict=True)
    return np.concatenate(labels), None if codes[0] is None else np.concatenate(codes), np.concatenate(valid)


def fields(seed=0, values=(0, 1, 2)):
    return np.random.default_rng(seed).choice(np.array(values), SHAPE)


@pytest.mark.parametrize("rows", [1, 7, 128, 1000])
def test_our_mask_names_its_classes(tmp_path, rows):
    path = write_own(tmp_path, "mask", 4)
    probabilities, valid = chances(4)
    truth = classify(probabilities, valid, LIMITS, "sigmoid")
    with open_raster_source(path) as source:
        assert source.kind == "mask"
        assert source.classes == tuple(zip(NAMES, (1, 2, 3, 4), strict=True))
        assert (source.model, source.scene) == ("tiny", "mask.tif")
        assert [(one.cut, one.profile) for one in source.bands] == [(None, "generic")] * 4
        assert source.geobox.transform == NORTH_UP
        labels, codes, has_data = whole(source, rows=rows)
        assert codes is None
        assert labels.dtype == np.uint8
        assert np.array_equal(labels, np.where(valid, truth, 0))
        assert np.array_equal(has_data, valid)
        assert np.array_equal(whole(source, "tree")[0], np.where(truth == 2, 2, 0))


@pytest.mark.parametrize("name", ["tree", "2"])
def test_one_class_of_a_mask_by_name_or_number(tmp_path, name):
    path = write_own(tmp_path, "mask")
    with open_raster_source(path, class_name=name) as source:
        assert source.classes == (("tree", 2),)
        assert set(np.unique(whole(source)[0])) == {0, 2}


def test_our_mask_without_its_side_file_still_knows_its_classes(tmp_path):
    path = write_own(tmp_path, "mask")
    path.with_name("mask.tif.aux.xml").unlink()
    with open_raster_source(path) as source:
        assert source.classes == (("building", 1), ("tree", 2))


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("classes", [1, 2, 3, 4])
def test_our_probabilities_are_read_class_by_class(tmp_path, kind, classes):
    path = write_own(tmp_path, kind, classes)
    probabilities, valid = chances(classes)
    codes = quantize(probabilities, valid)
    with open_raster_source(path) as source:
        assert source.kind == "probability"
        assert [name for name, _ in source.classes] == list(NAMES[:classes])
        assert thresholds(source) == LIMITS[:classes]
        for k, (name, one) in enumerate(zip(NAMES[:classes], source.bands, strict=True)):
            labels, read, has_data = whole(source, name)
            assert np.array_equal(has_data, valid)
            assert np.array_equal(labels > 0, (read > one.cut) & valid)
            assert set(np.unique(labels)) == {0, k + 1}
            assert np.abs(read.astype(int) - codes[..., k])[valid].max() <= (kind == "float32")
            assert (read[~valid] == 255).all()
            if kind == "float32":
                assert np.array_equal(labels > 0, (probabilities[..., k] >= np.float32(LIMITS[k])) & valid)


def test_classes_of_probabilities_may_overlap_so_one_is_read_at_a_time(tmp_path):
    path = write_own(tmp_path, "uint8")
    with (
        open_raster_source(path) as source,
        pytest.raises(SceneError, match="one at a time of building, tree"),
    ):
        source.strips()
    with open_raster_source(path, class_name="tree") as source:
        assert source.classes == (("tree", 2),)
        assert len(list(source.strips())) == 3


@pytest.mark.parametrize("band", [2, "2", "tree"])
def test_a_band_by_name_or_number(tmp_path, band):
    with open_raster_source(write_own(tmp_path, "uint8"), band=band, threshold=0.9) as source:
        assert source.classes == (("tree", 2),)
        assert thresholds(source) == (0.9,)
        assert source.bands[0].cut == 228.5


def test_a_threshold_of_one_class_leaves_the_others_as_calibrated(tmp_path):
    with open_raster_source(write_own(tmp_path, "uint8"), threshold={"tree": 0.9}) as source:
        assert thresholds(source) == (LIMITS[0], 0.9)


@pytest.mark.parametrize("threshold", [0, 1e-9, 0.1, 0.5, 0.999, 1])
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_foreign_probabilities_are_exact_at_the_threshold(tmp_path, threshold, dtype):
    values = np.random.default_rng(1).choice([0, 1e-9, 0.1, 0.4999, 0.5, 0.5001, 0.999, 1], SHAPE)
    path = write(tmp_path, values.astype("float32" if dtype == "float16" else dtype))
    with open_raster_source(path, threshold=threshold) as source:
        assert (source.kind, source.classes, source.model) == ("probability", (("foreground", 1),), None)
        labels, codes, valid = whole(source)
    assert valid.all()
    stored = values.astype("float32" if dtype == "float16" else dtype)
    assert np.array_equal(labels > 0, stored >= stored.dtype.type(threshold))
    assert np.array_equal(labels > 0, codes > source.bands[0].cut)
    assert np.abs(codes - 254 * values).max() <= 1.01


def test_foreign_probabilities_with_gaps_and_several_bands(tmp_path):
    values = np.random.default_rng(2).random((*SHAPE, 2), np.float32)
    values[5, :, 0] = np.nan
    values[6, :, 0] = -9999
    path = write(tmp_path, values, names=["roof", ""], nodata=-9999)
    with open_raster_source(path) as source:
        assert source.classes == (("roof", 1), ("band_2", 2))
        labels, codes, valid = whole(source, "roof")
    assert not valid[5:7].any()
    assert valid.sum() == valid.size - 2 * SHAPE[1]
    assert not labels[~valid].any()
    assert (codes[~valid] == 255).all()


def test_integers_with_a_scale_are_probabilities(tmp_path):
    path = write(tmp_path, fields(values=(0, 49, 50, 100)).astype(np.uint8))
    with rasterio.open(path, "r+") as file:
        file.scales = (0.01,)
    with open_raster_source(path) as source:
        assert source.kind == "probability"
        assert np.array_equal(whole(source)[0] > 0, fields(values=(0, 49, 50, 100)) >= 50)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int32", "uint32"])
def test_foreign_masks_hold_the_classes_that_occur(tmp_path, dtype):
    truth = fields(
        values=(0, 3, 7, 9) if dtype == "uint8" else (0, 3, 300, 65535 if dtype != "int16" else 999)
    )
    with open_raster_source(write(tmp_path, truth.astype(dtype))) as source:
        assert source.kind == "mask"
        assert source.classes == tuple((f"class_{n}", n) for n in np.unique(truth)[1:])
        labels, codes, valid = whole(source)
        assert np.array_equal(labels, truth)
        assert labels.dtype == (np.uint8 if dtype == "uint8" else np.uint16)
        assert codes is None
        assert valid.all()
        assert np.array_equal(whole(source, "3")[0], np.where(truth == 3, 3, 0))


@pytest.mark.parametrize("top", [1, 255])
def test_a_mask_of_one_class_is_foreground_with_any_name(tmp_path, top):
    path = write(tmp_path, fields(values=(0, top)).astype(np.uint8))
    with open_raster_source(path) as source:
        assert source.classes == (("foreground", 1),)
        assert np.array_equal(whole(source)[0], fields(values=(0, 1)))
    for name, given in (("building", "building"), (str(top), "foreground")):
        with open_raster_source(path, class_name=name) as source:
            assert source.classes == ((given, 1),)
            assert np.array_equal(whole(source, given)[0], fields(values=(0, 1)))


SOFTMAX = dict(classes=4, activation="softmax", names=("Background", *NAMES))


@pytest.mark.parametrize("kind", ["mask", "uint8", "float32"])
def test_profiles_come_from_the_model(tmp_path, kind):
    path = write_own(tmp_path, kind, 4, profiles=["tree", "building", "generic", "tree"])
    with open_raster_source(path) as source:
        assert [one.profile for one in source.bands] == ["tree", "building", "generic", "tree"]
    with open_raster_source(path, class_name="tree") as source:
        assert [one.profile for one in source.bands] == ["building"]


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize("rows", [7, 128])
def test_of_a_softmax_a_pixel_belongs_to_its_most_probable_class(tmp_path, kind, rows):
    path = write_own(tmp_path, kind, **SOFTMAX)
    probabilities, valid = chances(4)
    codes = quantize(probabilities, valid)
    best = codes.argmax(-1) if kind == "uint8" else probabilities.argmax(-1)  # the first of equal ones
    mask = classify(probabilities, valid, LIMITS, "softmax")
    with open_raster_source(path) as source:
        assert [one.name for one in source.bands] == list(NAMES[:3])
        for one in source.bands:
            place = one.label - 1
            labels, read, has_data = whole(source, one.name, rows)
            lead = np.concatenate([strip.lead for strip in source.strips(one.name, rows)])
            assert np.array_equal(has_data, valid)
            assert np.array_equal(labels, np.where(valid & (best == place), one.label, 0))
            assert np.array_equal(read, codes[..., place])
            assert np.array_equal(labels > 0, valid & (lead > one.cut))
            assert (lead[~valid] == 255).all()
            rivals = np.delete(codes, place, -1).max(-1)
            ahead = codes[..., place].astype(int) - rivals
            assert np.abs((lead - 127.5) * 2 - ahead)[valid].max() <= 1
            wrong = (labels > 0) != (mask == one.label)
            assert not wrong[ahead != 0].any()
            assert kind == "uint8" or not wrong.any()


def test_the_leads_of_two_classes_mirror_each_other(tmp_path):
    path = write_own(tmp_path, "uint8", 2, "softmax")
    with open_raster_source(path) as source:
        one, other = (np.concatenate([s.lead for s in source.strips(name)]) for name in NAMES[:2])
    valid = chances()[1]
    assert (one[valid].astype(int) + other[valid] == 255).all()


def test_a_threshold_takes_the_place_of_the_most_probable_class(tmp_path):
    path = write_own(tmp_path, "uint8", **SOFTMAX)
    codes = quantize(*chances(4))
    with open_raster_source(path, threshold=0.3) as source:
        assert thresholds(source) == (0.3,) * 3
        assert np.array_equal(whole(source, "tree")[0] > 0, (codes[..., 2] >= 77) & (codes[..., 2] < 255))


def test_a_softmax_that_has_lost_bands_falls_back_to_thresholds(tmp_path):
    path = write_own(tmp_path, "uint8", **SOFTMAX)
    with rasterio.open(path) as file:
        pixels, tags = file.read([2, 3]).transpose(1, 2, 0), file.tags()
    less = write(tmp_path, pixels, "less.tif", names=NAMES[:2], nodata=255)
    with rasterio.open(less, "r+") as file:
        file.update_tags(**{name: tag for name, tag in tags.items() if name.startswith("GEOSEG")})
    with open_raster_source(less) as source:
        assert [(one.name, one.threshold, one.profile) for one in source.bands] == [
            ("building", 0.5, None), ("tree", 0.5, None)
        ]  # fmt: skip


@pytest.mark.parametrize("kind", ["mask", "uint8"])
@pytest.mark.parametrize(
    ("wanted", "classes"),
    [
        ({}, list(NAMES[:3])),
        (dict(class_name="background"), ["background"]),
        (dict(class_name="1"), ["background"]),
    ],
)
def test_background_is_left_out_unless_it_is_asked_for(tmp_path, kind, wanted, classes):
    names = ("background", *NAMES)
    path = write_own(tmp_path, kind, 4, "softmax", names=names)
    with open_raster_source(path, **wanted) as source:
        assert [one.name for one in source.bands] == classes


def test_a_band_of_background_is_asked_for(tmp_path):
    path = write_own(tmp_path, "uint8", **SOFTMAX)
    with open_raster_source(path, band=1) as source:
        assert source.classes == (("Background", 1),)
        probabilities, valid = chances(4)
        assert np.array_equal(whole(source)[0] > 0, (quantize(probabilities, valid).argmax(-1) == 0) & valid)


def test_the_cache_holds_a_row_of_blocks_and_a_half(tmp_path):
    def size(**profile):
        path = write(tmp_path, np.zeros((512, 30000, 8), np.uint8), **profile)
        with open_raster_source(path, band=1):
            return rasterio.env.getenv()["GDAL_CACHEMAX"]

    tiles = dict(tiled=True, blockxsize=512, blockysize=512, compress="deflate")
    assert size(interleave="pixel", **tiles) == 512 * 30000 * 8 * 3 // 2
    assert size(interleave="band", **tiles) == 2**26
    assert size(compress="deflate") == 2**26


def test_a_mask_of_one_bit(tmp_path):
    path = write(tmp_path, fields(values=(0, 1)).astype(np.uint8), nbits=1)
    with open_raster_source(path) as source:
        assert np.array_equal(whole(source)[0], fields(values=(0, 1)))


@pytest.mark.parametrize("nodata", [255, -9999, "option"])
def test_no_data_of_foreign_masks(tmp_path, nodata):
    value = 9 if nodata == "option" else nodata
    truth = fields(values=(0, 1, value)).astype(np.int16)
    path = write(tmp_path, truth, nodata=None if nodata == "option" else nodata)
    with open_raster_source(path, nodata=9 if nodata == "option" else None) as source:
        assert source.classes == (("foreground", 1),)
        labels, _, valid = whole(source)
    assert np.array_equal(valid, truth != value)
    assert np.array_equal(labels, truth == 1)


def test_no_data_of_zero_is_background(tmp_path):
    with open_raster_source(write(tmp_path, fields().astype(np.uint8), nodata=0)) as source:
        labels, _, valid = whole(source)
    assert valid.all()
    assert np.array_equal(labels, fields())


@pytest.mark.parametrize("kind", ["internal", "external"])
def test_the_dataset_mask_counts(tmp_path, kind):
    gap = fields(4, (True, False))
    path = write(tmp_path, fields().astype(np.uint8), mask=~gap, mask_kind=kind)
    with open_raster_source(path) as source:
        labels, _, valid = whole(source)
    assert np.array_equal(valid, ~gap)
    assert np.array_equal(labels, np.where(gap, 0, fields()))


def test_a_mask_of_background_has_no_classes(tmp_path):
    with open_raster_source(write(tmp_path, np.zeros(SHAPE, np.uint8))) as source:
        assert source.classes == ()
        labels, _, valid = whole(source)
    assert not labels.any()
    assert valid.all()


def test_category_names_of_a_foreign_mask(tmp_path):
    path = write(tmp_path, fields().astype(np.uint8))
    names = "".join(f"<Category>{name}</Category>" for name in ("", "roof", "crown"))
    band = f'<PAMRasterBand band="1"><CategoryNames>{names}</CategoryNames></PAMRasterBand>'
    path.with_name("mask.tif.aux.xml").write_text(f"<PAMDataset>{band}</PAMDataset>")
    with open_raster_source(path) as source:
        assert source.classes == (("roof", 1), ("crown", 2))


def test_control_points_on_a_plane_become_a_transform(tmp_path):
    turned = Affine.translation(452310, 3771240) @ Affine.rotation(20) @ Affine.scale(0.3, -0.3)
    path = write(tmp_path, fields().astype(np.uint8), gcps=corner_points(SHAPE, turned), transform=None)
    with open_raster_source(path) as source:
        assert not source.geobox.gcps
        assert source.geobox.crs == CRS.from_string(UTM)
        for pixel in ((0, 0), (211, 300)):
            assert ~turned @ (source.geobox.transform @ pixel) == pytest.approx(pixel, abs=1e-4)


def test_control_points_off_a_plane_are_refused(tmp_path):
    points = corner_points(SHAPE, NORTH_UP)
    points[4].x += 3
    path = write(tmp_path, fields().astype(np.uint8), gcps=points, transform=None)
    with (
        pytest.raises(SceneError, match=r"px off a plane; rectify the raster with gdalwarp"),
        open_raster_source(path),
    ):
        pass


def test_a_raster_without_a_crs_is_read_with_a_warning(tmp_path, caplog):
    path = write(tmp_path, fields().astype(np.uint8), transform=None, crs=None)
    with open_raster_source(path) as source:
        assert source.geobox.crs is None
    assert "has no CRS" in caplog.text


@pytest.mark.parametrize(("make", "options", "words"), [
    ("mask", dict(class_name="car"), r"no class car; the classes are building \(1\), tree \(2\)"),
    ("mask", dict(class_name="3"), r"no class 3; the classes are"),
    ("mask", dict(band=2), r"no band 2; it has 1 to 1 \(class\)"),
    ("mask", dict(threshold=0.5), "to which no threshold applies; leave --threshold out"),
    ("uint8", dict(class_name="car"), r"the classes are building \(1\), tree \(2\)"),
    ("uint8", dict(band="car"), r"no band car; it has 1 to 2 \(building, tree\)"),
    ("uint8", dict(band=0), "no band 0"),
    ("uint8", dict(threshold=1.5), "a threshold is from 0 to 1, got 1.5"),
    ("uint8", dict(threshold={"tree": -1}), "a threshold is from 0 to 1, got -1"),
    ("uint8", dict(threshold={"car": 0.5}), "a threshold of 'car', which is no class; there are building"),
    ("image", {}, "3 bands of integers and a mask has one; is it an image\\? run geoseg predict"),
    ("negative", {}, "class numbers are 0 to 65535, got -5; .*--nodata"),
    ("instances", {}, "class numbers are 0 to 65535, got 70000"),
    ("foreground", dict(class_name="7"), r"no class 7; the classes are foreground \(1\)"),
    ("background", dict(class_name="tree"), "the classes are none, it is all background"),
    ("complex", {}, "complex numbers"),
    ("text", {}, "cannot open .*give a raster that GDAL can read"),
    ("absent", {}, "cannot open .*give a raster that GDAL can read"),
])  # fmt: skip
def test_what_cannot_be_used_is_refused_in_one_line(tmp_path, make, options, words):
    path = tmp_path / "a.tif"
    if make in ("mask", "uint8"):
        path = write_own(tmp_path, make)
    elif make == "text":
        path.write_text("not a raster")
    elif make != "absent":
        kind = {"image": ((9, 9, 3), 1, "uint8"), "negative": ((9, 9), -5, "int16"),
                "instances": ((9, 9), 70000, "int32"), "foreground": ((9, 9), 1, "uint8"),
                "background": ((9, 9), 0, "uint8"), "complex": ((9, 9), 1, "complex64")}  # fmt: skip
        path = write(tmp_path, np.full(*kind[make]))
    with pytest.raises(SceneError, match=words) as caught, open_raster_source(path, **options):
        pass
    assert "\n" not in str(caught.value)


def test_floats_beyond_probabilities_are_refused(tmp_path):
    path = write(tmp_path, fields(values=(0, 255)).astype(np.float32))
    with (
        open_raster_source(path) as source,
        pytest.raises(SceneError, match=r"0 to 1, got 255; .*-ot Byte"),
    ):
        list(source.strips())


def test_a_damaged_file_is_refused_in_one_line(tmp_path):
    path = write(tmp_path, fields().astype(np.uint8), compress="deflate")
    content = bytearray(path.read_bytes())
    content[len(content) // 2 :] = bytes(len(content) - len(content) // 2)
    path.write_bytes(content)
    with (
        pytest.raises(SceneError, match=r"fetch it again|cannot open") as caught,
        open_raster_source(path) as source,
    ):
        list(source.strips())
    assert "\n" not in str(caught.value)
