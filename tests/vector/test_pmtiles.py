"""Polygons as PMTiles, read back by GDAL; the header by its specification."""

import struct
import subprocess
import sys

import geopandas
import numpy as np
import pandas as pd
import pyogrio
import pyproj
import pytest
import shapely

from geoseg.errors import OutputError, SceneError
from geoseg.vector.pmtiles import write_pmtiles

UTM = "EPSG:32645"
CORNER = 354000, 3057000  # Banepa


def stars(count, points=16, seed=0, corner=CORNER, side=20.0, crs=UTM):
    """A frame of wiggly polygons side by side, with attributes as geoseg writes them."""
    rng = np.random.default_rng(seed)
    across = int(np.ceil(np.sqrt(count)))
    turns = np.linspace(0, 2 * np.pi, points, endpoint=False)
    radius = rng.uniform(0.3, 0.48, (count, points)) * side
    middle = np.stack([np.arange(count) % across, np.arange(count) // across], 1) * side + corner
    rings = middle[:, None] + np.stack([radius * np.cos(turns), radius * np.sin(turns)], -1)
    shapes = shapely.polygons(rings)
    table = {
        "class": ["building" if k % 3 else "tree" for k in range(count)], "area_m2": shapely.area(shapes),
        "touches_edge": rng.random(count) < 0.1, "scene": "a.tif", "number": np.arange(count),
    }  # fmt: skip
    return geopandas.GeoDataFrame(table, geometry=shapes, crs=crs)


def read(path, zoom):
    """All pieces of a zoom, joined by their number, on the ground in metres."""
    found = pyogrio.read_dataframe(path, ZOOM_LEVEL=zoom).to_crs(UTM)
    return found.dissolve("number")


def header(path):
    """Magic, version, and lowest and deepest zoom, as the specification of version 3 places them."""
    data = path.read_bytes()[:127]
    return data[:7], *struct.unpack_from("B", data, 7), *struct.unpack_from("BB", data, 100)


def test_polygons_and_attributes_come_back(tmp_path):
    frame = stars(300)
    frame.to_file(tmp_path / "a.gpkg")
    made = write_pmtiles([tmp_path / "a.gpkg"], tmp_path / "a.pmtiles")
    assert (made.zooms, made.polygons) == ((13, 15), 300)
    assert header(tmp_path / "a.pmtiles") == (b"PMTiles", 3, 13, 15)
    assert pyogrio.list_layers(tmp_path / "a.pmtiles")[:, 0].tolist() == ["polygons"]
    found = read(tmp_path / "a.pmtiles", 15)
    assert sorted(found.index) == list(range(300))
    truth = frame.set_index("number").loc[found.index]
    overlap = found.intersection(truth, align=False).area / found.union(truth, align=False).area
    assert overlap.min() > 0.9  # steps of 0.27 m on stars of 16 m
    for name in ("class", "touches_edge", "scene"):
        assert found[name].tolist() == truth[name].tolist()
    assert np.allclose(found["area_m2"], truth["area_m2"])


def test_a_dense_tile_keeps_its_polygons(tmp_path):
    frame = stars(6000, points=60)  # more than GDAL's own 500 kB, beyond which small polygons vanish
    frame.to_file(tmp_path / "a.fgb")
    write_pmtiles([tmp_path / "a.fgb"], tmp_path / "a.pmtiles", max_zoom=13)
    found = read(tmp_path / "a.pmtiles", 13)
    assert len(found) == 6000
    assert found.area.sum() == pytest.approx(frame.area.sum(), rel=0.03)


def test_files_of_any_format_and_crs_make_one_map(tmp_path):
    whole = stars(120)
    frame = whole.to_crs("EPSG:4326")
    frame[frame.number < 30].to_file(tmp_path / "a.geojson")
    whole[whole.number.between(30, 59)].to_file(tmp_path / "b.gpkg")
    (tmp_path / "chunks").mkdir()
    for part in (0, 1):
        rows = whole[whole.number.between(60 + 30 * part, 89 + 30 * part)].to_crs("EPSG:32644")
        (tmp_path / "chunks" / f"chunk={part}").mkdir()
        rows.to_parquet(tmp_path / "chunks" / f"chunk={part}" / "polygons.parquet", write_covering_bbox=True)
    files = [tmp_path / name for name in ("a.geojson", "b.gpkg", "chunks")]
    assert write_pmtiles(files, tmp_path / "map.pmtiles", min_zoom=15).polygons == 120
    found = read(tmp_path / "map.pmtiles", 15)
    assert sorted(found.index) == list(range(120))
    middles = found.centroid.distance(whole.set_index("number").loc[found.index].centroid, align=False)
    assert middles.max() < 0.5
    assert "bbox" not in found


def test_attributes_that_a_file_lacks_are_left_out(tmp_path):
    frame = stars(20)
    frame[frame.number < 10].to_file(tmp_path / "a.gpkg")
    frame[frame.number >= 10].drop(columns="scene").to_file(tmp_path / "b.gpkg")
    write_pmtiles([tmp_path / "b.gpkg", tmp_path / "a.gpkg"], tmp_path / "map.pmtiles")
    found = read(tmp_path / "map.pmtiles", 15)
    assert (found.loc[found.index < 10, "scene"] == "a.tif").all()
    assert pd.isna(found.loc[found.index >= 10, "scene"]).all()


def test_polygons_over_the_antimeridian_stay_small(tmp_path):
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform(-180, 52)
    frame = stars(1, corner=(x, y), side=400.0, crs="EPSG:32601")
    frame.to_file(tmp_path / "a.gpkg")
    write_pmtiles([tmp_path / "a.gpkg"], tmp_path / "a.pmtiles", min_zoom=14)
    pieces = pyogrio.read_dataframe(tmp_path / "a.pmtiles", ZOOM_LEVEL=15).explode()
    assert (pieces.bounds.maxx - pieces.bounds.minx).max() < 1000
    assert pieces.centroid.x.min() < 0 < pieces.centroid.x.max()
    assert pieces.to_crs("EPSG:32601").area.sum() == pytest.approx(frame.area.sum(), rel=0.02)


@pytest.mark.parametrize(("zooms", "made"), [
    ({}, (13, 15)), ({"max_zoom": 11}, (11, 11)), ({"min_zoom": 17}, (17, 17)), ({"min_zoom": 0}, (0, 15)),
    ({"min_zoom": 14, "max_zoom": 16}, (14, 16)),
])  # fmt: skip
def test_zooms_are_those_asked_for(tmp_path, zooms, made):
    stars(3).to_file(tmp_path / "a.gpkg")
    assert write_pmtiles([tmp_path / "a.gpkg"], tmp_path / "a.pmtiles", **zooms).zooms == made
    assert header(tmp_path / "a.pmtiles")[2:] == made


def test_what_cannot_be_a_map_is_refused_and_leaves_nothing(tmp_path):
    stars(3).to_file(tmp_path / "a.gpkg")
    stars(3).iloc[:0].to_file(tmp_path / "empty.gpkg")
    stars(3).set_crs(None, allow_override=True).to_parquet(tmp_path / "nowhere.parquet")
    (tmp_path / "text.gpkg").write_text("no polygons")
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    for name, kind, words in (
        ("empty.gpkg", OutputError, "there is no polygon"), ("nowhere.parquet", SceneError, "have no CRS"),
        ("text.gpkg", SceneError, "cannot read the polygons of"), ("none.gpkg", SceneError, "cannot read"),
        ("folder", SceneError, "there is no GeoParquet"),
    ):  # fmt: skip
        with pytest.raises(kind, match=words):
            write_pmtiles([tmp_path / name], tmp_path / "map.pmtiles")
    for zooms in ({"min_zoom": 9, "max_zoom": 8}, {"max_zoom": 23}):
        with pytest.raises(OutputError, match="zooms of polygons"):
            write_pmtiles([tmp_path / "a.gpkg"], tmp_path / "map.pmtiles", **zooms)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_that_breaks_half_way_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    stars(30_000, points=4).to_parquet(path, compression="zstd", row_group_size=10_000)
    data = bytearray(path.read_bytes())
    data[len(data) * 2 // 3 : -10_000] = bytes(len(data) - 10_000 - len(data) * 2 // 3)
    path.write_bytes(data)
    with pytest.raises(SceneError, match=r"cannot read the polygons of .*a\.parquet"):
        write_pmtiles([path], tmp_path / "map.pmtiles", min_zoom=15)
    assert [file.name for file in tmp_path.iterdir()] == ["a.parquet"]


def test_a_full_disk_is_an_error_and_leaves_nothing(tmp_path):
    stars(500).to_file(tmp_path / "a.gpkg")
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from geoseg.vector.pmtiles import write_pmtiles\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))\n"
        "write_pmtiles([Path(sys.argv[1])], Path(sys.argv[2]))\n"
    )
    words = [sys.executable, "-c", code, str(tmp_path / "a.gpkg"), str(tmp_path / "a.pmtiles")]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "OutputError: cannot write a.pmtiles" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["a.gpkg"]
