"""The README does what it says, its two lines are those that CI runs, and its figures were measured."""

import re

import pytest
from conftest import ROOT
from documents import blocks, follow

README = ROOT / "README.md"
TEXT = README.read_text(encoding="utf-8")
RESULTS = (ROOT / "benchmarks" / "RESULTS.md").read_text(encoding="utf-8")
NUMBER = re.compile(r"\d+(?:,\d{3})*(?:\.\d+)?")
MEASURED = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in TEXT.partition("## Measured")[2].partition("\n## ")[0].splitlines()
    if line.startswith("|") and "`" in line
]


def test_the_readme_does_what_it_says(tmp_path):
    assert follow(README, tmp_path)
    made = {path.name for path in tmp_path.iterdir()}
    assert made >= {"mask.tif", "polygons.gpkg", "buildings.geojson", "run", "p.tif", "page.html"}


def test_the_first_screen_is_short():
    kinds = {block.info: block for block in blocks(README)}
    assert len(kinds["sh"].commands) == 5
    assert len([line for line in kinds["python"].text.splitlines() if line.strip()]) == 5
    assert README.read_text().splitlines().index("## Five lines of Python") < 50


@pytest.mark.parametrize("row", MEASURED, ids=lambda row: row[0][:40])
def test_figures_of_the_readme_are_in_the_results(row):
    what, result, script = row
    assert (ROOT / script.strip("`")).is_file()
    known = {text.replace(",", "") for text in NUMBER.findall(RESULTS)}
    for text in NUMBER.findall(result):
        decimals = len(text.partition(".")[2])
        number = float(text.replace(",", ""))
        assert any(round(float(one), decimals) == number for one in known), f"{what}: {text} was not measured"


def test_ci_runs_the_line_of_the_readme():
    script = (ROOT / ".ci" / "run").read_text()
    pattern = re.search(r"-E '([^']+)' README.md", script)[1]
    lines = [line for line in TEXT.splitlines() if re.search(pattern, line)]
    assert len(lines) == 1
    assert "constraints.txt" in lines[0]
