"""What is written as strips is a valid COG with the same pixels, its own overviews and its own place."""

import math
import resource
import subprocess
import sys
from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from xml.etree import ElementTree

import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import NORTH_UP, corner_points
from rasterio.crs import CRS
from rio_cogeo.cogeo import cog_validate

from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import cog
from geoseg.geo.strip_writer import RasterSpec, pyramid

UTM = CRS.from_epsg(32611)
COLORS = {0: (0, 0, 0, 0), 1: (228, 87, 46, 255), 2: (46, 158, 79, 255), 255: (0, 0, 0, 0)}
NAMES = ("background", "building", "tree & bush")


def plane(shape, transform=NORTH_UP, **options):
    return GeoBox(shape, transform, options.pop("crs", UTM), **options)


def classes(shape, seed=0):
    """Patches of 0, 1, 2 and nodata with ragged edges."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array([0, 1, 2, 255], np.uint8), [-(-n // 3) for n in shape])
    fine = np.kron(coarse, np.ones((3, 3), np.uint8))[: shape[0], : shape[1]]
    noise = rng.random(shape) < 0.1
    return np.where(noise, rng.choice(np.array([0, 1, 2, 255], np.uint8), shape), fine)[..., None]


def probabilities(shape, bands=2, seed=0):
    rng = np.random.default_rng(seed)
    values = rng.random((*shape, bands), np.float32)
    values[rng.random(shape) < 0.3] = np.nan
    return values


def put(path, spec, pixels, heights=(192,), columns=None):
    """Write pixels in strips of the given heights, over and over, stripe after stripe of columns."""
    height, width = pixels.shape[:2]
    edges = [0, *(columns or ()), width]
    with cog(path, spec) as stripe:
        for left, right in pairwise(edges):
            writer, row, turn = stripe(Window(0, left, height, right - left)), 0, 0
            while row < height:
                stop = min(height, row + heights[turn % len(heights)])
                writer.append(pixels[row:stop, left:right])
                row, turn = stop, turn + 1
    return path


def mask_spec(shape, **options):
    return RasterSpec(plane(shape), ("class",), overviews="mode", colors=COLORS, categories=NAMES, **options)


def slow_half(band, reduction, nodata):
    """Two by two, pixel after pixel; past the edge the last pixel again."""
    height, width = band.shape
    half = np.empty((-(-height // 2), -(-width // 2)), band.dtype)
    for row, col in np.ndindex(half.shape):
        lines = [2 * row, min(2 * row + 1, height - 1)]
        values = [band[r, c] for r in lines for c in (2 * col, min(2 * col + 1, width - 1))]
        data = [v for v in values if not (v == nodata or np.isnan(v))]
        if not data:
            half[row, col] = nodata
        elif reduction == "mode":
            seen = Counter(data)
            half[row, col] = min(seen, key=lambda v: (-seen[v], v))
        else:
            mean = sum(float(v) for v in data) / len(data)
            half[row, col] = math.floor(mean + 0.5) if band.dtype == np.uint8 else mean
    return half


def overviews(path, band):
    with rasterio.open(path) as file:
        count = len(file.overviews(band))
    for level in range(count):
        with rasterio.open(path, overview_level=level) as file:
            yield file.read(band)


def assert_cog(path):
    valid, errors, warnings = cog_validate(path, strict=True)
    assert (valid, errors, warnings) == (True, [], [])


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (511, 513), (512, 512), (513, 2), (1025, 700)])
@pytest.mark.parametrize("heights", [(192,), (1, 700, 3), (5000,)])
def test_a_mask_is_a_cog_with_the_pixels_that_were_written(tmp_path, shape, heights):
    truth = classes(shape)
    path = put(tmp_path / "m.tif", mask_spec(shape), truth, heights)
    assert_cog(path)
    with rasterio.open(path) as file:
        assert file.shape == shape
        assert np.array_equal(file.read(1), truth[..., 0])
        assert (file.nodata, file.dtypes, file.crs, file.transform) == (255, ("uint8",), UTM, NORTH_UP)
        assert file.profile["blockxsize"] == 512
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.tif", "m.tif.aux.xml"]


@pytest.mark.parametrize("shape", [(1025, 700), (530, 1300)])
def test_mask_overviews_are_the_mode_at_every_level(tmp_path, shape):
    band = classes(shape)[..., 0]
    levels = list(overviews(put(tmp_path / "m.tif", mask_spec(shape), band[..., None], (200, 77)), 1))
    assert len(levels) == 2
    for level in levels:
        band = slow_half(band, "mode", 255)
        assert np.array_equal(level, band)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_probability_overviews_are_the_mean_without_nodata_at_every_level(tmp_path, dtype):
    values, nodata = probabilities((1025, 700)), np.nan
    if dtype == "uint8":
        values, nodata = (
            np.where(np.isnan(values), 255, np.rint(np.nan_to_num(values) * 254)).astype(np.uint8),
            255,
        )
    spec = RasterSpec(plane((1025, 700)), ("building", "tree"), dtype, nodata)
    path = put(tmp_path / "p.tif", spec, values)
    assert_cog(path)
    for number in (1, 2):
        with rasterio.open(path) as file:
            assert np.array_equal(file.read(number), values[..., number - 1], equal_nan=dtype == "float32")
        band, levels = values[..., number - 1], list(overviews(path, number))
        assert len(levels) == 2
        for level in levels:
            band = slow_half(band, "average", nodata)
            np.testing.assert_allclose(level, band, rtol=1e-6 if dtype == "float32" else 0)


def test_names_colours_categories_and_tags_travel_with_the_file(tmp_path):
    path = put(tmp_path / "m.tif", mask_spec((60, 70), tags={"GEOSEG_MODEL": "x, ü <y>"}), classes((60, 70)))
    with rasterio.open(path) as file:
        assert file.descriptions == ("class",)
        assert {value: file.colormap(1)[value] for value in (1, 2)} == {1: COLORS[1], 2: COLORS[2]}
        assert file.tags()["GEOSEG_MODEL"] == "x, ü <y>"
        assert file.colorinterp[0].name == "palette"
    side = ElementTree.parse(tmp_path / "m.tif.aux.xml")
    assert tuple(node.text for node in side.iter("Category")) == NAMES


def test_gdal_itself_finds_the_category_names(tmp_path):
    path = put(tmp_path / "m.tif", mask_spec((60, 70)), classes((60, 70)))
    rasterio.shutil.copy(path, tmp_path / "view.vrt", driver="VRT")
    view = ElementTree.parse(tmp_path / "view.vrt")
    assert tuple(node.text for node in view.iter("Category")) == NAMES


@pytest.mark.parametrize("step", [64, 256])
def test_stripes_of_columns_give_the_same_bytes_as_whole_rows(tmp_path, step):
    truth = classes((700, 1025))
    whole = put(tmp_path / "a.tif", mask_spec((700, 1025)), truth)
    parts = put(tmp_path / "b.tif", mask_spec((700, 1025)), truth, columns=range(step, 1025, step))
    assert_cog(parts)
    with rasterio.open(parts) as file:
        assert np.array_equal(file.read(1), truth[..., 0])
    for one, other in zip(overviews(whole, 1), overviews(parts, 1), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize(
    "transform",
    [Affine(0.2, 0.1, 5e5, 0.1, -0.2, 4e6), Affine(0.3, 0, 5e5, 0, 0.3, 4e6)],
    ids=["rotated", "south up"],
)
def test_any_transform_is_kept(tmp_path, transform):
    box = plane((700, 600), transform)
    path = put(tmp_path / "m.tif", RasterSpec(box, ("class",), overviews="mode"), classes((700, 600)))
    assert_cog(path)
    with rasterio.open(path) as file:
        assert file.transform.almost_equals(transform, 1e-9)
        assert file.crs == UTM


def test_ground_control_points_are_carried_over(tmp_path):
    points = corner_points((700, 600), NORTH_UP)
    box = plane((700, 600), Affine.identity(), gcps=tuple(points))
    path = put(tmp_path / "m.tif", RasterSpec(box, ("class",), overviews="mode"), classes((700, 600)))
    with rasterio.open(path) as file:
        found, crs = file.gcps
        assert crs == UTM
        assert [(p.row, p.col, p.x, p.y) for p in found] == [(p.row, p.col, p.x, p.y) for p in points]
        assert file.transform.is_identity


def test_without_a_place_none_is_written(tmp_path):
    box = GeoBox((60, 70), Affine.identity())
    path = put(tmp_path / "m.tif", RasterSpec(box, ("class",)), classes((60, 70)))
    with rasterio.open(path) as file:
        assert file.crs is None
        assert file.transform.is_identity


def test_creation_options_replace_the_defaults(tmp_path):
    spec = mask_spec((700, 600), options={"COMPRESS": "zstd", "blocksize": "256"})
    path = put(tmp_path / "m.tif", spec, classes((700, 600)))
    assert_cog(path)
    with rasterio.open(path) as file:
        assert file.profile["compress"] == "zstd"
        assert file.profile["blockxsize"] == 256
        assert np.array_equal(file.read(1), classes((700, 600))[..., 0])


def test_a_scene_one_pixel_wide_keeps_its_pixels_and_overviews(tmp_path):
    band = classes((1100, 1))[..., 0]
    path = put(tmp_path / "m.tif", mask_spec((1100, 1)), band[..., None])
    with rasterio.open(path) as file:
        assert np.array_equal(file.read(1), band)
    for level in overviews(path, 1):
        band = slow_half(band, "mode", 255)
        assert np.array_equal(level, band)
    assert band.shape == (275, 1)


@pytest.mark.parametrize("options", [{"compress": "nonsense"}, {"nonsense": "1"}, {"blocksize": "100"}])
def test_a_wrong_creation_option_is_refused_in_one_line_or_ignored_as_gdal_does(tmp_path, options):
    path = tmp_path / "m.tif"
    try:
        put(path, mask_spec((60, 70), options=options), classes((60, 70)))
    except OutputError as error:
        assert "creation option" in str(error)
        assert "\n" not in str(error)
    else:
        with rasterio.open(path) as file:
            assert np.array_equal(file.read(1), classes((60, 70))[..., 0])


ONE_BLOCK = """
import sys
from pathlib import Path
import numpy as np
from affine import Affine
from geoseg.core.window import Window
from geoseg.errors import OutputError
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import cog
from geoseg.geo.strip_writer import RasterSpec

