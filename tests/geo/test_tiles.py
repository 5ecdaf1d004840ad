"""Map tiles on disk as scenes."""

import json
import re
import time

import numpy as np
import pytest
from map_tiles import EXTENT, SIZE, cut, degrees, encoded, mosaic, write_folder, write_mbtiles
from PIL import Image

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.scene import open_scene
from geoseg.geo.tile_grid import TileRange, latitude
from geoseg.geo.tile_search import TileChoices, as_scenes, find_tiles
from geoseg.geo.tiles import Tiles

MIDDLE = (EXTENT.col + 1, EXTENT.row + 1)


def read(source, window=None, sizes_m=None, cutline=None, **choices):
    """The pixels and validity of tiles, of a window or of all of them."""
    tiles = find_tiles(source, TileChoices(**choices))
    with open_scene(str(tiles), sizes_m=sizes_m, cutline=cutline, quiet=True) as scene:
        return scene.read(window or scene.geobox.whole())


@pytest.mark.parametrize("store", ["folder", "tms", "mbtiles"])
def test_a_scene_of_tiles_is_what_was_cut_into_them(tmp_path, store):
    pixels = mosaic()
    files = cut(pixels)
    if store == "mbtiles":
        source = write_mbtiles(tmp_path / "a.mbtiles", files)
    else:
        source = write_folder(tmp_path / "a", files, tms=store == "tms")
    found, valid = read(source, tms=store == "tms")
    assert np.array_equal(found, pixels)
    assert valid.all()
    for window in (Window(20, 30, 40, 50), Window(0, 0, 1, 1), Window(31, 31, 2, 2), Window(64, 96, 32, 32)):
        found, _ = read(source, window, tms=store == "tms")
        assert np.array_equal(found, pixels[window.row : window.stop_row, window.col : window.stop_col])


@pytest.mark.parametrize("store", ["folder", "mbtiles"])
def test_a_missing_tile_is_no_data_and_only_it(tmp_path, store):
    pixels = mosaic()
    files = cut(pixels, without=[MIDDLE])
    if store == "mbtiles":
        source = write_mbtiles(tmp_path / "a.mbtiles", files)
    else:
        source = write_folder(tmp_path / "a", files)
    found, valid = read(source)
    expected = np.ones(valid.shape, bool)
    expected[SIZE : 2 * SIZE, SIZE : 2 * SIZE] = False
    assert np.array_equal(valid, expected)
    assert np.array_equal(found[valid], pixels[expected])


def test_the_scene_lies_where_its_tiles_do(tmp_path):
    tiles = find_tiles(write_folder(tmp_path / "a", cut(mosaic())), TileChoices())
    with open_scene(str(tiles)) as scene:
        assert scene.geobox.crs.to_epsg() == 3857
        assert scene.geobox.transform.almost_equals(EXTENT.transform(SIZE), 1e-9)
        assert scene.shape == EXTENT.shape(SIZE)
        expected = 40075016.68 / 2**18 / SIZE * np.cos(np.radians(latitude(EXTENT.bounds[1])))
        assert scene.geobox.side_m() == pytest.approx(expected, rel=3e-3)  # a sphere's is no ellipsoid's


@pytest.mark.parametrize("sizes_m", [(10.0, 10.0), (2.115, 2.115), (5.6, 5.6)])  # one half of theirs
def test_tiles_that_are_fetched_as_they_are_needed_make_the_same_resampled_scene(tmp_path, sizes_m):
    big = TileRange(18, EXTENT.col, EXTENT.row, 24, 20)
    pixels = mosaic(big)
    source = write_folder(tmp_path / "a", cut(pixels, big, without=[(big.col + 9, big.row + 9)]))
    whole, valid = read(source, sizes_m=sizes_m)
    assert not valid.all()
    for row, col in ((0, 0), (100, 130), (whole.shape[0] - 40, whole.shape[1] - 60)):
        window = Window(row, col, 40, 60)
        found, there = read(source, window, sizes_m=sizes_m)
        assert np.array_equal(found, whole[row : row + 40, col : col + 60])
        assert np.array_equal(there, valid[row : row + 40, col : col + 60])


def test_what_was_not_fetched_is_an_error_and_no_hole(tmp_path):
    tiles = find_tiles(write_folder(tmp_path / "a", cut(mosaic())), TileChoices())
    with tiles.open() as (dataset, fetch):
        fetch(Window(0, 0, SIZE, SIZE))
        assert dataset.read(4, window=((0, SIZE), (0, SIZE))).all()
        with pytest.raises(OSError, match="Read failed"):
            dataset.read(4, window=((0, SIZE), (0, SIZE + 1)))


@pytest.mark.parametrize(("kind", "ending"), [("JPEG", ".jpg"), ("WEBP", ".webp"), ("PNG", ".PNG")])
def test_tiles_are_read_in_every_usual_format(tmp_path, kind, ending):
    pixels = np.full((*EXTENT.shape(SIZE), 3), (200, 120, 40), np.uint8)
    source = write_folder(tmp_path / "a", cut(pixels, kind=kind), ending=ending)
    found, valid = read(source)
    assert valid.all()
    assert np.abs(found.astype(int) - pixels).max() <= 5


