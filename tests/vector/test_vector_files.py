"""Writers: what goes in comes out again, whole or not at all."""

import json
import re
from pathlib import Path

import geopandas
import numpy as np
import pandas
import pyarrow.parquet as pq
import pyogrio
import pyproj
import pytest
import shapely
from affine import Affine
from rasterio.crs import CRS

from geoseg.errors import OutputError
from geoseg.geo.geobox import GeoBox
from geoseg.vector import files_feed
from geoseg.vector.attributes import METRIC, columns_for, feature_batch
from geoseg.vector.files import check_output, decimals_for, write_features

UTM = CRS.from_epsg(32611)
BOX = GeoBox((2000, 2000), Affine(0.3, 0, 452310, 0, -0.3, 3771240), UTM)
SCENE = 'Zürich "a" b\'s.tif'
PLANAR = (".gpkg", ".fgb", ".parquet")
ENDINGS = (".geojson", ".geojsonl", *PLANAR)


def ring(col, row):
    """A 9 × 7 px building with a court of 2 × 2."""
    return shapely.box(col, row, col + 9, row + 7).difference(shapely.box(col + 2, row + 2, col + 4, row + 4))


def batches(count, of=10, box=BOX, seed=1):
    """`count` features in batches of at most `of`."""
    rng = np.random.default_rng(seed)
    for corner in np.split(rng.integers(0, 1900, (count, 2)), range(of, count, of)):
        yield feature_batch(
            np.array([ring(*place) for place in corner], object), box, class_name="building", scene=SCENE,
            pixels=np.full(len(corner), 59), sums=rng.integers(5000, 59 * 254, len(corner)),
            touches_edge=corner[:, 0] < 100, regularized=np.full(len(corner), "circle", object),
        )  # fmt: skip


def gathered(given):
    """The features of batches as one table."""
    frames = [geopandas.GeoDataFrame(dict(b.columns), geometry=b.geometry, crs=UTM.to_wkt()) for b in given]
    return pandas.concat(frames, ignore_index=True)


def read(path):
    return geopandas.read_parquet(path) if path.suffix == ".parquet" else geopandas.read_file(path)


def in_order(frame):
    """The features from west to east."""
    middles = frame.geometry.to_crs(UTM.to_wkt()).centroid
    return frame.iloc[np.lexsort([middles.y.round(1), middles.x.round(1)])].reset_index(drop=True)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize(("count", "of"), [(1, 10), (57, 10)])
def test_what_is_written_is_read_again(tmp_path, monkeypatch, ending, count, of):
    monkeypatch.setattr(files_feed, "BATCH", 20)
    path = tmp_path / f"out{ending}"
    assert write_features(path, batches(count, of), crs=UTM) == count
    truth, back = in_order(gathered(batches(count, of))), in_order(read(path))
    names = [column.name for column in METRIC]
    assert [name for name in back.columns if name in names] == names
    assert back.pop("model").isna().all()
    for name in set(names) - {"model"}:
        if truth[name].dtype.kind == "f":
            assert back[name].to_numpy() == pytest.approx(truth[name].to_numpy())
        else:
            assert back[name].tolist() == truth[name].tolist()
    shapes, true = back.geometry.to_crs(UTM.to_wkt()).to_numpy(), truth.geometry.to_numpy()
    assert shapely.hausdorff_distance(shapes, true).max() < 0.01
    if ending in PLANAR:
        assert shapely.equals_identical(shapes, true).all()
        assert pyproj.CRS(back.crs) == pyproj.CRS(UTM.to_wkt())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("given", [0, 1], ids=["no batch", "an empty batch"])