spec = RasterSpec(GeoBox((60, 70), Affine(2, 0, 0, 0, -2, 0)), ("class",), options={"blocksize": sys.argv[2]})
try:
    with cog(Path(sys.argv[1]), spec) as stripe:
        stripe(Window(0, 0, 60, 70)).append(np.zeros((60, 70, 1), np.uint8))
except OutputError as error:
    print(error)
"""


@pytest.mark.parametrize("size", ["0", "-16", "many"])
def test_a_block_size_that_is_none_is_an_error_and_does_not_kill_the_process(tmp_path, size):
    room = (4 * 2**30, resource.RLIM_INFINITY)
    done = subprocess.run(
        [sys.executable, "-c", ONE_BLOCK, str(tmp_path / "m.tif"), size], capture_output=True, text=True,
        timeout=60, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, room), check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "creation option" in done.stdout
    assert len(done.stdout.splitlines()) == 1


def test_failing_inside_the_block_leaves_no_finished_file(tmp_path):
    with pytest.raises(ZeroDivisionError), cog(tmp_path / "m.tif", mask_spec((60, 70))) as stripe:
        stripe(Window(0, 0, 60, 70)).append(classes((60, 70))[:30])
        raise ZeroDivisionError
    assert not (tmp_path / "m.tif").exists()


@contextmanager
def at_most(size):
    """Files of this process cannot grow beyond `size` bytes, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("room", [0, 20_000, 150_000])
def test_a_full_disk_is_an_output_error_and_leaves_no_finished_file(tmp_path, room):
    noise = np.random.default_rng(0).integers(0, 255, (1024, 1024, 1), np.uint8)
    with pytest.raises(OutputError) as error, at_most(room):
        put(tmp_path / "m.tif", RasterSpec(plane((1024, 1024)), ("class",)), noise)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "m.tif").exists()


def test_a_folder_that_is_not_there_is_an_output_error(tmp_path):
    with pytest.raises(OutputError):
        put(tmp_path / "no" / "m.tif", mask_spec((60, 70)), classes((60, 70)))


def test_only_as_many_overviews_as_it_takes_to_fit_one_block():
    counts = {n: len(pyramid(mask_spec((n, 3)))) for n in (1, 512, 513, 1024, 1025, 4097)}
    assert counts == {1: 1, 512: 1, 513: 2, 1024: 2, 1025: 3, 4097: 5}
