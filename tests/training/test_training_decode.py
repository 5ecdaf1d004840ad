import threading

import cv2
import geopandas
import numpy as np
import pytest
import rasterio
from affine import Affine
from conftest import coded, write_raster
from mini_data import make_mini_data
from shapely.geometry import box
from training_recipes import banepa, dataset, naip, recipe

from geoseg.core.window import Window, whole
from geoseg.errors import RecipeError
from geoseg.geo.scene import open_scene
from geoseg.training.cache import ByteCache
from geoseg.training.catalog import catalog
from geoseg.training.codes import coding, targets
from geoseg.training.decode import decode, measure
from geoseg.training.pictures import pictures
from geoseg.training.samples import Reader

METRE = Affine(1, 0, 1000, 0, -1, 2000)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_mini_data(tmp_path_factory.mktemp("data"))


def decoded(recipe_, part="train", index=0, window=None):
    item = catalog(recipe_, part)[index]
    return decode(recipe_, item, window or whole(measure(recipe_, item).shape))


def scene(folder, shape=(20, 30), bands=3, dtype="uint8", **given):
    folder.mkdir(exist_ok=True)
    write_raster(folder / "a.tif", coded(shape, bands, dtype), transform=METRE, **given)
    return folder


def mask(folder, values, name="masks/a.png"):
    (folder / "masks").mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / name), values)


def tif(**given):
    return dataset(images="*.tif", **given)


def test_every_mini_set_decodes_whole_and_by_window(root):
    one = recipe(root, naip(points="trees_naip/points.csv"))
    pixels, valid, labels = decoded(one)
    assert pixels.shape == (64, 64, 3) and pixels.dtype == labels.dtype == np.uint8
    assert valid.all() and set(np.unique(labels)) == {0, 2, 255}
    window = Window(10, 20, 30, 17)
    for whole_, part in zip((pixels, valid, labels), decoded(one, window=window), strict=True):
        assert np.array_equal(part, whole_[10:40, 20:37])