def test_an_empty_result_is_a_file_with_its_schema(tmp_path, ending, given):
    path = tmp_path / f"out{ending}"
    none = feature_batch(np.array([], object), BOX, class_name="tree", scene="a")
    assert write_features(path, [none] * given, crs=UTM) == 0
    if ending == ".geojsonl":
        assert path.read_bytes() == b""
        return
    back = read(path)
    assert len(back) == 0
    if ending != ".geojson":
        assert {column.name for column in METRIC} <= set(back.columns)
        assert back.crs == pyproj.CRS(UTM.to_wkt())


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("name", ["gpkg", "gpkg_out", "two words", "Bäume 樹", 'it\'s "quoted"', "a.b"])
def test_any_file_name_will_do(tmp_path, ending, name):
    path = tmp_path / f"{name}{ending}"
    assert write_features(path, batches(3), crs=UTM) == 3
    assert len(read(path)) == 3
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_file_that_exists_is_kept_unless_told(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    write_features(path, batches(3), crs=UTM)
    before = path.read_bytes()
    with pytest.raises(OutputError, match="--overwrite"):
        write_features(path, batches(2), crs=UTM)
    assert path.read_bytes() == before
    assert write_features(path, batches(2), crs=UTM, overwrite=True) == 2
    assert len(read(path)) == 2


@pytest.mark.parametrize(
    "error", [ZeroDivisionError("why"), ValueError("why"), KeyboardInterrupt()], ids=repr
)
@pytest.mark.parametrize("ending", [*ENDINGS, "-"])
def test_a_failure_on_the_way_leaves_no_file_and_is_raised_as_it_was(tmp_path, monkeypatch, ending, error):
    monkeypatch.setattr(files_feed, "BATCH", 10)

    def failing():
        yield from batches(30)
        raise error

    with pytest.raises(type(error)) as caught:
        write_features("-" if ending == "-" else tmp_path / f"out{ending}", failing(), crs=UTM)
    assert caught.value is error
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_file_does_not_depend_on_the_batches(tmp_path, monkeypatch, ending):
    monkeypatch.setattr(files_feed, "BATCH", 16)
    everything = next(batches(50, 50))
    one, two = (tmp_path / f"{name}{ending}" for name in "ab")
    for path, of in ((one, 7), (two, 40)):
        write_features(path, (everything.take(slice(k, k + of)) for k in range(0, 50, of)), crs=UTM)
    if ending == ".gpkg":  # it holds the time
        assert read(one).equals(read(two))
    else:
        assert one.read_bytes() == two.read_bytes()


@pytest.mark.parametrize("ending", ENDINGS)
def test_multipolygons_make_all_features_multipolygons(tmp_path, ending):
    path = tmp_path / f"out{ending}"
    many = next(batches(4))
    many.geometry[1] = shapely.MultiPolygon([many.geometry[1], shapely.box(452400, 3770900, 452405, 3770905)])
    with pytest.raises(OutputError, match="MultiPolygon"):
        write_features(path, [many], crs=UTM)
    write_features(path, [many], crs=UTM, geometry_type="MultiPolygon")
    back = read(path)
    assert set(back.geom_type) == {"MultiPolygon"}
    assert sorted(back.geometry.count_coordinates()) == [10, 10, 10, 15]


@pytest.mark.parametrize(("name", "words"), [
    ("a.shp", r"end the name with one of \.geojson, .*\.parquet"), ("a", r"\.gpkg"),
    ("none/a.gpkg", "there is no folder"), ("folder.gpkg", "is a folder"),
])  # fmt: skip
def test_unusable_names_are_refused_in_one_line(tmp_path, name, words):
    (tmp_path / "folder.gpkg").mkdir()
    with pytest.raises(OutputError, match=words) as caught:
        write_features(tmp_path / name, batches(1), crs=UTM, overwrite=True)
    assert "\n" not in str(caught.value)


def test_a_folder_that_cannot_be_written_to_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(OutputError, match="cannot be written to"):
        write_features(tmp_path / "a.gpkg", batches(1), crs=UTM)


@pytest.mark.parametrize("ending", PLANAR)
def test_an_error_of_the_writer_is_one_line(tmp_path, monkeypatch, ending):
    def full(*_, **__):
        raise pyogrio.errors.DataLayerError("no space\nleft")

    monkeypatch.setattr("pyogrio.raw.write_arrow", full)
    monkeypatch.setattr("geoseg.vector.files.write_geoparquet", full)
    with pytest.raises(OutputError, match=rf"cannot write a{ending}: no space left; is the disk full\?"):
        write_features(tmp_path / f"a{ending}", batches(1), crs=UTM)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("path", ["a.geojson", "a.ndjson", "-", Path("-")])
@pytest.mark.parametrize("crs", [None, 'LOCAL_CS["site",UNIT["metre",1]]'])
def test_geojson_without_a_crs_is_refused_with_a_remedy(path, crs):
    with pytest.raises(OutputError, match=r"has no CRS on Earth; write \.gpkg.*gdal_edit"):
        check_output(path, crs)


@pytest.mark.parametrize("ending", PLANAR)
@pytest.mark.filterwarnings("error::UserWarning")
def test_without_a_crs_pixel_coordinates_are_written(tmp_path, ending):
    box = GeoBox((2000, 2000), Affine.identity())
    path = tmp_path / f"out{ending}"
    write_features(path, batches(3, box=box), crs=None, columns=columns_for(None))
    back = read(path)
    assert ending == ".gpkg" or back.crs is None
    assert back.area_px.tolist() == back.area.tolist() == [59] * 3


def test_lines_go_to_the_standard_output(capfdbinary, monkeypatch):
    monkeypatch.setattr(files_feed, "BATCH", 20)
    assert write_features("-", batches(45), crs=UTM) == 45
    features = [json.loads(line) for line in capfdbinary.readouterr().out.splitlines()]
    assert len(features) == 45
    assert features[0]["properties"]["class"] == "building"
    assert -118 < features[0]["geometry"]["coordinates"][0][0][0] < -117


@pytest.mark.parametrize(("pixel", "decimals"), [(0.3, 7), (0.1, 8)])
def test_geojson_keeps_rfc_7946(tmp_path, pixel, decimals):
    box = GeoBox((2000, 2000), Affine(pixel, 0, 452310, 0, -pixel, 3771240), UTM)
    assert decimals_for(box) == decimals
    path = tmp_path / "out.geojson"
    write_features(path, batches(40, box=box), crs=UTM, decimals=decimals_for(box))
    document = json.loads(path.read_text(encoding="utf-8"))
    assert "crs" not in document
    texts = [json.dumps(feature["geometry"]) for feature in document["features"]]
    assert max(len(digits) for digits in re.findall(r"\.(\d+)", " ".join(texts))) == decimals
    shapes = shapely.from_geojson(texts)
    assert shapely.is_valid(shapes).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(shapes)).all()
    assert not shapely.is_ccw(shapely.get_interior_ring(shapes, 0)).any()


