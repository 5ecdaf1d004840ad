"""What is decided before anything is done."""

import json
import pickle
from dataclasses import asdict, replace

import numpy as np
import pytest
from affine import Affine
from bulk_scenes import smooth_noise
from conftest import write_raster
from hypothesis import given
from hypothesis import strategies as st

from geoseg.bulk import look
from geoseg.bulk.choices import choose
from geoseg.bulk.folder import Shard, open_folder
from geoseg.bulk.look import cut
from geoseg.bulk.plan import PlannedScene, differences, make_plan
from geoseg.bulk.sources import expand
from geoseg.core.grid import Grid
from geoseg.core.window import Window
from geoseg.errors import BatchError, OutputError

SIDES = st.integers(1, 400)


@st.composite
def cuts(draw):
    """A grid, an area of its scene, and the side of chunks."""
    shape = draw(SIDES), draw(SIDES)
    stride = draw(st.sampled_from([1, 4, 8]))
    size = stride * draw(st.integers(1, 8))
    grid = Grid(shape, size, size - stride * draw(st.integers(1, size // stride)), stride)
    row, col = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
    area = Window(row, col, draw(st.integers(1, shape[0] - row)), draw(st.integers(1, shape[1] - col)))
    return grid, area, draw(st.integers(20, 500))


@given(cuts())
def test_chunks_cover_every_pixel_of_the_area_once_and_meet_on_steps_of_the_grid(drawn):
    grid, area, side = drawn
    count = np.zeros(grid.scene_shape, np.uint8)
    for chunk in cut(grid, area, side):
        rows, cols = chunk.within(Window(0, 0, *grid.scene_shape))
        count[rows, cols] += 1
        assert chunk.row % grid.step == 0 or chunk.row == area.row
        assert chunk.col % grid.step == 0 or chunk.col == area.col
        assert max(chunk.shape) <= max(side + grid.step // 2, grid.step)
    rows, cols = area.within(Window(0, 0, *grid.scene_shape))
    assert (count[rows, cols] == 1).all()
    assert count.sum() == area.height * area.width


@given(st.integers(0, 40), st.integers(1, 9))
def test_the_shards_are_the_whole_and_share_nothing(count, shards):
    parts = [Shard(number, shards).of(range(count)) for number in range(1, shards + 1)]
    assert sorted(job for part in parts for job in part) == list(range(count))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "1", "a/b", "1/0", "-1/3"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(BatchError, match="a shard is I/N"):
        Shard.parse(text)


@pytest.fixture
def choices(tiny_bundle):
    return choose(tiny_bundle.folder, "none", chunk=96, probabilities=True)


def planned(choices, *paths):
    return make_plan(expand(paths), choices)


def test_a_scene_is_cut_on_the_grid_of_the_scene_as_the_model_sees_it(tmp_path, choices):
    write_raster(tmp_path / "a.tif", smooth_noise((100, 250), 0))
    write_raster(tmp_path / "b.tif", smooth_noise((20, 24), 0))
    plan = planned(choices, tmp_path)
    assert [scene.name for scene in plan.scenes] == ["a", "b"]
    assert plan.scenes[0].chunks[:2] == (Window(0, 0, 96, 96), Window(0, 96, 96, 96))
    assert plan.scenes[1].chunks == ()
    assert [scene.pixels for scene in plan.scenes] == [100 * 250, 20 * 24]
    assert plan.count == 7
    assert plan.read_bytes == sum(path.stat().st_size for path in tmp_path.iterdir())


def test_of_many_small_files_only_some_are_opened_and_tell_of_the_others(tmp_path, choices, monkeypatch):
    for number in range(9):
        coarse = Affine(1.5, 0, 452310, 0, -1.5, 3771240)  # the network takes pixels of up to a metre
        write_raster(tmp_path / f"{number}.tif", smooth_noise((12, 16), number), transform=coarse)
    opened, open_job = [], look.open_job
    monkeypatch.setattr(look, "open_job", lambda job, *more: opened.append(job.scene) or open_job(job, *more))
    monkeypatch.setattr(look, "EXAMPLES", 2)
    assert [scene.pixels for scene in planned(choices, tmp_path).scenes] == [18 * 24] * 9
    assert len(opened) == 3


def test_a_file_that_resampling_makes_large_is_opened(tmp_path, choices):
    grown = choose(choices.model.name, "none", chunk=96, res=0.1)
    write_raster(tmp_path / "a.tif", smooth_noise((80, 80), 0))
    assert len(planned(choices, tmp_path).scenes[0].chunks) == 0
    assert len(planned(grown, tmp_path).scenes[0].chunks) == 9


def test_what_cannot_be_opened_is_a_job_too(tmp_path, choices):
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    scene = planned(choices, tmp_path).scenes[0]
    assert (scene.pixels, scene.chunks) == (0, ())


def test_jobs_are_plain_data(tmp_path, choices):
    write_raster(tmp_path / "a.tif", smooth_noise((100, 250), 0))
    plan = planned(choices, tmp_path)
    for job in [*plan.jobs(tmp_path), plan.merge(plan.scenes[0], tmp_path)]:
        assert pickle.loads(pickle.dumps(job)) == job
        assert json.loads(json.dumps(asdict(job), default=str))["id"] == job.id


@pytest.mark.parametrize("change", [
    dict(probabilities=False), dict(polygons="gpkg"), dict(nodata=0.0), dict(engine="tensorflow"),
    dict(engine_options={"batch_size": 3}), dict(options={"COMPRESS": "LZW"}), dict(bounds=(0, 0, 1, 1)),
])  # fmt: skip
def test_the_key_of_a_job_changes_with_every_choice_that_changes_bytes(tmp_path, choices, change):
    scene = PlannedScene("a", "a.tif", "1-2", 10)
    plan = make_plan([], choices)
    keys = [
        next(replace(plan, choices=chosen, scenes=(scene,)).jobs(tmp_path)).key
        for chosen in (choices, replace(choices, max_memory=1), replace(choices, **change))
    ]
    assert keys[0] == keys[1] != keys[2]


def test_the_key_of_a_job_changes_with_its_input(tmp_path, choices):
    write_raster(tmp_path / "a.tif", smooth_noise((20, 24), 0))
    before = next(planned(choices, tmp_path / "a.tif").jobs(tmp_path)).key
    write_raster(tmp_path / "a.tif", smooth_noise((20, 24), 1))
    assert next(planned(choices, tmp_path / "a.tif").jobs(tmp_path)).key != before


def test_differences_are_told_in_words(choices):
    scenes = tuple(PlannedScene(name, f"{name}.tif", "1-2", 10) for name in "abc")
    before = make_plan([], choices)
    before = replace(before, scenes=scenes)
    new = (replace(scenes[0], fingerprint="3-4"), scenes[1], PlannedScene("d", "d.tif", "", 0))
    after = replace(before, choices=replace(choices, nodata=7.0), scenes=new)
    assert differences(before.to_json(), before.to_json()) == []
    assert differences(before.to_json(), after.to_json()) == [
        "nodata was None and is 7.0", "scene c is gone", "scene d is new", "scene a has changed",
    ]  # fmt: skip


def test_a_folder_that_holds_a_run_is_not_taken_for_another(tmp_path, choices):
    plan = replace(make_plan([], choices), scenes=(PlannedScene("a", "a.tif", "1-2", 10),))
    other = replace(plan, choices=replace(choices, nodata=7.0))
    out, one = tmp_path / "out", Shard()
    open_folder(out, plan, one, resume=False, overwrite=False)
    with pytest.raises(OutputError, match="holds a run already; add --resume"):
        open_folder(out, plan, one, resume=False, overwrite=False)
    open_folder(out, plan, one, resume=True, overwrite=False)
    open_folder(out, plan, Shard(2, 3), resume=False, overwrite=False)
    with pytest.raises(BatchError, match=r"planned otherwise: nodata was None and is 7.0; give the same"):
        open_folder(out, other, one, resume=True, overwrite=False)
    with pytest.raises(BatchError, match="planned otherwise"):
        open_folder(out, other, Shard(2, 3), resume=False, overwrite=False)
    open_folder(out, other, one, resume=False, overwrite=True)
    open_folder(out, other, one, resume=True, overwrite=False)


def test_outputs_of_nobody_are_not_replaced(tmp_path, choices):
    plan = replace(make_plan([], choices), scenes=(PlannedScene("a", "a.tif", "1-2", 10),))
    (tmp_path / "a_mask.tif").touch()
    with pytest.raises(OutputError, match=r"a_mask.tif exists already"):
        open_folder(tmp_path, plan, Shard(), resume=False, overwrite=False)
    assert not (tmp_path / "plan.json").exists()
    open_folder(tmp_path, plan, Shard(), resume=False, overwrite=True)


@pytest.mark.parametrize(("wrong", "words"), [
    (dict(chunk=0), "1 px or more"), (dict(layout="heap"), "layout is one of whole, chunks"),
    (dict(polygons="shp"), "polygons is one of gpkg"), (dict(layout="chunks", polygons="gpkg"), "GeoParquet"),
])  # fmt: skip
def test_wrong_choices_are_refused(choices, wrong, words):
    with pytest.raises(BatchError, match=words):
        replace(choices, **wrong)
