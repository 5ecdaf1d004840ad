"""Map tiles as scenes of a batch and of `geoseg predict`."""

import json

import numpy as np
import pytest
import rasterio
from conftest import write_raster
from map_tiles import cut, degrees, encoded, inner, mosaic, served, write_folder, write_mbtiles

import geoseg
from geoseg.bulk.sources import expand
from geoseg.errors import BatchError, SceneError
from geoseg.geo import tile_server
from geoseg.geo.fingerprint import fingerprint
from geoseg.geo.tile_grid import TileRange
from geoseg.geo.tile_search import TileChoices

SIZE = 64
EXTENT = TileRange(20, 772000, 441600, 4, 3)  # pixels of 0.53 m at 64 px a tile
CORNER = (EXTENT.col, EXTENT.row)
MIDDLE = (EXTENT.col + 1, EXTENT.row + 1)
PIXELS = np.kron(mosaic(EXTENT, SIZE)[::8, ::8], np.ones((8, 8, 1), np.uint8))  # blobs
FILES = cut(PIXELS, EXTENT, SIZE)


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(tile_server, "BACK_OFF", 0.001)


@pytest.fixture
def expected(tmp_path, tiny_bundle):
    """The mask of the same pixels in a GeoTIFF."""
    scene = write_raster(tmp_path / "geotiff.tif", PIXELS, transform=EXTENT.transform(SIZE), crs="EPSG:3857")
    geoseg.predict(scene, tmp_path / "expected.tif", model=tiny_bundle.folder)
    return mask(tmp_path / "expected.tif")


def mask(path):
    with rasterio.open(path) as file:
        return file.read(1), file.transform, file.crs


def assert_same(found, expected):
    assert np.array_equal(found[0], expected[0])
    assert found[1].almost_equals(expected[1], 1e-9)
    assert found[2] == expected[2]


def batched(source, folder, tiny_bundle, **options):
    return geoseg.batch(source, folder, **{"model": tiny_bundle.folder, "chunk": 96} | options)


def test_folder_file_and_server_give_the_mask_of_the_geotiff(tmp_path, tiny_bundle, expected):
    folder = write_folder(tmp_path / "tiles", FILES, zoom=20)
    archive = write_mbtiles(tmp_path / "city.mbtiles", FILES, zoom=20)
    with served(FILES, zoom=20) as server:
        done = batched(
            [server.template], tmp_path / "web", tiny_bundle, zoom=20, bounds=inner(EXTENT),
            executor="processes", workers=2,
        )  # fmt: skip
    assert done.complete
    assert done.planned > 4
    assert_same(mask(tmp_path / "web" / "map_mask.tif"), expected)
    assert batched([folder, archive], tmp_path / "disk", tiny_bundle).complete
    for name in ("tiles", "city"):
        assert_same(mask(tmp_path / "disk" / f"{name}_mask.tif"), expected)
        geoseg.predict(
            {"tiles": folder, "city": archive}[name], tmp_path / f"{name}.tif", model=tiny_bundle.folder
        )
        assert_same(mask(tmp_path / f"{name}.tif"), expected)


def test_a_missing_tile_is_255_in_the_mask(tmp_path, tiny_bundle, expected):
    folder = write_folder(tmp_path / "tiles", {k: v for k, v in FILES.items() if k != MIDDLE}, zoom=20)
    assert batched(folder, tmp_path / "out", tiny_bundle).complete
    found = mask(tmp_path / "out" / "tiles_mask.tif")[0]
    hole = np.zeros(found.shape, bool)
    hole[SIZE : 2 * SIZE, SIZE : 2 * SIZE] = True
    assert np.array_equal(found == 255, hole)
    assert np.array_equal(found[~hole], expected[0][~hole])  # the network of the test has no context


def test_a_tile_that_is_never_to_be_had_fails_its_chunks_by_name_and_resumes(tmp_path, tiny_bundle, expected):
    from click.testing import CliRunner

    from geoseg.cli import main

    with served(FILES, lambda place, asked: 503 if broken and place == CORNER else None, zoom=20) as server:
        broken = True
        words = ["batch", server.template, "-o", str(tmp_path / "out"), "-m", str(tiny_bundle.folder),
                 "--zoom", "20", "--bounds", *map(str, inner(EXTENT)), "--chunk", "48"]  # fmt: skip
        done = CliRunner().invoke(main, [*words, "--attempts", "1"])
        assert done.exit_code == 3
        assert f"tile 20/{CORNER[0]}/{CORNER[1]} of {server.template.split('{')[0]}" in done.stderr
        account = json.loads((tmp_path / "out" / "summary.json").read_text())
        assert 0 < len(account["failures"]) < account["planned"] / 2
        broken = False
        done = CliRunner().invoke(main, [*words, "--resume"])
        assert done.exit_code == 0, done.stderr
    assert_same(mask(tmp_path / "out" / "map_mask.tif"), expected)