@pytest.mark.parametrize("ending", [".geojson", ".geojsonl"])
@pytest.mark.parametrize(("crs", "lon", "lat"), [
    ("EPSG:32701", 180, -18), ("EPSG:32660", 180, 18), ("EPSG:2193", 180, -40),
    ("EPSG:4326", 180, -18), ("EPSG:4326", -180, 70), ("EPSG:4167", 180, -40),
])  # fmt: skip
def test_geojson_is_cut_at_the_antimeridian(tmp_path, ending, crs, lon, lat):
    crs = pyproj.CRS(crs)
    unit = 1e-5 if crs.is_geographic else 1
    to_map = pyproj.Transformer.from_crs(4326, crs, always_xy=True)
    x, y = (lon, lat) if crs.is_geographic else to_map.transform(lon, lat)
    box = GeoBox((100, 100), Affine(unit, 0, x - 50 * unit, 0, -unit, y + 50 * unit), crs)
    shapes = np.array([shapely.box(20, 20, 80, 60), shapely.box(2, 5, 6, 10), shapely.box(90, 5, 95, 10)])
    path = tmp_path / f"out{ending}"
    write_features(path, [feature_batch(shapes, box, class_name="a", scene="b")], crs=crs)
    back = read(path).geometry.to_numpy()
    assert np.abs(shapely.get_coordinates(back)[:, 0]).max() <= 180
    assert [shape.geom_type for shape in back] == ["MultiPolygon", "Polygon", "Polygon"]
    assert [shape.bounds[0] > 0 for shape in back[1:]] == [True, False]
    assert max(part.bounds[2] - part.bounds[0] for part in shapely.get_parts(back)) < 0.001
    assert shapely.is_valid(back).all()
    assert shapely.is_ccw(shapely.get_exterior_ring(shapely.get_parts(back))).all()


def test_geoparquet_says_all_that_the_standard_asks(tmp_path):
    path = tmp_path / "out.parquet"
    write_features(path, batches(500), crs=UTM)
    file = pq.ParquetFile(path)
    geo = json.loads(file.metadata.metadata[b"geo"])
    column = geo["columns"][geo["primary_column"]]
    assert (geo["version"], column["encoding"], column["geometry_types"]) == ("1.1.0", "WKB", ["Polygon"])
    assert column["orientation"] == "counterclockwise"
    assert pyproj.CRS(column["crs"]) == pyproj.CRS(UTM.to_wkt())
    assert column["covering"]["bbox"] == {side: ["bbox", side] for side in ("xmin", "ymin", "xmax", "ymax")}
    assert file.metadata.row_group(0).column(0).compression == "ZSTD"
    back = geopandas.read_parquet(path)
    assert column["bbox"] == pytest.approx(list(back.total_bounds))
    left, low = back.total_bounds[:2]
    window = geopandas.read_parquet(path, bbox=(left, low, left + 100, low + 100))
    assert len(window) == len(back.cx[left : left + 100, low : low + 100]) > 0


def test_geoparquet_is_sorted_along_a_curve(tmp_path):
    path = tmp_path / "out.parquet"
    write_features(path, batches(2000, 500), crs=UTM)

    def steps(frame):
        middles = frame.geometry.centroid
        return np.hypot(np.diff(middles.x), np.diff(middles.y)).mean()

    assert steps(geopandas.read_parquet(path)) < steps(gathered(batches(2000, 500))) / 8


def test_geoparquet_without_a_crs_does_not_claim_degrees(tmp_path):
    path = tmp_path / "out.parquet"
    write_features(path, batches(2), crs=None)
    geo = json.loads(pq.read_metadata(path).metadata[b"geo"])
    assert geo["columns"]["geometry"]["crs"] is None
