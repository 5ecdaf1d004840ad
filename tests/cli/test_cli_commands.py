"""The other commands, and what all commands have in common."""

import json
import re
import shutil
import subprocess
import sys
import tomllib

import geopandas
import numpy as np
import pytest
import rasterio
from cli_runs import assert_refused, names, run
from conftest import coded

import geoseg
from geoseg.cli import main
from geoseg.models.bundle import find_bundle, shipped


def walk(group, path=()):
    """Every command, with the words that call it."""
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from walk(command, (*path, name))


COMMANDS = {" ".join(path) or "geoseg": (path, command) for path, command in walk(main)}


def test_the_commands_of_the_design_are_there():
    assert {"predict", "tile", "model list", "model show", "doctor", "synth"} <= set(COMMANDS)


@pytest.mark.parametrize(("path", "command"), COMMANDS.values(), ids=COMMANDS)
def test_every_command_explains_itself(path, command):
    result = run(*path, "--help")
    assert result.exit_code == 0
    assert result.stderr == ""
    assert len(command.help or "") > 30
    assert f"Usage: main {' '.join(path)}".rstrip() in result.stdout.replace("geoseg", "main", 1)
    lines = result.stdout.splitlines()
    for option in (o for o in command.params if getattr(o, "help", None)):
        assert any(flag in line for line in lines for flag in option.opts)
    called = re.escape(" ".join(("geoseg", *path)))
    assert re.search(rf"^ +([a-z]+ \"\$\()?{called}( |$)", result.stdout, re.MULTILINE), "there is no example"


@pytest.mark.parametrize(("path", "command"), COMMANDS.values(), ids=COMMANDS)
def test_an_unknown_option_is_wrong_usage(path, command):
    assert_refused(run(*path, "--no-such-option"), "No such option", code=2)


def test_the_version_is_the_packages():
    assert geoseg.__version__ in run("--version").stdout


