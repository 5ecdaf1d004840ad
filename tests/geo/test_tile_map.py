"""Class masks as web maps, read back by GDAL's MBTiles driver and by PIL."""

import io
import json
import math
import sqlite3
import tracemalloc
from contextlib import closing
from pathlib import Path

import numpy as np
import pyproj
import pytest
import rasterio
from affine import Affine
from conftest import UTM, write_raster
from PIL import Image
from rasterio.transform import from_origin
from rasterio.warp import transform_bounds

from geoseg.core.mask import NODATA
from geoseg.core.window import Window
from geoseg.errors import OutputError, SceneError
from geoseg.geo import tile_map
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import cog
from geoseg.geo.strip_writer import RasterSpec
from geoseg.geo.tile_grid import HALF, TileRange
from geoseg.geo.tile_map import write_tile_map

COLORS = {0: (0, 0, 0, 0), 1: (230, 85, 45, 255), 2: (44, 160, 80, 255), 255: (0, 0, 0, 0)}
TAGS = {"GEOSEG_CLASSES": "building tree", "GEOSEG_MODEL": "blobs", "GEOSEG_ATTRIBUTION": "nobody"}


def blobs(shape, seed=0):
    """(h, w) classes in blocks of 7 × 5 px, with a corner and some blocks of no data."""
    rng = np.random.default_rng(seed)
    coarse = rng.choice(np.array([0, 1, 2, 255], np.uint8), (shape[0] // 7 + 1, shape[1] // 5 + 1),
                        p=[0.5, 0.25, 0.2, 0.05])  # fmt: skip
    classes = np.kron(coarse, np.ones((7, 5), np.uint8))[: shape[0], : shape[1]].copy()
    classes[: shape[0] // 4, : shape[1] // 3] = NODATA
    return classes


def write_mask(path, classes, transform, crs, tags=TAGS):
    """As `geoseg predict` writes masks, overviews and all."""
    box = GeoBox(classes.shape, transform, rasterio.crs.CRS.from_user_input(crs))
    spec = RasterSpec(box, ("class",), overviews="mode", colors=COLORS, tags=tags)
    with cog(path, spec) as columns:
        columns(Window(0, 0, *classes.shape)).append(classes)
    return path


def tiles_of(path):
    """(zoom, col, row from the north) to the file of a tile, of an MBTiles file or a folder."""
    if path.is_dir():
        files = (file for file in path.rglob("*.png"))
        return {(*map(int, file.with_suffix("").parts[-3:]),): file.read_bytes() for file in files}
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles")
        return {(zoom, col, 2**zoom - 1 - row): data for zoom, col, row, data in rows}


def deepest(path, made):
    """The tiles of the deepest zoom."""
    return {place: data for place, data in tiles_of(path).items() if place[0] == made.zooms[1]}


def metadata(path):
    with closing(sqlite3.connect(path)) as connection:
        return dict(connection.execute("SELECT name, value FROM metadata"))


def classes_of(data):
    """The palette numbers of a PNG."""
    picture = Image.open(io.BytesIO(data))
    assert picture.mode == "P"
    return np.asarray(picture)


def painted(classes):
    """(h, w, 4) colours."""
    table = np.zeros((256, 4), np.uint8)
    for value, color in COLORS.items():
        table[value] = color
    return table[classes]


def on_map_grid(zoom=19, col=386000, row=220800, cols=700, rows=500):
    """The transform of a mask whose pixels are those of a zoom."""
    return TileRange(zoom, col, row, 1, 1).transform(256) * Affine.translation(37, 91), (rows, cols)


@pytest.fixture
def mask(tmp_path):
    transform, shape = on_map_grid()
    return write_mask(tmp_path / "mask.tif", blobs(shape), transform, "EPSG:3857")


def test_gdal_reads_the_pixels_of_a_mask_on_the_grid_of_the_map(tmp_path, mask):
    made = write_tile_map([mask], tmp_path / "map.mbtiles")
    assert made.zooms[1] == 19
    with rasterio.open(mask) as file, rasterio.open(tmp_path / "map.mbtiles") as found:
        classes = file.read(1)
        col, row = (round(value) for value in ~found.transform * (file.transform * (0, 0)))
        pixels = found.read(window=((row, row + file.height), (col, col + file.width)), boundless=True)
        assert found.crs.to_epsg() == 3857
        assert found.transform.a == pytest.approx(file.transform.a)
    seen = painted(classes)
    assert np.array_equal(pixels[3], seen[..., 3])
    shown = seen[..., 3] > 0
    assert np.array_equal(np.moveaxis(pixels, 0, -1)[shown], seen[shown])


@pytest.mark.parametrize(("crs", "transform"), [
    (UTM, Affine(0.5, 0, 452310, 0, -0.5, 3771240)),
    (UTM, Affine(0.5, 0, 452310, 0, -0.5, 3771240) * Affine.rotation(23)),
    (UTM, Affine(0.5, 0, 452310, 0, 0.5, 3771000)),  # south up
    ("EPSG:4326", Affine(4e-6, 0, -0.0003, 0, -4e-6, 51.5)),  # over Greenwich
])  # fmt: skip
def test_every_pixel_has_the_nearest_class_whatever_the_crs(tmp_path, crs, transform):
    classes = blobs((310, 420))
    made = write_tile_map([write_mask(tmp_path / "m.tif", classes, transform, crs)], tmp_path / "m.mbtiles")
    tiles = deepest(tmp_path / "m.mbtiles", made)
    back = pyproj.Transformer.from_crs("EPSG:3857", crs, always_xy=True)
    shown = 0
    for place, data in tiles.items():
        found = classes_of(data)
        y, x = np.indices(found.shape) + 0.5
        cols, rows = ~transform * back.transform(*(TileRange(*place, 1, 1).transform(256) * (x, y)))
        inside = (rows >= 0) & (rows < 310) & (cols >= 0) & (cols < 420)
        there = np.where(inside, classes[rows.astype(int).clip(0, 309), cols.astype(int).clip(0, 419)], 0)
        clear = (
            np.minimum(np.abs(rows - np.round(rows)), np.abs(cols - np.round(cols))) > 0.15
        )  # GDAL: 0.125 px
        assert np.array_equal(found[clear], np.where(there == NODATA, 0, there)[clear])
        shown += ((found > 0) & clear).sum()
    ground = made_ratio(crs, transform, made.zooms[1])
    assert shown > 0.35 * np.isin(classes, (1, 2)).sum() * ground  # no tile is missing


def made_ratio(crs, transform, zoom):
    """How many pixels of the map lie on one of the mask."""
    to_map = pyproj.Transformer.from_crs(crs, "EPSG:3857", always_xy=True)
    x, y = to_map.transform(*(transform * (np.array([200, 201, 200]), np.array([150, 150, 151]))))
    area = abs((x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]))
    return area / (2 * HALF / 2**zoom / 256) ** 2


def test_a_zoom_is_the_majority_of_the_one_below(tmp_path, mask):
    full, last = expected_classes(mask, 19)
    write_tile_map([mask], tmp_path / "map.mbtiles", min_zoom=16)
    tiles = tiles_of(tmp_path / "map.mbtiles")
    for zoom in range(19, 15, -1):
        names = {(col, row) for z, col, row in tiles if z == zoom}
        (left, top), size = last, full.shape
        for down in range(size[0] // 256):
            for right in range(size[1] // 256):
                wanted = full[down * 256 :, right * 256 :][:256, :256]
                wanted = np.where(wanted == NODATA, 0, wanted)
                place = (left + right, top + down)
                assert (place in names) == wanted.any()
                if place in names:
                    assert np.array_equal(classes_of(tiles[zoom, *place]), wanted)
        full, last = halved_by_counting(full, last)


def expected_classes(mask, zoom):
    """The mask on whole tiles of its own zoom, at even places, and the (col, row) of the first."""
    with rasterio.open(mask) as file:
        classes, transform = file.read(1), file.transform
    pixel = 2 * HALF / 2**zoom / 256
    col, row = round((transform.c + HALF) / pixel), round((HALF - transform.f) / pixel)
    side = 256 * 2**3  # of a tile of zoom 16
    full = np.full((2 * side, 2 * side), NODATA, np.uint8)
    full[row % side :, col % side :][: classes.shape[0], : classes.shape[1]] = classes
    return full, (col // side * 2**3, row // side * 2**3)


def halved_by_counting(full, place):
    quads = np.stack([full[0::2, 0::2], full[0::2, 1::2], full[1::2, 0::2], full[1::2, 1::2]])
    counts = np.stack([(quads == value).sum(0) for value in (0, 1, 2)])
    mode = np.where(counts.sum(0) > 0, counts.argmax(0), NODATA).astype(np.uint8)
    return mode, (place[0] // 2, place[1] // 2)


def test_a_folder_holds_the_same_files_and_metadata(tmp_path, mask):
    made = write_tile_map([mask], tmp_path / "map.mbtiles")
    assert write_tile_map([mask], tmp_path / "map") == made
    tiles = tiles_of(tmp_path / "map.mbtiles")
    assert tiles_of(tmp_path / "map") == tiles
    assert len(tiles) == made.tiles
    about = metadata(tmp_path / "map.mbtiles")
    assert json.loads((tmp_path / "map" / "metadata.json").read_text()) == about
    assert about["description"] == "Classes: 1 building, 2 tree. Model: blobs."
    assert (about["minzoom"], about["maxzoom"]) == tuple(map(str, made.zooms))
    with rasterio.open(mask) as file:
        corners = transform_bounds(file.crs, "EPSG:4326", *file.bounds)
    assert [float(part) for part in about["bounds"].split(",")] == pytest.approx(corners, abs=1e-6)


def test_pictures_are_small_and_transparent_where_there_is_nothing(tmp_path, mask):
    write_tile_map([mask], tmp_path / "map")
    for data in tiles_of(tmp_path / "map").values():
        colors = np.asarray(Image.open(io.BytesIO(data)).convert("RGBA"))
        assert np.array_equal(colors, painted(classes_of(data)))
        assert colors[..., 3].any()
        assert data[24] <= 2  # bits of a pixel


def test_a_mask_in_which_nothing_was_found_is_a_map_without_tiles(tmp_path):
    transform, shape = on_map_grid()
    path = write_mask(tmp_path / "none.tif", np.zeros(shape, np.uint8), transform, "EPSG:3857")
    assert write_tile_map([path], tmp_path / "none.mbtiles").tiles == 0
    assert tiles_of(tmp_path / "none.mbtiles") == {}


def test_later_masks_lie_on_top_where_they_have_data(tmp_path):
    transform, shape = on_map_grid()
    first, second = blobs(shape, 1), blobs(shape, 2)
    paths = [
        write_mask(tmp_path / f"{k}.tif", classes, transform, "EPSG:3857")
        for k, classes in enumerate((first, second))
    ]
    both = write_mask(
        tmp_path / "both.tif", np.where(second == NODATA, first, second), transform, "EPSG:3857"
    )
    write_tile_map(paths, tmp_path / "two")
    write_tile_map([both], tmp_path / "one")
    assert tiles_of(tmp_path / "two") == tiles_of(tmp_path / "one")


def test_masks_of_two_utm_zones_make_one_map(tmp_path):
    ones = np.full((80, 80), 1, np.uint8)
    paths = []
    for zone in (10, 11):
        to_utm = pyproj.Transformer.from_crs("EPSG:4326", f"EPSG:326{zone}", always_xy=True)
        x, y = to_utm.transform(-120 + (0.01 if zone == 11 else -0.01), 37)
        paths.append(write_mask(tmp_path / f"{zone}.tif", ones, from_origin(x, y, 5, 5), f"EPSG:326{zone}"))
    made = write_tile_map(paths, tmp_path / "map.mbtiles")
    total = sum(classes_of(data).sum() for data in deepest(tmp_path / "map.mbtiles", made).values())
    pixel = 2 * HALF / 2 ** made.zooms[1] / 256 * math.cos(math.radians(37))
    assert total * pixel**2 == pytest.approx(2 * 400**2, rel=0.02)


def test_a_mask_over_the_antimeridian_is_drawn_on_both_sides(tmp_path):
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32601", always_xy=True).transform(-180, 52)
    ones = np.full((100, 200), 1, np.uint8)
    path = write_mask(tmp_path / "m.tif", ones, from_origin(x - 100, y, 1, 1), "EPSG:32601")
    made = write_tile_map([path], tmp_path / "m.mbtiles", min_zoom=14)
    west, east = 0, 0
    for (zoom, col, _), data in tiles_of(tmp_path / "m.mbtiles").items():
        assert col < 2 or col >= 2**zoom - 2
        if zoom == made.zooms[1]:
            west, east = (w + int(classes_of(data).sum()) * s for w, s in ((west, col < 2), (east, col >= 2)))
    assert west == pytest.approx(east, rel=0.05)
    pixel = 2 * HALF / 2 ** made.zooms[1] / 256 * math.cos(math.radians(52))
    assert (west + east) * pixel**2 == pytest.approx(100 * 200, rel=0.02)


def test_far_out_maps_are_made_from_overviews_and_show_the_same(tmp_path):
    transform, _ = on_map_grid()
    shape = (1500, 1800)
    classes = np.kron(blobs((shape[0] // 50, shape[1] // 50)), np.ones((50, 50), np.uint8))
    path = write_mask(tmp_path / "m.tif", classes, transform, "EPSG:3857")
    write_tile_map([path], tmp_path / "deep", min_zoom=15)
    write_tile_map([path], tmp_path / "far", min_zoom=15, max_zoom=16)
    deep, far = tiles_of(tmp_path / "deep"), tiles_of(tmp_path / "far")
    assert {place for place in deep if place[0] < 17} == set(far)
    for place, data in far.items():
        assert (classes_of(data) == classes_of(deep[place])).mean() > 0.97


@pytest.mark.parametrize(("metres", "latitude", "zoom"), [
    (0.149, 0, 20), (0.6, 38, 18), (0.5, 30, 18), (10, 60, 13), (0.3, 0, 19), (2e5, 0, 0),
])  # fmt: skip
def test_the_deepest_zoom_is_that_of_the_nearest_pixel_size(tmp_path, metres, latitude, zoom):
    x, y = pyproj.Transformer.from_crs("EPSG:4326", "EPSG:32631", always_xy=True).transform(3, latitude)
    path = write_mask(tmp_path / "m.tif", np.ones((9, 9), np.uint8),
                      from_origin(x, y, metres, metres), "EPSG:32631")  # fmt: skip
    made = write_tile_map([path], tmp_path / "m.mbtiles")
    assert made.zooms[1] == zoom
    assert made.zooms[0] == zoom  # it fits into one tile


def test_progress_counts_the_blocks(tmp_path, mask):
    told = []
    write_tile_map([mask], tmp_path / "map", progress=lambda done, total: told.append((done, total)))
    assert len(told) == told[0][1] > 0
    assert {done for done, _ in told} == {1}


def test_memory_is_a_few_blocks_however_large_the_mask(tmp_path):
    transform, _ = on_map_grid()
    tall = np.tile(blobs((2048, 2048)), (8, 1))
    path = write_mask(tmp_path / "m.tif", tall, transform, "EPSG:3857")
    size, block = tall.nbytes, 2048**2
    del tall
    tracemalloc.start()
    write_tile_map([path], tmp_path / "m.mbtiles")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * block < size


def test_what_fails_half_way_leaves_nothing(tmp_path, mask, monkeypatch):
    drawn = []

    def stumble(pixels, colors):
        drawn.append(1)
        if len(drawn) > 3:
            raise KeyboardInterrupt
        return b"tile"

    monkeypatch.setattr(tile_map, "picture_of", stumble)
    for output in ("map.mbtiles", "map"):
        drawn.clear()
        with pytest.raises(KeyboardInterrupt):
            write_tile_map([mask], tmp_path / output)
    assert {path.name for path in tmp_path.iterdir()} == {"mask.tif"}


def test_a_damaged_mask_is_an_error_and_no_map(tmp_path, mask):
    mask.write_bytes(mask.read_bytes()[: mask.stat().st_size * 2 // 3])
    with pytest.raises(SceneError, match="cannot read the mask"):
        write_tile_map([mask], tmp_path / "map.mbtiles")
    assert [path.name for path in tmp_path.iterdir()] == ["mask.tif"]


def test_what_is_no_mask_or_has_no_place_is_refused(tmp_path, mask):
    transform, shape = on_map_grid()
    plain = blobs(shape)[..., None]
    cases = {
        "three bands": (write_raster(tmp_path / "rgb.tif", np.repeat(plain, 3, 2)), "got 3 of uint8"),
        "no colours": (write_raster(tmp_path / "grey.tif", plain), "no colour table"),
        "no CRS": (tmp_path / "nowhere.tif", "place on the Earth is unknown"),
        "a pole": (write_mask(tmp_path / "pole.tif", blobs((50, 50)), from_origin(0, 89, 1e-5, 1e-5),
                              "EPSG:4326"), "lies off the map"),
        "none": (tmp_path / "none.tif", "cannot read the mask"),
    }  # fmt: skip
    with rasterio.open(
        cases["no CRS"][0], "w", driver="GTiff", height=5, width=5, count=1, dtype="uint8"
    ) as file:
        file.write_colormap(1, COLORS)
    for path, words in cases.values():
        with pytest.raises(SceneError, match=words):
            write_tile_map([path], tmp_path / "map.mbtiles")
    other = write_mask(tmp_path / "o.tif", blobs(shape), transform, "EPSG:3857", {"GEOSEG_CLASSES": "car"})
    with pytest.raises(OutputError, match=r"different classes or colours \(building tree and car\)"):
        write_tile_map([mask, other], tmp_path / "map.mbtiles")
    with pytest.raises(OutputError, match="the lowest zoom, 20, is deeper than the deepest, 19"):
        write_tile_map([mask], tmp_path / "map.mbtiles", min_zoom=20)


def test_only_maps_are_replaced(tmp_path, mask):
    for output in (tmp_path / "map.mbtiles", tmp_path / "map"):
        write_tile_map([mask], output)
        with pytest.raises(OutputError, match="add --overwrite"):
            write_tile_map([mask], output)
        write_tile_map([mask], output, max_zoom=17, overwrite=True)
        assert max(zoom for zoom, _, _ in tiles_of(output)) == 17
    Path(tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "me.jpg").write_bytes(b"dear")
    with pytest.raises(OutputError, match="holds other things"):
        write_tile_map([mask], tmp_path / "photos", overwrite=True)
    assert (tmp_path / "photos" / "me.jpg").exists()