def test_an_area_of_interest_takes_its_tiles_and_cuts_its_pixels(tmp_path, tiny_bundle, expected):
    left, bottom, _, _ = EXTENT.bounds
    side = (EXTENT.bounds[2] - left) / EXTENT.cols
    west, south, east, north = degrees(
        (left + 1.5 * side, bottom + 0.5 * side, left + 2.5 * side, bottom + 1.5 * side)
    )
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    with served(FILES, zoom=20) as server:
        assert batched(
            server.template, tmp_path / "out", tiny_bundle, zoom=20, cutline=tmp_path / "area.geojson"
        ).complete
    found, transform, _ = mask(tmp_path / "out" / "map_mask.tif")
    assert found.shape == (2 * SIZE, 2 * SIZE)
    assert transform * (0, 0) == pytest.approx((left + side, bottom + 2 * side), abs=1e-6)
    inside = found[SIZE // 2 : -SIZE // 2, SIZE // 2 : -SIZE // 2]
    assert np.array_equal(inside, expected[0][SIZE:][SIZE // 2 : -SIZE // 2, SIZE * 3 // 2 : -SIZE * 3 // 2])
    assert (found != 255).sum() == inside.size


def test_the_polygons_name_the_tiles_and_not_their_files(tmp_path, tiny_bundle):
    import geopandas

    source = write_mbtiles(tmp_path / "a town.mbtiles", FILES, zoom=20)
    assert batched(source, tmp_path / "out", tiny_bundle, polygons="gpkg").complete
    frame = geopandas.read_file(tmp_path / "out" / "a_town_polygons.gpkg")
    assert set(frame["scene"]) == {"a_town"}


def test_the_command_predicts_tiles_with_a_long_key_again_and_again(
    tmp_path, tiny_bundle, expected, monkeypatch
):
    from click.testing import CliRunner

    from geoseg.cli import main

    monkeypatch.chdir(tmp_path)
    place = ["--zoom", "20", "--bounds", *map(str, inner(EXTENT))]
    with served(FILES, zoom=20) as server:
        for _ in "ab":
            address = f"{server.template}?key={'k' * 400}"
            words = ["predict", address, *place, "-m", str(tiny_bundle.folder), "--overwrite"]
            done = CliRunner().invoke(main, words)
            assert (done.exit_code, done.stdout) == (0, "map_mask.tif\n"), done.stderr
    assert_same(mask(tmp_path / "map_mask.tif"), expected)


def test_a_changed_archive_is_noticed(tmp_path):
    path = write_mbtiles(tmp_path / "a.mbtiles", FILES, zoom=20)
    (source,) = expand([path])
    before = fingerprint(source.dataset)
    path.write_bytes(path.read_bytes() + b" ")
    assert before
    assert fingerprint(source.dataset) != before


def test_tiles_are_sources_among_others(tmp_path):
    write_folder(tmp_path / "tiles", FILES, zoom=20)
    write_mbtiles(tmp_path / "city.mbtiles", FILES, zoom=20)
    write_raster(tmp_path / "a.tif", PIXELS)
    (tmp_path / "list.txt").write_text("tiles\ncity.mbtiles\na.tif\n")
    assert [scene.name for scene in expand([tmp_path / "list.txt"])] == ["tiles", "city", "a"]
    assert [scene.name for scene in expand([f"{tmp_path}/*.mbtiles"])] == ["city"]


def test_two_servers_of_one_name_are_told_apart_by_error(tmp_path):
    with (
        served(FILES, zoom=20) as one,
        served(FILES, zoom=20) as other,
        pytest.raises(BatchError, match="one name"),
    ):
        expand([one.template, other.template], tiles=TileChoices(20, inner(EXTENT)))


def test_bounds_that_mean_two_things_are_refused(tmp_path, tiny_bundle):
    tiles = write_folder(tmp_path / "tiles", FILES, zoom=20)
    scene = write_raster(tmp_path / "a.tif", PIXELS)
    with pytest.raises(SceneError, match="run them separately"):
        batched([tiles, scene], tmp_path / "out", tiny_bundle, bounds=inner(EXTENT))
    with pytest.raises(SceneError, match="for map tiles, got none"):
        geoseg.predict(scene, tmp_path / "m.tif", model=tiny_bundle.folder, zoom=18)


def test_a_zoom_too_coarse_for_the_model_tells_its_pixel_size(tmp_path, tiny_bundle):
    tiles = write_folder(tmp_path / "tiles", {(3015, 1725): encoded(PIXELS[:64, :64])}, zoom=12)
    with pytest.raises(
        SceneError, match=r"pixels of 13\d m are too coarse for a model trained at 0\.1 to 1 m"
    ):
        geoseg.predict(tiles, tmp_path / "m.tif", model=tiny_bundle.folder)
