"""`geoseg train`, in this process."""

import json
import sys
from pathlib import Path

import pytest
from cli_runs import assert_refused, run

sys.path.append(str(Path(__file__).parents[1] / "training"))
from tiny_recipes import write_recipe


@pytest.fixture
def recipe(tmp_path):
    return write_recipe(tmp_path, fit={"epochs": 1})


def test_scores_go_to_stdout_as_a_table_or_json(recipe, tmp_path, untraced):
    plain = run("train", recipe, "-o", tmp_path / "a", "--set", "network.options.width=2")
    assert plain.exit_code == 0, plain.stderr
    assert plain.stderr == ""
    assert plain.stdout.startswith("|  | tiny |\n| --- | --- |\n| parameters | ")
    machine = run(
        "train", recipe, "-o", tmp_path / "a", "--set", "network.options.width=2", "--resume", "--json"
    )
    assert json.loads(machine.stdout)[0]["folder"] == str(tmp_path / "a")


@pytest.mark.parametrize(("words", "wanted"), [
    (["--set", "fit.epoch=3"], "unknown key 'epoch'; did you mean 'epochs'?"),
    (["--variant", "big"], "has no variant 'big'"),
    (["--set", "data.shapes.images=nowhere/*.png"], "nowhere"),
    (["--set", 'data.shapes.masks="masks/{stem}.tif"'], "masks/"),
    (["--set", 'data.shapes.labels={1="roof"}'], "masks/"),
    (["--set", "network.architecture=vnet"], "unknown architecture 'vnet'; choose one of: mobilenet_unet, "),
    (["--set", "fit.learning_rate=1e30"], "lower fit.learning_rate"),
])  # fmt: skip
def test_mistakes_are_one_line(recipe, tmp_path, words, wanted):
    assert_refused(run("train", recipe, "-o", tmp_path / "out", *words), wanted)
    assert not (tmp_path / "out").exists()


def test_a_missing_recipe_and_a_bundle_in_the_way(recipe, tmp_path):
    assert_refused(run("train", tmp_path / "none.toml"), "there is no recipe")
    (tmp_path / "out").mkdir()
    (tmp_path / "out/file").write_text("mine")
    assert_refused(
        run("train", recipe, "-o", tmp_path / "out"), "is not empty; choose another or add --overwrite"
    )
    assert_refused(run("train", recipe, "-o", tmp_path / "out", "--resume"), "holds something else")