def test_help_and_version_import_nothing_heavy():
    code = (
        "import sys; from click.testing import CliRunner; from geoseg.cli import main; "
        "assert CliRunner().invoke(main, ['predict', '--help']).exit_code == 0; "
        "print(sorted({'keras', 'tensorflow', 'rasterio', 'numpy', 'geopandas', 'cv2'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_model_list_names_every_bundle():
    lines = run("model", "list").stdout.splitlines()
    cards = [bundle.card for bundle in shipped()]
    assert [line.split("\t") for line in lines] == [
        [card.name, ", ".join(spec.name for spec in card.classes), card.summary] for card in cards
    ]
    assert [table["name"] for table in json.loads(run("model", "list", "--json").stdout)] == [
        card.name for card in cards
    ]


@pytest.mark.parametrize("as_json", [False, True])
def test_model_show_prints_the_card(as_json):
    result = run("model", "show", "buildings-trees", *(["--json"] if as_json else []))
    table = json.loads(result.stdout) if as_json else tomllib.loads(result.stdout)
    card = find_bundle("buildings-trees").card
    assert table["stride"] == card.stride
    assert table["files"] == card.files
    assert [spec["name"] for spec in table["classes"]] == [spec.name for spec in card.classes]


def test_model_show_of_a_folder_and_of_nothing(tiny_bundle, tmp_path):
    assert tomllib.loads(run("model", "show", tiny_bundle.folder).stdout)["name"] == "tiny"
    assert_refused(run("model", "show", "cars"), "buildings-trees")
    assert_refused(run("model", "show", tmp_path), "card.toml")


def test_doctor_says_what_is_installed():
    facts = json.loads(run("doctor", "--json").stdout)
    assert facts["geoseg"] == geoseg.__version__
    assert facts["numpy"] == np.__version__
    assert facts["gdal"] == rasterio.__gdal_version__
    assert "model buildings-trees" in facts
    text = run("doctor").stdout
    assert all(f"{topic}  {fact}" in text for topic, fact in facts.items())


def test_synth_draws_scenes_with_their_truth(tmp_path):
    words = ["--count", 2, "--seed", 5, "--size", 120, 160, "--pixel-size", 0.5, "--style", "town"]
    result = run("synth", "-o", tmp_path / "new", *words)
    assert result.exit_code == 0, result.stderr
    written = [f"town_{seed}{end}" for seed in (5, 6) for end in (".tif", "_mask.tif", "_truth.geojson")]
    assert result.stdout.splitlines() == [str(tmp_path / "new" / name) for name in written]
    assert set(written) <= set(names(tmp_path / "new"))
    with rasterio.open(tmp_path / "new" / "town_5.tif") as file:
        assert (file.shape, file.res) == ((120, 160), (0.5, 0.5))
    before = (tmp_path / "new" / "town_5.tif").read_bytes()
    assert_refused(run("synth", "-o", tmp_path / "new", *words), "town_5", "overwrite")
    assert run("synth", "-o", tmp_path / "new", *words, "--overwrite").exit_code == 0
    assert (tmp_path / "new" / "town_5.tif").read_bytes() == before


@pytest.mark.parametrize(
    "words",
    [["--style", "moon"], ["--size", 0, 10], ["--pixel-size", 0], ["--pixel-size", "nan"],
     ["--crs", "nothing"], ["--crs", "EPSG:4326"]],
    ids=str,
)  # fmt: skip
def test_synth_refuses_what_it_cannot_draw(tmp_path, words):
    size = [] if words[0] == "--size" else ["--size", 100, 100]
    assert_refused(run("synth", "-o", tmp_path / "new", *size, *words))
    assert not (tmp_path / "new").exists() or names(tmp_path / "new") == []


def test_tile_writes_a_folder_and_says_so(make_raster, tmp_path):
    scene = make_raster(shape=(100, 130))
    result = run("tile", scene, "-o", tmp_path / "out", "--patch-size", 64, "--median-blur", 0, "--json")
    assert json.loads(result.stdout) == {"folder": str(tmp_path / "out"), "patches": 6}
    assert names(tmp_path / "out") == ["images", "index.parquet"]
    assert len(names(tmp_path / "out" / "images")) == 6
    index = geopandas.read_parquet(tmp_path / "out" / "index.parquet").set_index(["row", "col"])
    with rasterio.open(tmp_path / "out" / index.file[64, 64]) as file:
        assert np.array_equal(np.moveaxis(file.read(), 0, 2)[:36, :64], coded((100, 130))[64:, 64:128])
    assert run("tile", scene, "-o", tmp_path / "text").stdout == f"{tmp_path / 'text'}\n"


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["{tmp}/no.tif", "-o", "{tmp}/out"], "no.tif"),
        (["{scene}", "-o", "{tmp}/full"], "--overwrite"),
        (["{scene}", "-o", "{scene}"], "folder"),
        (["{scene}", "-o", "{tmp}/out", "--overlap", "256"], "overlap"),
        (["{scene}", "-o", "{tmp}/out", "--median-blur", "4"], "median"),
        (["{scene}", "-o", "{tmp}/out", "--labels", "{tmp}/no.gpkg"], "no.gpkg"),
        (["{scene}", "-o", "{tmp}/out", "-b", "7"], "no band 7"),
        (["{scene}", "-o", "{tmp}/out", "-b", "1,2", "--format", "png"], "--format tif"),
    ],
)
def test_tile_refuses_in_one_line(make_raster, tmp_path, words, wanted):
    scene = make_raster()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("x")
    before = names(tmp_path)
    assert_refused(run("tile", *(word.format(tmp=tmp_path, scene=scene) for word in words)), wanted)
    assert names(tmp_path) == before


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script_that_asks_geoseg(shell):
    result = run("completion", shell)
    assert (result.exit_code, result.stderr) == (0, "")
    assert f"_GEOSEG_COMPLETE={shell}_complete" in result.stdout
    assert_refused(run("completion", "cmd"), "Error: ", code=2)


def test_completion_offers_commands_and_options():
    from click.shell_completion import ShellComplete

    complete = ShellComplete(main, {}, "geoseg", "_GEOSEG_COMPLETE")
    assert {"predict", "batch"} <= {one.value for one in complete.get_completions([], "")}
    assert {"--stitch"} == {one.value for one in complete.get_completions(["predict"], "--sti")}
    assert {"blend", "exact", "crop"} == {
        one.value for one in complete.get_completions(["predict", "--stitch"], "")
    }


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_takes_the_script():
    done = subprocess.run(["bash", "-n"], input=run("completion", "bash").stdout, text=True, check=False)
    assert done.returncode == 0


def test_model_stac_prints_or_writes_the_item(tmp_path, tiny_bundle):
    item = json.loads(run("model", "stac", "buildings-trees").stdout)
    assert item["id"] == "buildings-trees"
    words = ("model", "stac", tiny_bundle.folder, "-o", tmp_path / "item.json")
    assert run(*words, "--base", "https://host/tiny/").stdout == f"{tmp_path / 'item.json'}\n"
    written = json.loads((tmp_path / "item.json").read_text())
    assert written["assets"]["card"]["href"] == "https://host/tiny/card.toml"
    assert_refused(run(*words), "item.json", "--overwrite")
    assert run(*words, "--overwrite").exit_code == 0