def test_labels_follow_the_recipes_order_of_classes(root):
    values = {
        "0": "ignore",
        "1": "building",
        "2": "background",
        "3": "background",
        "4": "tree",
        "5": "background",
    }
    data = dataset(
        "dubai", "landcover_dubai/images/*.jpg", masks="landcover_dubai/masks/{stem}.png", labels=values
    )
    _, _, labels = decoded(recipe(root, data))
    index = cv2.imread(str(root / "landcover_dubai/masks/tile1_001.png"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(labels, np.array([255, 1, 0, 0, 2, 0], np.uint8)[index])


def test_palette_and_colour_masks_are_the_same(tmp_path):
    index = np.random.default_rng(0).integers(0, 3, (20, 30)).astype(np.uint8)
    colors = np.array([(0, 0, 0), (255, 0, 0), (0, 128, 64)], np.uint8)
    keys = {"#000000": "background", "#FF0000": "building", "#008040": "tree"}
    found = []
    for name in ("rgb", "palette"):
        folder = scene(tmp_path / name)
        (folder / "masks").mkdir()
        if name == "rgb":
            mask(folder, colors[index][..., ::-1])
        else:
            with rasterio.open(folder / "masks/a.png", "w", driver="PNG", height=20, width=30, count=1,
                               dtype="uint8") as file:  # fmt: skip
                file.write(index, 1)
                file.write_colormap(1, dict(enumerate(map(tuple, colors))))
        found.append(decoded(recipe(folder, tif(labels=keys)))[2])
    numbers = {"0": "background", "1": "building", "2": "tree"}
    found.append(decoded(recipe(tmp_path / "palette", tif(labels=numbers)))[2])
    assert all(np.array_equal(labels, index) for labels in found)


@pytest.mark.parametrize("bands", [1, 4, 8])
def test_any_number_of_bands(tmp_path, bands):
    folder = scene(tmp_path, bands=bands)
    mask(folder, np.zeros((20, 30), np.uint8))
    names = ("gray",) if bands == 1 else tuple("abcdefgh"[:bands])
    numbers = tuple(range(1, bands + 1))
    pixels, _, _ = decoded(recipe(folder, tif(bidx=numbers), bands=names))
    assert np.array_equal(pixels, coded((20, 30), bands))


def test_sixteen_bits_are_scaled_as_at_prediction(tmp_path):
    folder = scene(tmp_path, dtype="uint16")
    write_raster(folder / "a.tif", coded((20, 30), 3, "uint16") * 40, transform=METRE)
    mask(folder, np.zeros((20, 30), np.uint8))
    pixels, _, _ = decoded(recipe(folder, tif()))
    with open_scene(folder / "a.tif") as opened:
        wanted = opened.scaling()(opened.read(whole((20, 30)))[0])
    assert np.array_equal(pixels, np.rint(wanted))


@pytest.mark.parametrize("kind", ["nodata", "recipe", "alpha", "internal"])
def test_pixels_without_data_are_ignored(tmp_path, kind):
    hole = np.zeros((20, 30), bool)
    hole[5:9, 7:12] = True
    pixels = coded((20, 30))
    pixels[hole] = 0
    given = {"nodata": dict(nodata=0), "recipe": {}}.get(kind, dict(mask=~hole, mask_kind=kind))
    write_raster(tmp_path / "a.tif", pixels, transform=METRE, **given)
    mask(tmp_path, np.full((20, 30), 255, np.uint8))
    one = recipe(tmp_path, tif(nodata=0 if kind == "recipe" else None))
    assert np.array_equal(decoded(one)[2], np.where(hole, 255, 1))
    sample = Reader(one, 0).sample(pictures(one, catalog(one, "train"))[0], whole((20, 30)))
    assert not (sample.levels[0][hole] == 0).all(-1).any()


def polygons(folder, shapes, name="areas.geojson", **columns):
    geopandas.GeoDataFrame(columns, geometry=shapes, crs="EPSG:32611").to_file(folder / name)


def test_polygons_are_burnt_as_they_say(tmp_path):
    scene(tmp_path)
    shapes = [box(1002.6, 1990, 1010, 1998), box(1015, 1985, 1020, 1990), box(1001, 1981, 1004, 1984)]
    polygons(tmp_path, shapes, kind=["house", "wood", "doubt"])
    polygons(tmp_path, [box(1025, 1980, 1030, 2000)], "ignore.geojson")
    given = dict(
        masks="", polygons="areas.geojson", class_field="kind", ignore_polygons="ignore.geojson",
        labels={"house": "building", "wood": "tree", "doubt": "ignore"},
    )  # fmt: skip
    wanted = np.zeros((20, 30), np.uint8)
    wanted[2:10, 3:10], wanted[10:15, 15:20], wanted[16:19, 1:4], wanted[:, 25:] = 1, 2, 255, 255
    one = recipe(tmp_path, tif(**given))
    assert np.array_equal(decoded(one)[2], wanted)
    assert np.array_equal(decoded(one, window=Window(3, 1, 9, 13))[2], wanted[3:12, 1:14])
    wanted[2:10, 2] = 1
    touched = decoded(recipe(tmp_path, tif(**given, all_touched=True)))[2]
    assert (touched == 1).sum() >= (wanted == 1).sum() and (touched[wanted == 1] == 1).all()
    del given["labels"]["doubt"]
    with pytest.raises(RecipeError, match=r"areas.geojson holds the value doubt; .* lists .*house"):
        decoded(recipe(tmp_path, tif(**given)))
    with pytest.raises(RecipeError, match="no attribute 'sort', the class_field of data set; it has kind"):
        decoded(recipe(tmp_path, tif(**given | dict(class_field="sort"))))


def test_points_become_discs_over_the_mask(tmp_path):
    scene(tmp_path)
    mask(tmp_path, np.full((20, 30), 7, np.uint8))
    (tmp_path / "points.csv").write_text("image,x,y\na,8,6\na.tif,29,19\n")
    labels = {"1": "tree", "7": "ignore"}
    found = decoded(recipe(tmp_path, tif(points="points.csv", point_radius_m=3, labels=labels)))[2]
    rows, cols = np.indices((20, 30))
    distance = np.minimum(np.hypot(rows - 6, cols - 8), np.hypot(rows - 19, cols - 29))
    assert np.array_equal(found, np.where(distance <= 3, 2, 255))


def test_background_of_partial_images_is_ignored(root):
    one = recipe(root, banepa(mosaic=""))
    sets = {
        item.partial: set(np.unique(decode(one, item, whole((64, 64)))[2])) for item in catalog(one, "train")
    }
    assert sets[True] <= {1, 255} and sets[False] <= {0, 1}


@pytest.mark.parametrize(("values", "labels", "words"), [
    (np.full((20, 30), 9, np.uint8), {"0": "background", "1": "tree"}, ["a.png", "value 9", "lists 0, 1"]),
    (np.zeros((20, 29), np.uint8), {"0": "background"}, ["a.png", "20 × 29", "a.tif", "20 × 30"]),
    (np.zeros((20, 30), np.uint8), {"zero": "background"}, ["'zero'", "numbers or #rrggbb"]),
    (np.zeros((20, 30, 3), np.uint8), {"#ffffff": "tree"}, ["a.png", "#000000", "#ffffff"]),
])  # fmt: skip
def test_masks_that_do_not_fit_are_named(tmp_path, values, labels, words):
    scene(tmp_path)
    mask(tmp_path, values)
    with pytest.raises(RecipeError) as error:
        decoded(recipe(tmp_path, tif(labels=labels)))
    assert all(word in str(error.value) for word in words), error.value


def test_softmax_has_no_background_unless_it_is_a_class(tmp_path):
    data = dataset()
    with pytest.raises(RecipeError, match="data set labels background, which is no class"):
        coding(recipe(tmp_path, data, activation="softmax"), data)
    one = recipe(tmp_path, data, classes=("building", "background"), activation="softmax")
    assert coding(one, data) == {"0": 2, "255": 1}
    assert coding(one, data, partial=True) == {"0": 255, "255": 1}


def test_targets_say_yes_no_and_ignore():
    labels = np.array([[0, 1, 2, 255]], np.uint8)
    both, one = targets(labels, "ab", "ab", "sigmoid")[0], targets(labels, "a", "ab", "sigmoid")[0]
    assert both.tolist() == [[0, 0], [1, 0], [0, 1], [255, 255]]
    assert one.tolist() == [[0, 255], [1, 255], [0, 255], [255, 255]]
    alone = targets(labels, "a", "ab", "sigmoid", alone=True)[0]
    assert (alone[..., 0] == one[..., 0]).all()
    assert (alone[..., 1] == np.where(labels[0] == 1, 0, 255)).all()
    soft = targets(labels, "ab", "ab", "softmax")[0]
    assert soft.tolist() == [[255, 255], [1, 0], [0, 1], [255, 255]]
    assert targets(labels, "a", "a", "sigmoid").shape == (1, 4, 1)
    assert targets(labels, "abcdefg", "abcdefg", "softmax").shape == (1, 4, 7)


def test_a_label_may_rule_out_one_class_and_say_nothing_of_the_others(tmp_path):
    labels = {"0": "background", "3": "not building", "4": "not tree"}
    data = dataset(labels=labels, known=("building", "tree"))
    one = recipe(tmp_path, data, classes=("building", "tree"))
    codes = coding(one, data)
    labels = np.array([[codes[key] for key in labels]], np.uint8)
    wanted = [[0, 0], [0, 255], [255, 0]]
    assert targets(labels, data.classes, one.class_names, "sigmoid")[0].tolist() == wanted
    only_trees = targets(labels, ["tree"], one.class_names, "sigmoid")[0]
    assert only_trees.tolist() == [[255, 0], [255, 255], [255, 0]]
    assert (targets(labels[:, 1:], data.classes, one.class_names, "softmax") == 255).all()
    with pytest.raises(RecipeError, match="names a class 'not shed'"):
        recipe(tmp_path, dataset(labels={"0": "not shed"}), classes=("building", "tree"))


def test_tiles_of_a_mosaic_are_joined_by_their_numbers(root):
    one = recipe(root, banepa())
    train, val = (pictures(one, catalog(one, part)) for part in ("train", "val"))
    assert [p.shape for p in train] == [(11 * 64, 3 * 64)] and [p.shape for p in val] == [(64, 192)]
    with open_scene(root / "buildings_banepa/scene/banepa_labelled_3072x7168.tif") as opened:
        wanted = opened.read(Window(0, 0, *train[0].shape))[0]
    sample = Reader(one, 0).sample(train[0], whole(train[0].shape))
    assert np.abs(sample.levels[0].astype(int) - wanted).mean() < 8  # the tiles are JPEGs
    holed = recipe(root, banepa(exclude="-220237-|386691-220238"))
    islands = pictures(holed, catalog(holed, "train"))
    assert [p.shape for p in islands] == [(128, 192), (8 * 64, 192)]
    assert len(islands[1].tiles) == 23


def test_big_pictures_are_read_by_window_with_the_same_result(root):
    one = recipe(root, banepa())
    picture = pictures(one, catalog(one, "train"))[0]
    window = Window(100, 30, 90, 80)
    whole_ = Reader(one, 1).sample(picture, window)
    reader = Reader(one, 1)
    reader.cache.limit = 1000
    part = reader.sample(picture, window)
    assert part.labels.size < whole_.labels.size and reader.cache.nbytes == 0
    here = window.within(part.window)
    assert np.array_equal(part.levels[0][here], whole_.levels[0][window.within(whole_.window)])
    assert np.array_equal(part.labels[here], whole_.labels[window.within(whole_.window)])


class Lump:
    def __init__(self, nbytes):
        self.nbytes = nbytes


def test_the_cache_drops_what_was_used_longest_ago():
    cache, made = ByteCache(100), []

    def get(key, size=40):
        return cache.get(key, lambda: made.append(key) or Lump(size))

    for key in "abacab":
        get(key)
    assert made == ["a", "b", "c", "b"] and cache.nbytes == 80
    get("huge", 500)
    assert cache.nbytes == 0
    with pytest.raises(ZeroDivisionError):
        cache.get("bad", lambda: 1 / 0)
    assert get("bad").nbytes == 40


def test_threads_that_want_the_same_make_it_once():
    cache, made, gate = ByteCache(100), [], threading.Barrier(8)

    def work():
        gate.wait()
        cache.get("key", lambda: made.append(1) or Lump(10))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == [1] and cache.nbytes == 10
