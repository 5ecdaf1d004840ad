"""Rasters to polygons through files: laws 5 and 6, and the command line."""

import json
import threading
from dataclasses import replace

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from conftest import NORTH_UP, UTM, corner_points, write_raster
from rasterio.features import rasterize

import geoseg.memory
import geoseg.outputs
import geoseg.polygons
import geoseg.vector.shaping
from geoseg.api import predict
from geoseg.cli import main
from geoseg.errors import OutputError, SceneError
from geoseg.polygons import Shaping, vectorize

HALF_METRE = Affine(0.5, 0, 452310, 0, -0.5, 3771240)
PLAIN = Shaping(profile="generic", simplify=False)
PLANES = {
    "north up": (HALF_METRE, UTM),
    "south up": (Affine(0.5, 0, 452310, 0, 0.5, 3771240), UTM),
    "rotated": (HALF_METRE * Affine.rotation(33), UTM),
    "degrees": (Affine(5e-6, 0, 11.5, 0, -5e-6, 48.1), "EPSG:4326"),
    "web mercator": (Affine(0.6, 0, 1280000, 0, -0.6, 6130000), "EPSG:3857"),
    "feet": (Affine(2, 0, 6560000, 0, -2, 2180000), "EPSG:2227"),
}


def blobs(shape=(120, 150), seed=3):
    """A class mask of 0, 1 and 2."""
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(2, *shape)), (0, 4, 4))
    mask = np.zeros(shape, np.uint8)
    mask[noise[0] > 0.05] = 1
    mask[noise[1] > 0.06] = 2
    return mask


def rectangles():
    """One building of 20 × 40 px and one of 30 × 30 px."""
    mask = np.zeros((120, 150), np.uint8)
    mask[20:40, 30:70] = 1
    mask[60:90, 80:110] = 1
    return mask


@pytest.mark.parametrize("plane", PLANES)
def test_rasterizing_the_polygons_gives_the_mask_back(plane, tmp_path):
    transform, crs = PLANES[plane]
    mask = blobs()
    path = write_raster(tmp_path / "m.tif", mask[..., None], transform=transform, crs=crs)
    done = vectorize(path, tmp_path / "v.gpkg", shaping=PLAIN)
    frame = geopandas.read_file(tmp_path / "v.gpkg")
    assert frame.is_valid.all()
    assert done.polygons == frame["class"].value_counts().to_dict()
    inverse = [~transform * (x, y) for x, y in ((transform * (0.5, 0.5)), (transform * (149.5, 119.5)))]
    assert np.allclose(inverse, [(0.5, 0.5), (149.5, 119.5)])
    pairs = zip(frame.geometry, frame["class"].str[-1].astype(int), strict=True)
    assert np.array_equal(rasterize(pairs, mask.shape, transform=transform, dtype="uint8"), mask)


@pytest.mark.parametrize("plane", PLANES)
@pytest.mark.parametrize("shaping", [PLAIN, Shaping(profile="building"), Shaping(profile="generic")], ids=str)
def test_centroids_are_where_the_pixels_are(plane, shaping, tmp_path):
    transform, crs = PLANES[plane]
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=transform, crs=crs)
    vectorize(path, tmp_path / "v.gpkg", shaping=shaping)
    frame = geopandas.read_file(tmp_path / "v.gpkg")
    found = sorted((~transform * (g.centroid.x, g.centroid.y))[::-1] for g in frame.geometry)
    assert np.abs(np.array(found) - [(30, 50), (75, 95)]).max() < 0.1


def test_buildings_get_straight_walls_and_true_areas(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=HALF_METRE, crs=UTM)
    vectorize(path, tmp_path / "v.gpkg", shaping=Shaping(profile="building"))
    frame = geopandas.read_file(tmp_path / "v.gpkg").sort_values("area_m2")
    assert [len(g.exterior.coords) for g in frame.geometry] == [5, 5]
    np.testing.assert_allclose(frame["area_m2"], [800 / 4, 900 / 4], rtol=2e-3)
    assert set(frame["regularized"]) == {"rectilinear"}


