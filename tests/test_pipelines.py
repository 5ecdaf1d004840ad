"""The script that makes the bundled models, run with commands that only say how they were called."""

import argparse
import csv
import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace

import geopandas
import numpy as np
import pytest

from geoseg.recipe.recipe import load_recipe, variants
from geoseg.training.catalog import catalog

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
    like = {"labels_only", "s_labels_only"}  # what others are like
    wanted = set(variants(RECIPE)) - like - {None}
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
            needed = {Path(name).name for name in (recipe.network.initial, *recipe.teacher.models) if name}
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
    assert len(mains) == 4


def test_both_bundles_are_written_with_all_scores(calls):
    bundled = [call for call in calls if "pipelines/bundle_buildings_trees.py" in call]
    written = {call[4]: call for call in bundled if call[4].startswith("geoseg/bundles/")}
    assert set(written) == {"geoseg/bundles/buildings-trees", "geoseg/bundles/buildings-trees-m"}
    measured = {call[call.index("--json") + 1] for call in calls if "--json" in call}
    for call in written.values():
        files = [text.partition("=")[0] for text in call if ".json=" in text]
        assert len(files) == 6
        assert set(files) <= measured


def test_weights_of_pytorch_find_their_layers():
    script = SimpleNamespace(**runpy.run_path(str(ROOT / "pipelines/encoder_weights.py"), run_name="weights"))
    rng = np.random.default_rng(0)
    dense, depthwise, norm = rng.random((8, 3, 1, 1)), rng.random((8, 1, 5, 5)), rng.random((4, 8))
    names = ("weight", "bias", "running_mean", "running_var")
    held = {"_conv_stem.weight": dense}
    held |= {f"_bn0.{name}": values for name, values in zip(names, norm, strict=True)}
    held |= {"_bn0.num_batches_tracked": np.array(7), "_blocks.0._depthwise_conv.weight": depthwise}
    held |= {"_conv_head.weight": dense, "_bn1.weight": norm[0], "_fc.weight": norm, "_fc.bias": norm[0]}
    tensors = {name: SimpleNamespace(numpy=lambda values=values: values) for name, values in held.items()}
    first, second, third = script.in_layers(tensors)
    assert first[0].shape == (1, 1, 3, 8) and (first[0][0, 0] == dense[:, :, 0, 0].T).all()
    assert (np.array(second) == norm).all()
    assert third[0].shape == (5, 5, 8, 1) and (third[0][..., 0] == depthwise[:, 0].transpose(1, 2, 0)).all()


@pytest.fixture(scope="module")
def pseudo():
    script = str(ROOT / "pipelines/pseudo_labels.py")
    return SimpleNamespace(**runpy.run_path(script, run_name="pseudo_labels"))


def plain(states, changed):
    return states


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ({}, [[0, 0, 0], [1, 1, 1], [0, 255, 1]]),
        ({"misses": True}, [[0, 0, 255], [1, 1, 1], [0, 255, 1]]),
        ({"blocks": True}, [[0, 0, 0], [0, 255, 1], [0, 255, 1]]),
    ],
)
def test_a_teacher_is_believed_where_labels_say_nothing_or_are_known_to_be_wrong(pseudo, kind, wanted):
    labels = np.repeat(np.array([0, 1, 255], np.uint8)[:, None, None], 3, axis=1)
    found = np.tile(np.array([0.1, 0.5, 0.9], np.float32)[None, :, None], (3, 1, 1))
    known = pseudo.Known(**dict(only=None, misses=False, blocks=False, seed=plain, correct=plain) | kind)
    assert pseudo.filled(labels, found, known, [0])[..., 0].tolist() == wanted


def test_what_somebody_saw_stands_and_around_it_nothing_that_contradicts_it(pseudo):
    plane = np.zeros((60, 60), np.uint8)
    plane[:, 30:] = 1
    discs = [{"x": "10", "y": "30", "radius": "3", "building": "1"},
             {"x": "50", "y": "30", "radius": "3", "building": "0"}]  # fmt: skip
    found = pseudo.corrected(plane, discs, "building")
    assert (found[28:33, 8:13] == 1).all() and (found[28:33, 48:53] == 0).all()
    assert found[30, 18] == found[30, 42] == 255
    assert found[30, 22] == 0 and found[30, 38] == 1
    assert (found[:20, :] == plane[:20, :]).all()


def looked_at():
    """Names of images that somebody looked at, and the places in them."""
    names = (ROOT / "pipelines/recipes/buildings_trees_naip.txt").read_text(encoding="utf-8").split()
    with (ROOT / "pipelines/recipes/buildings_trees_naip_places.csv").open(encoding="utf-8") as table:
        return names, list(csv.DictReader(table))


def test_places_lie_in_images_that_somebody_looked_at():
    names, places = looked_at()
    assert {place["image"] for place in places} <= set(names)
    assert all(0 <= int(place[axis]) < 256 for place in places for axis in ("x", "y"))
    assert {place["building"] for place in places} == {"0", "1"}


def test_nobody_looked_at_what_is_measured_on(shared):
    train = (shared / "trees_naip/train_by_place.txt").read_text(encoding="utf-8").split()
    assert set(looked_at()[0]) <= {Path(name).stem for name in train}


@pytest.mark.parametrize(("part", "count"), [("val", 24), ("test", 32)])
def test_roofs_to_measure_on_are_of_places_that_no_network_was_trained_on(part, count, shared):
    names = {item.name for item in catalog(load_recipe(ROOT / "benchmarks/naip_roofs.toml"), part)}
    held = (shared / f"trees_naip/{part}_by_place.txt").read_text(encoding="utf-8").split()
    assert len(names) == count and names <= {Path(name).stem for name in held}


def test_every_image_to_measure_on_has_roofs_that_are_outlined():
    roofs = geopandas.read_file(ROOT / "benchmarks/naip_roofs.geojson")
    lists = [(ROOT / f"benchmarks/naip_roofs_{part}.txt").read_text().split() for part in ("val", "test")]
    assert not set(lists[0]) & set(lists[1])
    assert roofs.is_valid.all() and set(roofs["image"]) == {name for names in lists for name in names}
    assert set(roofs["class"]) == {"building", "ignore"}