def converted(mode):
    return lambda pixels: Image.fromarray(pixels).convert(mode)


def half_clear(pixels):
    picture = Image.fromarray(pixels).convert("RGBA")
    picture.paste((9, 9, 9, 0), (0, 0, SIZE // 2, SIZE))
    return picture


def one_colour_clear(pixels):
    picture = Image.fromarray(pixels)
    picture.info["transparency"] = tuple(map(int, pixels[5, 7]))
    return picture


@pytest.mark.parametrize("change", [
    one_colour_clear, half_clear, *map(converted, ("L", "LA", "P", "1", "RGBA")),
], ids=["a clear colour", "half clear", "grey", "grey and alpha", "palette", "bits", "alpha"])  # fmt: skip
def test_pictures_of_other_kinds_are_read_as_everybody_sees_them(tmp_path, change):
    pixels, files = mosaic(), cut(mosaic())
    picture = change(pixels[SIZE : 2 * SIZE, SIZE : 2 * SIZE])
    files[MIDDLE] = encoded(np.zeros((1, 1, 3), np.uint8))
    source = write_folder(tmp_path / "a", files)
    picture.save(source / "18" / str(MIDDLE[0]) / f"{MIDDLE[1]}.png")
    found, valid = read(source, Window(SIZE, SIZE, SIZE, SIZE))
    seen = np.asarray(picture.convert("RGBA"))
    assert np.array_equal(valid, seen[..., 3] > 0)
    assert np.array_equal(found[valid], seen[..., :3][valid])


def test_larger_tiles_are_known_by_themselves(tmp_path):
    pixels = mosaic(size=64)
    found, _ = read(write_folder(tmp_path / "a", cut(pixels, size=64)))
    assert np.array_equal(found, pixels)


def test_bounds_take_the_whole_tiles_that_they_touch(tmp_path):
    pixels = mosaic()
    left, bottom, right, _ = EXTENT.bounds
    side = (right - left) / EXTENT.cols
    inside = degrees((left + 1.2 * side, bottom + 0.1 * side, left + 2.3 * side, bottom + 1.9 * side))
    found, _ = read(write_folder(tmp_path / "a", cut(pixels)), bounds=inside)
    assert np.array_equal(found, pixels[SIZE:, SIZE : 3 * SIZE])


def test_the_box_of_an_area_of_interest_takes_tiles_and_its_outline_pixels(tmp_path):
    left, bottom, right, _ = EXTENT.bounds
    side = (right - left) / EXTENT.cols
    west, south, east, north = degrees((left + side, bottom + side, left + 3 * side, bottom + 2 * side))
    ring = [[west, south], [east, south], [west, north], [west, south]]
    area = tmp_path / "area.geojson"
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    pixels = mosaic()
    found, valid = read(write_folder(tmp_path / "a", cut(pixels)), area=area, cutline=area)
    assert np.array_equal(found, pixels[SIZE : 2 * SIZE, SIZE : 3 * SIZE])
    assert valid.mean() == pytest.approx(0.5, abs=0.05)
    assert valid[-1, 0]
    assert not valid[0, -1]


def test_the_deepest_zoom_is_taken_unless_another_is_given(tmp_path):
    deep = mosaic()
    folder = write_folder(tmp_path / "a", cut(deep))
    coarse = TileRange(17, EXTENT.col // 2, EXTENT.row // 2, 2, 2)
    pixels = mosaic(coarse, seed=2)
    write_folder(folder, cut(pixels, coarse), zoom=17)
    assert np.array_equal(read(folder)[0], deep)
    assert np.array_equal(read(folder, zoom=17)[0], pixels)
    with pytest.raises(SceneError, match="no tiles at zoom 16; choose --zoom from 17, 18"):
        read(folder, zoom=16)


@pytest.mark.parametrize("name", ["a b&c", "ü%20#?x", "<q>\"'", "a{x}b", "$z ${z}"])
def test_odd_characters_in_names_are_only_characters(tmp_path, name):
    pixels = mosaic()
    for source in (write_folder(tmp_path / name, cut(pixels)),
                   write_mbtiles(tmp_path / f"{name}.mbtiles", cut(pixels))):  # fmt: skip
        assert np.array_equal(read(source)[0], pixels)


def test_temporary_folders_with_odd_names_are_no_trouble(tmp_path, monkeypatch):
    odd = tmp_path / "t m&p#%20"
    odd.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(odd))
    pixels = mosaic()
    assert np.array_equal(read(write_folder(tmp_path / "a", cut(pixels)))[0], pixels)
    assert list(odd.iterdir()) == []


@pytest.mark.parametrize(("data", "words"), [
    (b"<html>no</html>", "no PNG, JPEG or WebP, it begins with '<html>no"),
    (b"", "no PNG, JPEG or WebP"),
    (encoded(mosaic()[:SIZE, :SIZE])[:-200], "damaged"),
    (encoded(mosaic()[: 2 * SIZE, : 2 * SIZE]), "64×64 px, the others 32×32"),
    (encoded(np.full((SIZE, SIZE), 999, np.uint16)), "16 bits"),
], ids=["words", "nothing", "cut off", "larger", "16 bits"])  # fmt: skip
@pytest.mark.parametrize("store", ["folder", "mbtiles"])
def test_a_damaged_tile_is_named_and_no_hole(tmp_path, store, data, words):
    files = {place: data if place == MIDDLE else file for place, file in cut(mosaic()).items()}
    if store == "mbtiles":
        source = write_mbtiles(tmp_path / "a.mbtiles", files)
    else:
        source = write_folder(tmp_path / "a", files)
    with pytest.raises(SceneError, match=f"tile 18/{MIDDLE[0]}/{MIDDLE[1]} of .*{words}"):
        read(source)
    read(source, Window(0, 0, SIZE, SIZE))  # what lies elsewhere is not touched by it


@pytest.mark.parametrize("store", ["folder", "mbtiles"])
def test_the_size_is_learnt_from_a_tile_that_is_whole(tmp_path, store):
    pixels = mosaic()
    files = cut(pixels) | {(EXTENT.col, EXTENT.row): b"rubbish"}
    if store == "mbtiles":
        source = write_mbtiles(tmp_path / "a.mbtiles", files)
    else:
        source = write_folder(tmp_path / "a", files)
    window = Window(SIZE, SIZE, SIZE, SIZE)
    assert np.array_equal(read(source, window)[0], pixels[SIZE : 2 * SIZE, SIZE : 2 * SIZE])


def test_a_country_opens_at_once(tmp_path):
    big = TileRange(18, 100000, 100000, 20000, 20000)
    place = (big.col + 9999, big.row + 9999)
    tile = mosaic(TileRange(18, *place, 1, 1))
    folder = write_folder(tmp_path / "a", {place: encoded(tile)})
    tiles = Tiles(f"{folder}/{{z}}/{{x}}/{{y}}", big, SIZE, "country")
    start = time.perf_counter()
    with open_scene(str(tiles)) as scene:
        found, valid = scene.read(Window(9999 * SIZE - 10, 9999 * SIZE - 10, SIZE + 20, SIZE + 20))
    assert time.perf_counter() - start < 5
    assert np.array_equal(found[10:-10, 10:-10], tile)
    assert valid.sum() == SIZE * SIZE


def test_an_area_too_large_for_gdal_is_refused(tmp_path):
    tiles = Tiles(f"{tmp_path}/{{z}}/{{x}}/{{y}}", TileRange(30, 0, 0, 2**30, 2**30), 256, "world")
    with pytest.raises(SceneError, match="give smaller --bounds"), open_scene(str(tiles)):
        pass


def test_what_holds_no_picture_tiles_is_said(tmp_path):
    vectors = write_mbtiles(tmp_path / "v.mbtiles", cut(mosaic()), kind="pbf")
    with pytest.raises(SceneError, match="vector tiles"):
        find_tiles(vectors, TileChoices())
    (tmp_path / "x.mbtiles").write_text("no database")
    with pytest.raises(SceneError, match=r"cannot read .*x\.mbtiles"):
        find_tiles(tmp_path / "x.mbtiles", TileChoices())
    with pytest.raises(SceneError, match="holds no tile"):
        find_tiles(write_mbtiles(tmp_path / "e.mbtiles", {}), TileChoices())
    with pytest.raises(SceneError, match="no tiles in the bounds"):
        read(write_folder(tmp_path / "a", cut(mosaic())), bounds=(10, 10, 11, 11))


def test_other_sources_are_not_taken_for_tiles(tmp_path):
    scenes = tmp_path / "scenes" / "2024" / "05"
    scenes.mkdir(parents=True)
    (scenes / "a.tif").touch()
    (scenes / "b.png").touch()
    (scenes / "007.png").touch()
    for source in (tmp_path / "scenes", scenes / "a.tif", "https://host/a.tif", "/vsizip/a.zip/b.tif"):
        assert find_tiles(source, TileChoices()) is None
    assert Tiles.parse("https://host/a.tif") is None


def test_the_text_of_tiles_says_all_of_them():
    tiles = Tiles("https://host/a|b/{z}/{x}/{-y}?key=1/2|3", EXTENT, 256, "a_b", "/c|d e/f")
    assert Tiles.parse(str(tiles)) == tiles
    assert str(tiles).endswith("/a_b")
    assert re.search("key", tiles.label) is None


def test_tiles_that_were_found_are_found_again():
    tiles = Tiles("https://host/{z}/{x}/{y}", EXTENT, 256, "a")
    assert find_tiles(str(tiles), TileChoices()) == tiles
    assert as_scenes([str(tiles)], TileChoices()) == ([str(tiles)], None)
