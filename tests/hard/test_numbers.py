"""Numbers at their ends: NaN, infinity, nothing, one value, the last of 16 bits, the edges of the Earth."""

from dataclasses import replace

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from affine import Affine
from conftest import UTM, coded, write_raster
from thresholds import complaint, run, thresholds_for_networks, write_card

from geoseg.errors import EngineError
from geoseg.runtime.parts import in_parts


@pytest.fixture
def bundle(tmp_path_factory):
    with thresholds_for_networks():
        yield write_card(tmp_path_factory.mktemp("models") / "thresholds")


def classes_of(path, bundle, *words, native=True):
    """The class mask that `predict` makes of a scene."""
    target = path.with_name("m.tif")
    result = run(
        "predict",
        path,
        "-m",
        bundle,
        "-o",
        target,
        "--overwrite",
        "--no-quicklook",
        "--no-styles",
        *words,
        *(["--res", "native"] * native),
    )
    assert result.exit_code == 0, (result.stderr, result.exception)
    with rasterio.open(target) as file:
        return file.read(1)


# Pixels ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_pixels_that_are_no_numbers_have_no_data(tmp_path, bundle, value, dtype):
    pixels = coded((50, 70), dtype=dtype)
    pixels[5:20, 10:30, 1] = value  # one band is enough
    pixels[0, 0] = value
    classes = classes_of(write_raster(tmp_path / "s.tif", pixels), bundle)
    assert ((classes == 255) == ~np.isfinite(pixels).all(-1)).all()
    whole = classes_of(write_raster(tmp_path / "w.tif", coded((50, 70), dtype=dtype)), bundle)
    assert (classes[classes != 255] == whole[classes != 255]).all()


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e-40], ids=str)
def test_floats_at_the_ends_of_their_range_are_classed(tmp_path, bundle, value):
    pixels = coded((50, 70), dtype="float32") / np.float32(255)
    pixels[:3, :3] = value
    classes = classes_of(write_raster(tmp_path / "s.tif", pixels), bundle)
    assert (classes != 255).all()


@pytest.mark.parametrize(
    ("nodata", "dtype"), [(0, "uint8"), (-9999, "int16"), (np.nan, "float32"), (65535, "uint16")]
)
def test_a_scene_without_a_valid_pixel_is_all_nodata_and_has_no_polygon(tmp_path, bundle, nodata, dtype):
    pixels = np.full((70, 90, 3), nodata, dtype)
    path = write_raster(tmp_path / "s.tif", pixels, nodata=nodata)
    assert (classes_of(path, bundle, "--polygons", tmp_path / "p.gpkg") == 255).all()
    assert len(pyogrio.read_dataframe(tmp_path / "p.gpkg")) == 0
    with thresholds_for_networks():
        assert run("vectorize", tmp_path / "m.tif", "-o", tmp_path / "q.geojson").exit_code == 0


@pytest.mark.parametrize("value", [0, 1, 100, 65535])
@pytest.mark.parametrize("dtype", ["uint16", "float32"])
def test_a_scene_of_one_value_has_one_class(tmp_path, bundle, value, dtype):
    classes = classes_of(write_raster(tmp_path / "s.tif", np.full((70, 90, 3), value, dtype)), bundle)
    assert len(np.unique(classes)) == 1
    assert classes[0, 0] != 255


@pytest.mark.parametrize(("dtype", "low", "high"), [("uint16", 0, 65535), ("int16", -32768, 32767)])
def test_both_ends_of_16_bits_are_told_apart(tmp_path, bundle, dtype, low, high):
    pixels = np.full((64, 64, 3), low, dtype)
    pixels[:, 32:] = high
    classes = classes_of(write_raster(tmp_path / "s.tif", pixels), bundle)
    assert set(np.unique(classes[:, :32])) == {2}
    assert set(np.unique(classes[:, 32:])) == {1}


