import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from mini_data import make_mini_data
from training_recipes import banepa, dataset, naip, recipe

from geoseg.errors import RecipeError
from geoseg.recipe.data import Split
from geoseg.training.catalog import catalog, image_name


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return make_mini_data(tmp_path_factory.mktemp("data"))


@pytest.fixture
def few(tmp_path):
    (tmp_path / "masks").mkdir()
    for name in ("a_1", "a_2", "b_1", "b_2"):
        (tmp_path / f"{name}.png").touch()
        (tmp_path / "masks" / f"{name}.png").touch()
    return tmp_path


def names(recipe_, part):
    return [item.name for item in catalog(recipe_, part)]


def test_groups_go_to_the_parts_that_name_them(root):
    one = recipe(root, banepa())
    rows = {part: {name.split("-")[2] for name in names(one, part)} for part in ("train", "val", "test")}
    assert rows["val"] == {"220246"} and rows["test"] == {"220247", "220248"}
    assert len(rows["train"]) == 11
    assert {item.name.split("-")[2] for item in catalog(one, "train") if item.partial} == {"220240"}


def test_a_set_that_is_held_out_is_all_for_test(root):
    kept = banepa()
    every = {name for part in ("train", "val", "test") for name in names(recipe(root, kept, naip()), part)}
    one = recipe(root, replace(kept, held_out=True), naip())
    assert not any("OAM" in name for part in ("train", "val") for name in names(one, part))
    assert {n for n in names(one, "test") if "OAM" in n} == {n for n in every if "OAM" in n}


def test_lists_and_folders_split_too(root):
    assert [len(names(recipe(root, naip()), part)) for part in ("train", "val", "test")] == [14, 5, 5]
    street = dataset(
        "camvid", "camvid/*/*.jpg", Split(by="/(train|val)/", val=("val",)),
        masks="camvid/{folder}annot/{stem}.png",
    )  # fmt: skip
    assert [len(names(recipe(root, street), part)) for part in ("train", "val", "test")] == [12, 6, 0]


def test_a_share_of_groups_is_the_same_on_every_machine(root):
    pets = dataset(
        "pets", "pets/images/*.jpg", Split(by="[^/]+$", val_share=0.2), masks="pets/trimaps/{stem}.png"
    )
    one = recipe(root, pets)
    val = names(one, "val")
    assert len(val) == 6 and not set(val) & set(names(one, "train"))
    code = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from training_recipes import *; from geoseg.training.catalog import catalog\n"
        'd = dataset("pets", "pets/images/*.jpg", Split(by="[^/]+$", val_share=0.2), '
        'masks="pets/trimaps/{stem}.png")\n'
        f"print(*[i.name for i in catalog(recipe({str(root)!r}, d), 'val')])"
    )
    for seed in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True
        )
        assert run.stdout.split() == val, run.stderr
    assert names(replace(one, seed=2), "val") != val


def test_limits_are_spread_evenly(root):
    limited = recipe(root, naip(limit=3, val_limit=2))
    train = names(recipe(root, naip()), "train")
    assert names(limited, "train") == [train[0], train[6], train[13]]
    assert [len(names(limited, part)) for part in ("val", "test")] == [2, 5]


def test_excluded_images_are_left_out(few):
    assert names(recipe(few, dataset(exclude="^a_")), "train") == ["b_1", "b_2"]


@pytest.mark.parametrize(("change", "words"), [
    (dict(images="*.jpg"), ["no image matches", "*.jpg"]),
    (dict(images="/etc/*.png"), ["starts at root", "/etc"]),
    (dict(masks="{stem}.tif"), ["a_1.png", "lacks its mask", "a_1.tif"]),
    (dict(ignore_polygons="none.gpkg"), ["ignore_polygons", "none.gpkg"]),
    (dict(exclude="."), ["no image is left for training"]),
    (dict(split=Split(by="^(.)_", val=("a",), test=("a",))), ["'a'", "both val and test"]),
    (dict(split=Split(by="^(.)_", val=("c",))), ["no image is of group 'c'", "a, b"]),
    (dict(split=Split(by="^(c)_")), ["finds no group in a_1"]),
    (dict(split=Split(lists={"train": "gone.txt"})), ["cannot read the list", "gone.txt"]),
    (dict(split=Split(lists={"train": "list.txt"})), ["list.txt", "names c_1", "1 of 2"]),
    (dict(split=Split(lists={"train": "a.txt", "val": "a.txt"})), ["a_1", "both train and val"]),
    (dict(points="gone.csv"), ["cannot read the points", "gone.csv"]),
    (dict(points="points.csv"), ["points.csv", "columns image, x, y"]),
    (dict(points="others.csv"), ["others.csv", "no point in any image"]),
])  # fmt: skip
def test_what_is_wrong_is_named_in_one_line(few, change, words):
    (few / "list.txt").write_text("a_1.png\nc_1\n")
    (few / "a.txt").write_text("a_1\n")
    (few / "points.csv").write_text("image,x\na_1,3\n")
    (few / "others.csv").write_text("image,x,y\nz,3,3\n")
    with pytest.raises(RecipeError) as error:
        catalog(recipe(few, dataset(**change)), "train")
    assert "\n" not in str(error.value)
    assert all(word in str(error.value) for word in words), error.value


def test_a_mask_without_its_image_is_named(few):
    (few / "a_2.png").unlink()
    with pytest.raises(RecipeError, match=r"mask \S+a_2.png has no image in .+; add it, or remove the mask"):
        catalog(recipe(few, dataset()), "train")


def test_two_images_that_differ_in_their_ending_are_refused(few):
    (few / "a_1.jpg").touch()
    with pytest.raises(RecipeError, match="differ only in their ending"):
        catalog(recipe(few, dataset(images="*")), "train")


def test_points_belong_to_their_images(root):
    items = catalog(recipe(root, naip(points="trees_naip/points.csv")), "train")
    assert all(item.points.shape == (6, 2) for item in items)


@pytest.mark.parametrize(
    ("text", "name"), [(" a/b.c_1.png ", "b.c_1"), ("b.c_1", "b.c_1"), ("x\\y.TIF", "y")]
)
def test_names_in_lists_may_have_endings(text, name):
    assert image_name(text) == name
