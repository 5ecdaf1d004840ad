"""The README's commands and lines of Python run, and its two lines are the ones that CI runs."""

import re
import shlex
from pathlib import Path

import geopandas
import pytest
import rasterio
from click.testing import CliRunner
from conftest import ROOT
from rasterio.windows import Window

from geoseg.cli import main

README = (ROOT / "README.md").read_text()
COMMANDS = [
    line.split("#")[0].strip()
    for line in README.splitlines()
    if re.match(r"geoseg \w+ .*#|geoseg \w+ +#", line)
]

RECIPE = """
name = "mine"
source = "the README"
classes = [{name = "building"}]
network = {architecture = "unet", options = {width = 2, depth = 2}}
patches = {size = 64}
fit = {epochs = 1}

[[data]]
name = "here"
images = "scenes/*.tif"
polygons = "buildings.gpkg"
split = {by = "scenes/(.*)", val = ["two"]}
labels = {0 = "background", 1 = "building"}
"""


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """The files that the README speaks of, small."""
    folder = tmp_path_factory.mktemp("readme")
    (folder / "scenes").mkdir()
    for name, scene in (("scene", "suburb"), ("scenes/one", "suburb"), ("scenes/two", "town")):
        with rasterio.open(ROOT / "sample_data" / f"{scene}.tif") as file:
            window = Window(200, 300, 280, 260)
            profile = file.profile | {"height": 260, "width": 280, "transform": file.window_transform(window)}
            profile |= {"driver": "GTiff", "compress": "deflate", "photometric": "rgb"}
            with rasterio.open(folder / f"{name}.tif", "w", **profile) as crop:
                crop.write(file.read(window=window))
    truth = geopandas.read_file(ROOT / "sample_data" / "suburb_truth.geojson")
    truth[truth["class"] == "building"].to_file(folder / "buildings.gpkg")
    (folder / "recipe.toml").write_text(RECIPE)
    return folder


def test_the_readme_shows_every_command():
    shown = {line.split()[1] for line in COMMANDS}
    assert shown == set(main.commands)


def test_the_commands_of_the_readme_run(workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    for line in COMMANDS:
        words = [
            w
            for word in shlex.split(line)[1:]
            for w in (sorted(map(str, Path().glob(word))) if "*" in word else [word])
        ]
        again = ["--overwrite"] if words[0] in ("predict", "vectorize") and "--dry-run" not in words else []
        done = CliRunner().invoke(main, [*words, *again])
        assert done.exit_code == 0, f"{line}: {done.output}"


def test_the_python_of_the_readme_runs(tmp_path, monkeypatch):
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)[1]
    monkeypatch.chdir(tmp_path)
    exec(code.replace("sample_data/", f"{ROOT}/sample_data/"), {})
    assert {path.name for path in tmp_path.iterdir()} >= {"mask.tif", "p.tif", "polygons.gpkg"}


def test_ci_runs_the_line_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"-E '([^']+)' README.md", script)[1]
    lines = [line for line in README.splitlines() if re.search(pattern, line)]
    assert len(lines) == 1
    assert "constraints.txt" in lines[0]