def test_no_two_polygons_of_a_class_overlap(tmp_path):
    path = write_raster(tmp_path / "m.tif", blobs(seed=5)[..., None], transform=HALF_METRE, crs=UTM)
    vectorize(path, tmp_path / "v.gpkg", shaping=Shaping(profile="building", min_area_m2=0))
    for _, frame in geopandas.read_file(tmp_path / "v.gpkg").groupby("class"):
        shapes = frame.geometry.to_numpy()
        one, _ = shapely.STRtree(shapes).query(shapes, predicate="overlaps")
        assert not len(one)


def test_crowns_of_touching_trees_are_apart_and_share_their_border(tmp_path):
    rows, cols = np.indices((80, 120))
    height = np.maximum(*[1 - np.hypot(rows - 40, cols - c) / 24 for c in (42, 76)])
    codes = np.clip(height * 300, 0, 254).astype(np.uint8)
    tags = {"GEOSEG_CLASSES": "tree", "GEOSEG_THRESHOLDS": "0.3", "GEOSEG_PROBABILITY": "value / 254"}
    path = write_raster(tmp_path / "p.tif", codes[..., None], transform=HALF_METRE, crs=UTM, nodata=255)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
        file.set_band_description(1, "tree")
    assert vectorize(path, tmp_path / "v.gpkg").polygons == {"tree": 2}
    one, other = geopandas.read_file(tmp_path / "v.gpkg").geometry
    assert shapely.area(shapely.intersection(one, other)) < 1e-6
    assert shapely.length(shapely.intersection(one.boundary, other.boundary)) > 2