# Areas -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bounds",
    [
        (452310, 3771240, 452310, 3771240),
        (452400, 3771200, 452330, 3771230),
        (0, 0, 1, 1),
        (float("nan"), 0, 1, 1),
        (float("-inf"), 0, float("inf"), 1),
    ],
    ids=["a corner", "turned round", "elsewhere", "nan", "infinite"],
)
def test_an_area_without_a_pixel_is_refused(tmp_path, bundle, bounds):
    path, out = write_raster(tmp_path / "s.tif", coded((40, 60))), tmp_path / "out"
    out.mkdir()
    result = run("predict", path, "-m", bundle, "-o", out / "m.tif", "--bounds", *bounds)
    if bounds[0] > bounds[2] and result.exit_code == 0:
        pytest.fail("bounds that are turned round were taken")
    assert result.exit_code == 1, (result.stderr, result.exception)
    assert complaint(result, out) is None
    assert "bounds" in result.stderr


def test_an_area_inside_one_pixel_is_that_pixel(tmp_path, bundle):
    path = write_raster(tmp_path / "s.tif", coded((40, 60)))
    classes = classes_of(path, bundle, "--bounds", 452311.01, 3771238.01, 452311.02, 3771238.02)
    assert classes.shape == (1, 1)


@pytest.mark.parametrize(
    "ring",
    [
        shapely.Polygon([(0, 0), (0, 0), (0, 0), (0, 0)]),
        shapely.Polygon([(452311, 3771230), (452315, 3771230), (452311, 3771230)]),
        shapely.Point(452311, 3771230),
        shapely.Polygon(),
    ],
    ids=["a point thrice", "a line", "a point", "empty"],
)
def test_a_cutline_without_area_is_refused(tmp_path, bundle, ring):
    import geopandas

    path, out = write_raster(tmp_path / "s.tif", coded((40, 60))), tmp_path / "out"
    out.mkdir()
    geopandas.GeoDataFrame(geometry=[ring], crs=UTM).to_file(tmp_path / "cut.gpkg")
    result = run("predict", path, "-m", bundle, "-o", out / "m.tif", "--cutline", tmp_path / "cut.gpkg")
    assert result.exit_code == 1, (result.stderr, result.exception)
    assert complaint(result, out) is None
    assert "holds no polygon" in result.stderr


# Places ----------------------------------------------------------------------------------------------------

EDGES = {
    "antimeridian, degrees": (Affine(1e-5, 0, 179.9998, 0, -1e-5, -17), "EPSG:4326"),
    "antimeridian, mercator": (Affine(0.5, 0, 20037508.34 - 20, 0, -0.5, -1.9e6), "EPSG:3857"),
    "antimeridian, UTM 1": (Affine(0.5, 0, 166021 - 10000, 0, -0.5, 8e6), "EPSG:32701"),
    "south pole": (Affine(0.5, 0, -15, 0, -0.5, 10), "EPSG:3031"),
    "north pole": (Affine(0.5, 0, -15, 0, -0.5, 10), "EPSG:3995"),
    "pole in degrees": (Affine(1e-3, 0, 10, 0, -1e-5, 90), "EPSG:4326"),
}  # fmt: skip


@pytest.mark.parametrize("edge", EDGES)
def test_at_the_edges_of_the_earth_polygons_are_valid_and_as_large_as_their_pixels(tmp_path, bundle, edge):
    transform, crs = EDGES[edge]
    pixels = np.full((40, 60, 3), 20, "uint8")
    pixels[10:30, 15:45] = 240
    path = write_raster(tmp_path / "s.tif", pixels, transform=transform, crs=crs)
    classes = classes_of(path, bundle)
    assert (classes == 1).sum() == 600
    areas = {}
    for ending in ("gpkg", "geojson"):
        result = run("vectorize", tmp_path / "m.tif", "-o", tmp_path / f"p.{ending}", "--class", "bright",
                     "--min-area", 0, "--no-simplify", "--no-regularize")  # fmt: skip
        assert result.exit_code == 0, (result.stderr, result.exception)
        frame = pyogrio.read_dataframe(tmp_path / f"p.{ending}")
        assert len(frame) == 1
        assert frame.geometry.is_valid.all()
        areas[ending] = frame.area_m2.sum()
    assert areas["gpkg"] == pytest.approx(areas["geojson"], rel=1e-6)
    own = frame.geometry
    left, bottom, right, top = own.total_bounds
    assert -180 <= left <= right <= 180
    assert -90 <= bottom <= top <= 90
    geod = frame.crs.get_geod()
    assert areas["gpkg"] == pytest.approx(
        sum(abs(geod.geometry_area_perimeter(shape)[0]) for shape in own), rel=0.02
    )


