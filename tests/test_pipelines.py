"""The script that makes the bundled models, run with commands that only say how they were called."""

import argparse
import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from geoseg.recipe.recipe import load_recipe, variants

ROOT = Path(__file__).resolve().parents[1]
RECIPE = ROOT / "pipelines" / "recipes" / "buildings_trees.toml"
STUB = """#!/usr/bin/env bash
printf '%s\\t' "${0##*/}" "$@" >> "$CALLS"
echo >> "$CALLS"
"""


@pytest.fixture(scope="module")
def calls(tmp_path_factory):
    """Each command of the script, in order: a list of its name and arguments."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "project" / "pipelines").mkdir(parents=True)
    script = shutil.copy(ROOT / "pipelines" / "buildings_trees.sh", folder / "project" / "pipelines")
    for name in ("geoseg", "python"):
        (stub := folder / name).write_text(STUB)
        stub.chmod(0o755)
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "CALLS": str(folder / "calls")}
    subprocess.run(["bash", script], env=environment, check=True)
    return [line.rstrip("\t").split("\t") for line in (folder / "calls").read_text().splitlines()]


def trained(calls):
    """The variants, in the order in which they are trained."""
    return [call[call.index("--variant") + 1] for call in calls if call[0] == "geoseg" and "train" in call]


def test_every_variant_is_trained_once(calls):
    wanted = set(variants(RECIPE)) - {"labels_only", "s_labels_first", "s_labels_only", None}  # what others are like
    assert set(trained(calls)) == wanted
    assert len(trained(calls)) == len(wanted)


def test_what_a_variant_starts_from_was_made_before_it(calls):
    there = set()
    for call in calls:
        if "pipelines/pseudo_labels.py" in call:
            assert Path(call[3]).name in there
            there.add(Path(call[4]).name)
        elif "train" in call:
            variant = call[call.index("--variant") + 1]
            recipe = load_recipe(RECIPE, variant=variant)
            needed = {Path(recipe.network.initial).name} - {""}
            needed |= {
                found for data in recipe.data for found in re.findall("made/(pseudo[^/]*)", data.masks)
            }
            assert needed <= there, variant
            there.add(variant)


def test_the_scripts_understand_what_they_are_given(calls, monkeypatch):
    class UnderstoodError(Exception):
        """Not an error: the arguments were read, and nothing more is wanted."""

    parse = argparse.ArgumentParser.parse_args

    def read(parser, arguments):
        parse(parser, arguments)
        raise UnderstoodError

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", read)
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    mains = {
        name: runpy.run_path(str(ROOT / name))["main"]
        for name in {call[1] for call in calls if call[0] == "python"}
    }
    for _, name, *arguments in (call for call in calls if call[0] == "python"):
        with pytest.raises(UnderstoodError):
            mains[name](arguments)
    assert len(mains) == 3


def test_both_bundles_are_written_with_all_scores(calls):
    written = {
        call[4]: call for call in calls if call[0] == "python" and call[4].startswith("geoseg/bundles/")
    }
    assert set(written) == {"geoseg/bundles/buildings-trees", "geoseg/bundles/buildings-trees-m"}
    measured = {call[call.index("--json") + 1] for call in calls if "--json" in call}
    for call in written.values():
        files = [text.partition("=")[0] for text in call if ".json=" in text]
        assert len(files) == 5
        assert set(files) <= measured
