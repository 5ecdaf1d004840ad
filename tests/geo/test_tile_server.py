"""Map tiles from a server that stumbles, lies or is gone."""

import random

import numpy as np
import pytest
from map_tiles import EXTENT, SIZE, cut, encoded, inner, mosaic, served

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo import tile_server
from geoseg.geo.scene import open_scene
from geoseg.geo.tile_search import TileChoices, find_tiles

MIDDLE = (EXTENT.col + 1, EXTENT.row + 1)
NAME = f"tile 18/{MIDDLE[0]}/{MIDDLE[1]} of http://127.0.0.1"


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(tile_server, "BACK_OFF", 0.001)
    monkeypatch.setattr(tile_server, "PATIENCE", 0)


def found_at(template, **choices):
    return find_tiles(template, TileChoices(**{"zoom": 18, "bounds": inner()} | choices))


def read(template, window=None, **choices):
    with open_scene(str(found_at(template, **choices))) as scene:
        return scene.read(window or scene.geobox.whole())


def only(answer, times=99):
    """Stumble over the middle tile so many times."""
    return lambda place, asked: answer if place == MIDDLE and asked <= times else None


def test_a_scene_from_a_server_is_what_was_cut_into_its_tiles():
    pixels = mosaic()
    with served(cut(pixels)) as server:
        found, valid = read(server.template)
        assert np.array_equal(found, pixels)
        assert valid.all()
        asked_twice = [place for place, times in server.asked.items() if times > 1]
        assert len(asked_twice) <= 1  # the one whose size was looked at
        found, _ = read(server.template, Window(20, 30, 40, 50))
        assert np.array_equal(found, pixels[20:60, 30:80])


def test_only_the_tiles_under_a_window_are_asked_for_and_once():
    with served(cut(mosaic())) as server:
        tiles = found_at(server.template)
        server.asked.clear()
        with open_scene(str(tiles)) as scene:
            for _ in "ab":
                scene.read(Window(SIZE, SIZE, SIZE, SIZE))
        assert server.asked == {MIDDLE: 1}


def test_rows_that_count_from_the_south():
    pixels = mosaic()
    files = {(col, 2**18 - 1 - row): data for (col, row), data in cut(pixels).items()}
    with served(files) as server:
        assert np.array_equal(read(server.template.replace("{y}", "{-y}"))[0], pixels)
        assert np.array_equal(read(server.template, tms=True)[0], pixels)


@pytest.mark.parametrize("answer", [503, 500, 502, 504, 429, "reset", "half"])
def test_a_server_that_stumbles_is_asked_again(answer):
    pixels = mosaic()
    with served(cut(pixels), only(answer, times=3)) as server:
        found, valid = read(server.template)
        assert np.array_equal(found, pixels)
        assert valid.all()
        assert server.asked[MIDDLE] >= 4


def test_stumbling_over_every_fifth_tile_at_random_changes_nothing():
    dice, pixels = random.Random(1), mosaic()
    answers = [503, "reset", "half", 500]

    def stumble(place, asked):
        return dice.choice(answers) if asked <= 3 and dice.random() < 0.2 else None

    with served(cut(pixels), stumble) as server:
        found, valid = read(server.template)
        assert np.array_equal(found, pixels)
        assert valid.all()
        assert sum(server.asked.values()) > 12


@pytest.mark.parametrize("answer", [404, 204, 410])
def test_a_tile_that_is_not_there_is_no_data_and_only_it(answer):
    pixels = mosaic()
    with served(cut(pixels), only(answer)) as server:
        found, valid = read(server.template)
    expected = np.ones(valid.shape, bool)
    expected[SIZE : 2 * SIZE, SIZE : 2 * SIZE] = False
    assert np.array_equal(valid, expected)
    assert np.array_equal(found[valid], pixels[expected])


@pytest.mark.parametrize(("answer", "words"), [
    (503, "failed 5 times with HTTP status 503"),
    (403, "failed with HTTP status 403"),
    ("reset", "failed 5 times: .*reset"),
    ("half", "failed 5 times"),
    (b"<html>log in</html>", "no PNG, JPEG or WebP, it begins with '<html>log in"),
    (encoded(mosaic()[:SIZE, :SIZE])[:-100], "is damaged"),
], ids=["503", "403", "reset", "half", "words", "damaged"])  # fmt: skip
def test_a_tile_that_is_not_to_be_had_is_named_and_no_hole(answer, words):
    with served(cut(mosaic()), only(answer)) as server:
        with pytest.raises(SceneError, match=rf"{NAME}:\d+/map/.*{words}"):
            read(server.template)
        read(server.template, Window(0, 0, SIZE, SIZE))  # what lies elsewhere is not touched by it


def test_a_server_that_is_gone_is_named(monkeypatch):
    with served({}) as server:
        template = server.template
    with pytest.raises(SceneError, match=r"tile 18/193000/110400 of http://127.0.0.1.* failed 5 times"):
        read(template)


def test_secrets_in_an_address_are_not_told():
    with served(cut(mosaic()), only(503)) as server:
        address = server.template.replace("http://", "http://me:password@") + "?token=secret"
        with pytest.raises(SceneError, match=NAME) as error:
            read(address)
    assert "secret" not in str(error.value)
    assert "password" not in str(error.value)


def test_what_was_fetched_is_kept_in_a_cache(tmp_path):
    pixels = mosaic()
    with served(cut(pixels)) as server:
        template = server.template
        tiles = find_tiles(template, TileChoices(18, inner(), cache=tmp_path / "odd &%20"))
        with open_scene(str(tiles)) as scene:
            scene.read(scene.geobox.whole())
        assert all(times == 1 for times in server.asked.values())
    with open_scene(str(tiles)) as scene:  # the server is gone
        assert np.array_equal(scene.read(scene.geobox.whole())[0], pixels)


def test_larger_tiles_are_known_by_themselves_where_the_middle_is_missing():
    pixels = mosaic(size=64)
    middle = (EXTENT.col + 2, EXTENT.row + 1)
    with served(cut(pixels, size=64, without=[middle])) as server:
        found, valid = read(server.template)
    assert found.shape == pixels.shape
    assert np.array_equal(found[valid], pixels[valid])


@pytest.mark.parametrize(("template", "choices", "words"), [
    ("https://host/{z}/{x}/{y}.png", {"zoom": None}, "needs a zoom, and there .*18 has pixels of 0.5"),
    ("https://host/{z}/{x}/{y}.png", {"bounds": None}, "covers the world; give --bounds"),
    ("https://host/{z}/{x}.png", {}, r"has \{z\}, \{x\} and \{y\} or \{-y\}, got \{x\}, \{z\}"),
    ("https://{s}.host/{z}/{x}/{y}.png", {}, r"got \{s\}, "),
    ("ftp://host/{z}/{x}/{y}.png", {}, "http and https"),
    ("s3://bucket/{z}/{x}/{y}.png", {}, "http and https"),
    ("file:///etc/{z}/{x}/{y}", {}, "http and https"),
])  # fmt: skip
def test_addresses_that_cannot_be_are_refused(template, choices, words):
    with pytest.raises(SceneError, match=words):
        found_at(template, **choices)