@pytest.mark.parametrize(
    "transform",
    [
        Affine(0.3, 0, np.nan, 0, -0.3, 0),
        Affine(1e300, 0, 0, 0, -1e300, 0),
        Affine(1e-300, 0, 0, 0, -1e-300, 0),
        Affine(0.3, 0, 1e18, 0, -0.3, 1e18),
        Affine(0, 0, 5, 0, 0, 5),
        Affine(np.inf, 0, 0, 0, -1, 0),
    ],
    ids=["nan", "vast", "tiny", "far", "none", "infinite"],
)
@pytest.mark.parametrize("crs", [UTM, None])
def test_a_place_that_is_none_gives_a_result_or_one_line(tmp_path, bundle, transform, crs):
    path, out = (
        write_raster(tmp_path / "s.tif", coded((20, 30)), transform=transform, crs=crs),
        tmp_path / "out",
    )
    out.mkdir()
    for words in (
        ["-o", out / "m.tif"],
        ["-o", out / "m.tif", "--polygons", out / "p.gpkg", "--res", "native"],
        ["-o", out / "m.tif", "--polygons", out / "p.geojson", "--overwrite"],
    ):
        for old in out.iterdir():
            old.unlink()
        assert complaint(run("predict", path, "-m", bundle, *words), out) is None, words


# Weights ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [np.nan, np.inf], ids=str)
@pytest.mark.parametrize("engine", ["openvino", "onnx", "tensorflow"])
def test_a_network_that_answers_no_numbers_is_an_error_not_a_mask(tiny_bundle, tmp_path, value, engine):
    from geoseg.models.bundle import save_bundle
    from geoseg.runtime.choose import load_engine

    model = tiny_bundle.load_keras()
    kernel, bias = model.layers[-1].get_weights()
    bias[:] = np.nan if np.isnan(value) else bias
    kernel[...] = value
    model.layers[-1].set_weights([kernel, bias])
    broken = save_bundle(model, replace(tiny_bundle.card, name="broken"), tmp_path / "broken")
    run_it = load_engine(broken, engine, batch_size=1)
    with pytest.raises(EngineError, match="not probabilities from 0 to 1; its weights are damaged"):
        run_it(np.zeros((1, 64, 64, 3), np.uint8))  # 0 · ∞ is no number either
    scene, out = write_raster(tmp_path / "s.tif", coded((40, 60)) * np.uint8(0)), tmp_path / "out"
    out.mkdir()
    result = run("predict", scene, "-m", broken.folder, "-o", out / "m.tif", "--engine", engine)
    assert result.exit_code == 1, (result.stderr, result.exception)
    assert complaint(result, out) is None


@pytest.mark.parametrize(("answer", "words"), [
    (np.full((2, 4, 4, 2), 7.0), "values from 7 to 7"), (np.full((2, 4, 4, 2), -1.0), "values from -1 to -1"),
    (np.full((2, 4, 4, 3), 0.5), "not with 2 classes"), (np.full((2, 8, 8, 2), 0.5), r"with \(2, 8, 8, 2\)"),
])  # fmt: skip
def test_an_answer_that_is_no_probabilities_is_refused(answer, words):
    with pytest.raises(EngineError, match=words):
        in_parts(lambda batch: answer, np.zeros((2, 4, 4, 3)), 2, 2)


def test_rounding_a_little_beyond_one_is_no_error():
    assert in_parts(lambda batch: np.full((2, 4, 4, 2), 1.001), np.zeros((2, 4, 4, 3)), 2, 2).shape == (
        2,
        4,
        4,
        2,
    )