def test_the_command_line_prints_the_path_and_counts(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=HALF_METRE, crs=UTM)
    done = CliRunner().invoke(main, ["vectorize", str(path), "-o", str(tmp_path / "v.geojson"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["polygons"] == {"foreground": 2}
    collection = json.loads((tmp_path / "v.geojson").read_text())
    assert "crs" not in collection
    assert len(collection["features"]) == 2


def test_lines_of_geojson_go_to_stdout(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=HALF_METRE, crs=UTM)
    done = CliRunner().invoke(main, ["vectorize", str(path), "-o", "-"])
    assert done.exit_code == 0, done.output
    assert [json.loads(line)["type"] for line in done.stdout.splitlines()] == ["Feature"] * 2


@pytest.mark.parametrize(
    ("extra", "hint"),
    [
        (["--class", "lake"], "lake"),
        (["--band", "7"], "band 7"),
        (["-o", "x.doc"], ".geojson"),
        (["-o", "/nowhere/at/all/x.gpkg"], "folder"),
        (["--threshold", "0.4"], "threshold"),
    ],
)
def test_what_cannot_be_done_is_one_line(extra, hint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / "m.tif", blobs()[..., None], transform=HALF_METRE, crs=UTM)
    done = CliRunner().invoke(main, ["vectorize", "m.tif", *extra])
    assert done.exit_code == 1
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_an_existing_output_is_kept(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=HALF_METRE, crs=UTM)
    (tmp_path / "v.gpkg").write_text("mine")
    done = CliRunner().invoke(main, ["vectorize", str(path), "-o", str(tmp_path / "v.gpkg")])
    assert done.exit_code == 1
    assert "--overwrite" in done.stderr
    assert (tmp_path / "v.gpkg").read_text() == "mine"


def test_nothing_to_trace_is_a_valid_empty_file(tmp_path):
    path = write_raster(tmp_path / "m.tif", np.zeros((40, 50, 1), np.uint8), transform=HALF_METRE, crs=UTM)
    for ending in (".gpkg", ".geojson", ".fgb", ".parquet"):
        vectorize(path, tmp_path / f"v{ending}")
        read = geopandas.read_parquet if ending == ".parquet" else geopandas.read_file
        assert len(read(tmp_path / f"v{ending}")) == 0


def tiny_model(folder, activation):
    """Means of 5 × 5 pixels: `dull`, `roof` (drawn as buildings) and `crown` (as trees)."""
    import keras

    from geoseg.api import load
    from geoseg.models.bundle import save_bundle
    from geoseg.models.card import Card, ClassSpec

    pixels = keras.Input((None, None, 3))
    layer = keras.layers.Conv2D(3, 5, padding="same", activation=activation, name="classes")
    model = keras.Model(pixels, layer(pixels))
    kernel = np.tile(np.array([[-0.03, 0.04, -0.04], [0, 0, 0.09], [0.02, -0.03, -0.05]]) / 25, (5, 5, 1, 1))
    layer.set_weights([kernel.astype(np.float32), np.array([1, -1.5, 1], np.float32)])
    classes = (
        ClassSpec("dull" if activation == "sigmoid" else "background"),
        ClassSpec("roof", threshold=0.55, profile="building"),
        ClassSpec("crown", threshold=0.45, profile="tree"),
    )
    card = Card(
        name=f"tiny-{activation}", summary="Means.", licence="MIT", attribution=("nobody",),
        architecture="conv", parameters=0, activation=activation, bands=("red", "green", "blue"),
        pixel_sizes_m=(0.1, 1.0), patch_size=64, overlap=16, median_kernel=0, stride=1, halo=2,
        classes=classes,
    )  # fmt: skip
    return load(save_bundle(model, card, folder / activation).folder)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {activation: tiny_model(folder, activation) for activation in ("sigmoid", "softmax")}


@pytest.fixture(scope="module")
def town(suburb, tmp_path_factory):
    """A scene of 300 × 340 px with a hole and an edge without data."""
    pixels = suburb[520:820, 400:740].clip(1)
    rows, cols = np.indices(pixels.shape[:2])
    pixels[((rows - 150) ** 2 + (cols - 200) ** 2 < 900) | (rows + 2 * cols < 90)] = 0
    return write_raster(tmp_path_factory.mktemp("town") / "town.tif", pixels, nodata=0)


def narrow(monkeypatch, ready, step=128):
    """The memory limit that cuts scenes into stripes of `step` columns."""
    monkeypatch.setattr(geoseg.memory, "STRIPE", step)
    return geoseg.memory.ENGINE_BYTES + geoseg.memory.column_bytes(ready.settings, 3) * (step + 3)


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
@pytest.mark.parametrize("striped", [False, True])
@pytest.mark.parametrize("activation", ["sigmoid", "softmax"])
def test_predict_writes_the_polygons_of_its_own_probabilities(
    models, town, tmp_path, monkeypatch, activation, striped, dtype
):
    ready = models[activation]
    options = dict(model=ready, probability_dtype=dtype)
    if striped:
        options["max_memory"] = narrow(monkeypatch, ready)
    files = dict(probabilities=tmp_path / "p.tif", polygons=tmp_path / "v.gpkg")
    done = predict(town, tmp_path / "m.tif", **files, **options)
    assert done.outputs == tuple(str(tmp_path / name) for name in ("m.tif", "p.tif", "v.gpkg"))
    predict(town, tmp_path / "m2.tif", polygons=tmp_path / "v2.gpkg", **options)
    counts = vectorize(tmp_path / "p.tif", tmp_path / "again.gpkg", scene="town.tif").polygons
    assert list(counts) == ["dull", "roof", "crown"][activation == "softmax" :]
    assert min(counts.values()) > 3
    frames = [geopandas.read_file(tmp_path / name) for name in ("v.gpkg", "v2.gpkg", "again.gpkg")]
    for frame in frames[1:]:
        assert frame.equals(frames[0])
    assert sorted(p.name for p in tmp_path.glob("*.tif")) == ["m.tif", "m2.tif", "p.tif"]
    assert not list(tmp_path.glob(".geoseg*"))


def test_polygons_of_one_stripe_take_no_raster_of_probabilities(models, town, tmp_path, monkeypatch):
    written, cog = [], geoseg.outputs.cog
    monkeypatch.setattr(
        geoseg.outputs, "cog", lambda path, spec: written.append(path.name) or cog(path, spec)
    )
    predict(town, tmp_path / "m.tif", model=models["sigmoid"], polygons=tmp_path / "v.gpkg")
    assert len(written) == 1
    assert written[0].endswith("m.tif")


def test_control_points_are_fitted_for_polygons(models, suburb, tmp_path):
    pixels, turned = suburb[520:660, 400:600], NORTH_UP * Affine.rotation(20)
    points = corner_points(pixels.shape[:2], turned)
    for point in points:  # GDAL's VRT keeps 13 digits of a raster's points
        point.x, point.y = round(point.x, 3), round(point.y, 3)
    scene = write_raster(tmp_path / "s.tif", pixels, gcps=points, transform=None)
    files = dict(probabilities=tmp_path / "p.tif", polygons=tmp_path / "v.gpkg")
    predict(scene, tmp_path / "m.tif", model=models["sigmoid"], **files)
    vectorize(tmp_path / "p.tif", tmp_path / "again.gpkg", scene="s.tif")
    frame = geopandas.read_file(tmp_path / "v.gpkg")
    assert frame.equals(geopandas.read_file(tmp_path / "again.gpkg"))
    assert frame.crs == UTM
    points[4].x += 3
    scene = write_raster(tmp_path / "bent.tif", pixels, gcps=points, transform=None)
    ready, calls = counted(models["sigmoid"])
    with pytest.raises(SceneError, match="off a plane"):
        predict(scene, tmp_path / "m2.tif", model=ready, polygons=tmp_path / "v2.gpkg")
    assert not calls
    assert not (tmp_path / "m2.tif").exists()


@pytest.mark.parametrize("where", ["network", "progress", "tracing", "drawing"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, ZeroDivisionError])
def test_what_interrupts_a_run_leaves_no_file_and_no_thread(
    models, town, tmp_path, monkeypatch, where, error
):
    def fail(*args, **options):
        raise error("enough")

    ready, _ = counted(models["sigmoid"], fail if where == "network" else None)
    if where == "tracing":
        monkeypatch.setattr(geoseg.vector.shaping, "separate", fail)
    if where == "drawing":
        monkeypatch.setattr(geoseg.polygons, "draw", fail)
    options = dict(progress=fail) if where == "progress" else {}
    with pytest.raises(error):
        predict(town, tmp_path / "m.tif", model=ready, polygons=tmp_path / "v.gpkg", **options)
    assert not list(tmp_path.iterdir())
    assert not [thread.name for thread in threading.enumerate() if "geoseg" in thread.name]


def rasterized(path, shape=(300, 340)):
    """Which class's polygons cover each pixel, by the number of the class; none overlap."""
    covered = np.zeros(shape, np.uint8)
    for number, name in enumerate(("background", "roof", "crown"), 1):
        frame = geopandas.read_file(path)
        of_class = frame.geometry[frame["class"] == name]
        if len(of_class):
            inside = rasterize(of_class, shape, transform=NORTH_UP).astype(bool)
            assert not covered[inside].any()
            covered[inside] = number
    return covered


@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_mask_and_probabilities_of_a_softmax_give_the_same_polygons(models, town, tmp_path, dtype):
    files = dict(probabilities=tmp_path / "p.tif", probability_dtype=dtype)
    predict(town, tmp_path / "m.tif", model=models["softmax"], **files)
    for name in ("m", "p"):
        vectorize(tmp_path / f"{name}.tif", tmp_path / f"{name}.gpkg", shaping=PLAIN)
    mask, probable = rasterized(tmp_path / "m.gpkg"), rasterized(tmp_path / "p.gpkg")
    with rasterio.open(tmp_path / "p.tif") as file:
        top, next_ = np.sort(file.read(), 0)[:-3:-1]
    tied = (top == next_) & (top != 255) if dtype == "uint8" else np.zeros(mask.shape, bool)
    assert set(np.unique(mask)) == {0, 2, 3}  # nobody asked for background
    assert np.array_equal(mask[~tied], probable[~tied])
    assert tied.mean() < 0.01
    vectorize(tmp_path / "p.tif", tmp_path / "b.gpkg", shaping=PLAIN, class_name="background")
    assert set(np.unique(rasterized(tmp_path / "b.gpkg"))) == {0, 1}
    vectorize(tmp_path / "p.tif", tmp_path / "t.gpkg", shaping=PLAIN, class_name="roof", threshold=0.9)
    assert 0 < (rasterized(tmp_path / "t.gpkg") == 2).sum() < (probable == 2).sum()


def test_confidence_is_the_mean_probability_of_a_softmax_too(models, town, tmp_path):
    predict(town, tmp_path / "m.tif", model=models["softmax"], probabilities=tmp_path / "p.tif")
    vectorize(tmp_path / "p.tif", tmp_path / "v.gpkg", shaping=Shaping(profile="generic", simplify_m=0))
    vectorize(tmp_path / "p.tif", tmp_path / "w.gpkg", shaping=PLAIN)
    smooth, exact = (geopandas.read_file(tmp_path / name) for name in ("v.gpkg", "w.gpkg"))
    assert smooth["confidence"].equals(exact["confidence"])
    assert exact["confidence"].between(1 / 3, 1).all()
    large = exact["area_m2"] > 5
    np.testing.assert_allclose(smooth["area_m2"][large], exact["area_m2"][large], rtol=0.15)


@pytest.mark.parametrize("kind", ["m.tif", "p.tif"])
def test_polygons_are_drawn_as_the_card_says(models, town, tmp_path, kind):
    predict(town, tmp_path / "m.tif", model=models["sigmoid"], probabilities=tmp_path / "p.tif")
    with rasterio.open(tmp_path / kind) as file:
        assert file.tags()["GEOSEG_PROFILES"] == "generic building tree"
        assert file.tags()["GEOSEG_ACTIVATION"] == "sigmoid"

    def forms(*options):
        out = tmp_path / f"v{'_'.join(options)}.gpkg"
        done = CliRunner().invoke(main, ["vectorize", str(tmp_path / kind), "-o", str(out), *options])
        assert done.exit_code == 0, done.output
        frame = geopandas.read_file(out)
        return {name for name in frame["class"] if frame["regularized"][frame["class"] == name].any()}

    assert forms() == {"roof"}
    assert forms("--profile", "building") == {"dull", "roof", "crown"}
    assert forms("--profile", "tree") == set()
    with rasterio.open(tmp_path / kind, "r+", IGNORE_COG_LAYOUT_BREAK="YES") as file:
        file.update_tags(GEOSEG_PROFILES="")
    assert forms("--class", "roof") == set()  # as its name says nothing


def test_polygons_that_cannot_be_written_are_refused_before_the_network_runs(models, town, tmp_path):
    ready, calls = counted(models["sigmoid"])
    with pytest.raises(OutputError, match="vector format"):
        predict(town, tmp_path / "m.tif", model=ready, polygons=tmp_path / "v.doc")
    assert not calls
    assert not list(tmp_path.iterdir())


def counted(ready, act=None):
    """A model whose engine notes its calls, or acts instead."""
    calls = []
    return replace(ready, engine=CountingEngine(ready.engine, calls, act)), calls


class CountingEngine:
    """An engine that notes its calls."""

    def __init__(self, engine, calls, act):
        self.engine, self.calls, self.act = engine, calls, act or engine
        for name in ("name", "precision", "classes", "stride", "halo", "batch_size", "streams"):
            setattr(self, name, getattr(engine, name))

    def __call__(self, batch):
        self.calls.append(len(batch))
        return self.act(batch)
