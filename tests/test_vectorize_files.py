"""Rasters to polygons through files: laws 5 and 6, and the command line."""

import json

import geopandas
import numpy as np
import pytest
import rasterio
import shapely
from affine import Affine
from click.testing import CliRunner
from conftest import ROOT, UTM, write_raster
from rasterio.features import rasterize

from geoseg.cli import main
from geoseg.polygons import Shaping, vectorize

NORTH_UP = Affine(0.5, 0, 452310, 0, -0.5, 3771240)
PLAIN = Shaping(profile="generic", simplify=False)
PLANES = {
    "north up": (NORTH_UP, UTM),
    "south up": (Affine(0.5, 0, 452310, 0, 0.5, 3771240), UTM),
    "rotated": (NORTH_UP * Affine.rotation(33), UTM),
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
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=NORTH_UP, crs=UTM)
    vectorize(path, tmp_path / "v.gpkg", shaping=Shaping(profile="building"))
    frame = geopandas.read_file(tmp_path / "v.gpkg").sort_values("area_m2")
    assert [len(g.exterior.coords) for g in frame.geometry] == [5, 5]
    np.testing.assert_allclose(frame["area_m2"], [800 / 4, 900 / 4], rtol=2e-3)
    assert set(frame["regularized"]) == {"rectilinear"}


def test_no_two_polygons_of_a_class_overlap(tmp_path):
    path = write_raster(tmp_path / "m.tif", blobs(seed=5)[..., None], transform=NORTH_UP, crs=UTM)
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
    path = write_raster(tmp_path / "p.tif", codes[..., None], transform=NORTH_UP, crs=UTM, nodata=255)
    with rasterio.open(path, "r+") as file:
        file.update_tags(**tags)
        file.set_band_description(1, "tree")
    assert vectorize(path, tmp_path / "v.gpkg").polygons == {"tree": 2}
    one, other = geopandas.read_file(tmp_path / "v.gpkg").geometry
    assert shapely.area(shapely.intersection(one, other)) < 1e-6
    assert shapely.length(shapely.intersection(one.boundary, other.boundary)) > 2


def test_the_command_line_prints_the_path_and_counts(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=NORTH_UP, crs=UTM)
    done = CliRunner().invoke(main, ["vectorize", str(path), "-o", str(tmp_path / "v.geojson"), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["polygons"] == {"foreground": 2}
    collection = json.loads((tmp_path / "v.geojson").read_text())
    assert "crs" not in collection
    assert len(collection["features"]) == 2


def test_lines_of_geojson_go_to_stdout(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=NORTH_UP, crs=UTM)
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
    write_raster(tmp_path / "m.tif", blobs()[..., None], transform=NORTH_UP, crs=UTM)
    done = CliRunner().invoke(main, ["vectorize", "m.tif", *extra])
    assert done.exit_code == 1
    assert hint in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [p.name for p in tmp_path.iterdir()] == ["m.tif"]


def test_an_existing_output_is_kept(tmp_path):
    path = write_raster(tmp_path / "m.tif", rectangles()[..., None], transform=NORTH_UP, crs=UTM)
    (tmp_path / "v.gpkg").write_text("mine")
    done = CliRunner().invoke(main, ["vectorize", str(path), "-o", str(tmp_path / "v.gpkg")])
    assert done.exit_code == 1
    assert "--overwrite" in done.stderr
    assert (tmp_path / "v.gpkg").read_text() == "mine"


def test_nothing_to_trace_is_a_valid_empty_file(tmp_path):
    path = write_raster(tmp_path / "m.tif", np.zeros((40, 50, 1), np.uint8), transform=NORTH_UP, crs=UTM)
    for ending in (".gpkg", ".geojson", ".fgb", ".parquet"):
        vectorize(path, tmp_path / f"v{ending}")
        read = geopandas.read_parquet if ending == ".parquet" else geopandas.read_file
        assert len(read(tmp_path / f"v{ending}")) == 0


def test_predict_writes_the_polygons_of_its_own_probabilities(tmp_path):
    from geoseg.api import load, predict

    ready, scene = load(), ROOT / "sample_data" / "suburb.tif"
    with rasterio.open(scene) as file:
        left, _, _, top = file.bounds
    box = (left + 15, top - 120, left + 105, top - 15)
    done = predict(
        scene,
        tmp_path / "m.tif",
        model=ready,
        bounds=box,
        probabilities=tmp_path / "p.tif",
        polygons=tmp_path / "v.gpkg",
    )
    predict(scene, tmp_path / "m2.tif", model=ready, bounds=box, polygons=tmp_path / "v2.gpkg")
    vectorize(tmp_path / "p.tif", tmp_path / "again.gpkg", scene="suburb.tif")
    frames = [geopandas.read_file(tmp_path / name) for name in ("v.gpkg", "v2.gpkg", "again.gpkg")]
    assert len(frames[0]) > 5
    for frame in frames[1:]:
        assert frame.equals(frames[0])
    assert done.outputs == tuple(str(tmp_path / name) for name in ("m.tif", "p.tif", "v.gpkg"))
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix == ".tif") == ["m.tif", "m2.tif", "p.tif"]
    assert not list(tmp_path.glob(".geoseg*"))


def test_polygons_that_cannot_be_written_are_refused_before_the_network_runs(tmp_path):
    from geoseg.api import load, predict
    from geoseg.errors import OutputError

    ready = load()
    calls = []
    engine = ready.engine
    ready = type(ready)(ready.bundle, ready.settings, CountingEngine(engine, calls))
    with pytest.raises(OutputError, match="vector format"):
        predict(
            ROOT / "sample_data" / "suburb.tif", tmp_path / "m.tif", model=ready, polygons=tmp_path / "v.doc"
        )
    assert not calls
    assert not list(tmp_path.iterdir())


class CountingEngine:
    """An engine that notes its calls."""

    def __init__(self, engine, calls):
        self.engine, self.calls = engine, calls
        for name in ("name", "classes", "stride", "halo", "batch_size", "streams"):
            setattr(self, name, getattr(engine, name))

    def __call__(self, batch):
        self.calls.append(len(batch))
        return self.engine(batch)
