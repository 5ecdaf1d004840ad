"""`geoseg batch`, in this process."""

import json

import pytest
from cli_runs import assert_refused, names, run

from geoseg.cli import batch, predict


@pytest.fixture
def scenes(tmp_path, make_raster):
    """Two scenes and a list of them."""
    make_raster("a.tif", (100, 150))
    make_raster("b.tif", (20, 24))
    (tmp_path / "list.txt").write_text("a.tif\nb.tif\n")
    return tmp_path / "list.txt"


def batched(scenes, folder, tiny_bundle, *words):
    return run("batch", scenes, "-o", folder, "-m", tiny_bundle.folder, "--chunk", 96, *words)


def test_the_outputs_lie_in_the_folder_and_the_path_of_the_account_is_printed(scenes, tmp_path, tiny_bundle):
    done = batched(scenes, tmp_path / "out", tiny_bundle, "--polygons", "--vector-format", "fgb")
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout == f"{tmp_path / 'out' / 'summary.json'}\n"
    assert names(tmp_path / "out") == [
        *(f"{name}_{file}" for name in "ab" for file in ("mask.qml", "mask.tif", "mask.tif.aux.xml",
                                                         "polygons.fgb", "polygons.qml")),
        "coverage.geojson", "journal.jsonl", "plan.json", "summary.json",
    ]  # fmt: skip


def test_the_account_as_json(scenes, tmp_path, tiny_bundle):
    account = json.loads(batched(scenes, tmp_path / "out", tiny_bundle, "--json").stdout)
    assert (account["planned"], account["processed"], account["failures"]) == (5, 5, [])
    assert account["scenes"]["done"] == 2
    assert sum(account["pixels"].values()) == 100 * 150 + 20 * 24


def test_a_dry_run_says_jobs_bytes_and_hours_and_writes_nothing(scenes, tmp_path, tiny_bundle):
    done = batched(scenes, tmp_path / "out", tiny_bundle, "--probabilities", "--dry-run", "--json")
    table = json.loads(done.stdout)
    size = sum((tmp_path / name).stat().st_size for name in ("a.tif", "b.tif"))
    assert (table["jobs"], table["scenes"], table["read_bytes"]) == (5, 2, size)
    assert table["write_bytes"] == 3 * table["pixels"] == 3 * (100 * 150 + 20 * 24)
    assert 0 < table["hours"] < 1
    assert not (tmp_path / "out").exists()
    text = batched(scenes, tmp_path / "out", tiny_bundle, "--dry-run").stdout
    assert [line.split()[0] for line in text.splitlines()] == list(table)


def test_what_fails_is_listed_on_stderr_and_the_exit_code_is_3(scenes, tmp_path, tiny_bundle):
    (tmp_path / "broken.tif").write_bytes(b"no raster")
    scenes.write_text("a.tif\nbroken.tif\nb.tif\n")
    done = batched(scenes, tmp_path / "out", tiny_bundle, "--attempts", 1)
    assert done.exit_code == 3
    assert done.stdout == f"{tmp_path / 'out' / 'summary.json'}\n"
    first, last = done.stderr.splitlines()
    assert first.startswith("geoseg: error: broken: cannot open ")
    assert last == f"geoseg: 1 of 6 jobs failed; see {tmp_path / 'out' / 'summary.json'}"
    assert {"a_mask.tif", "b_mask.tif"} <= set(names(tmp_path / "out"))


def test_shards_and_a_run_that_joins_them(scenes, tmp_path, tiny_bundle):
    for shard in ("1/2", "2/2"):
        assert batched(scenes, tmp_path / "out", tiny_bundle, "--shard", shard).exit_code == 0
    assert "summary-2-of-2.json" in names(tmp_path / "out")
    assert "a_mask.tif" not in names(tmp_path / "out")
    assert batched(scenes, tmp_path / "out", tiny_bundle, "--resume").exit_code == 0
    assert "a_mask.tif" in names(tmp_path / "out")


@pytest.mark.parametrize(("words", "text"), [
    (["--shard", "3/2"], "a shard is I/N"),
    (["--layout", "chunks", "--polygons", "--vector-format", "fgb"], "GeoParquet"),
    (["--overlap", "70"], "overlap must be"), (["--cutline", "none.gpkg"], "there is no cutline"),
])  # fmt: skip
def test_what_cannot_be_is_refused_before_anything_is_written(scenes, tmp_path, tiny_bundle, words, text):
    assert_refused(batched(scenes, tmp_path / "out", tiny_bundle, *words), text)
    assert not (tmp_path / "out").exists()


def test_a_run_is_not_begun_twice(scenes, tmp_path, tiny_bundle):
    batched(scenes, tmp_path / "out", tiny_bundle)
    assert_refused(batched(scenes, tmp_path / "out", tiny_bundle), "add --resume")
    assert_refused(
        batched(scenes, tmp_path / "out", tiny_bundle, "--resume", "--nodata", 3), "nodata was None"
    )
    assert batched(scenes, tmp_path / "out", tiny_bundle, "--overwrite", "--nodata", 3).exit_code == 0


def test_two_scenes_of_one_name_are_refused(tmp_path, tiny_bundle, make_raster):
    make_raster("a.tif", (20, 24))
    (tmp_path / "x").mkdir()
    make_raster("x/a.tif", (20, 24))
    both = tmp_path / "a.tif", tmp_path / "x" / "a.tif"
    done = run("batch", *both, "-o", tmp_path / "o", "-m", tiny_bundle.folder)
    assert_refused(done, "a.tif", "outputs of one name")


def test_scenes_are_segmented_with_the_options_of_predict():
    own = {option.name for option in batch.command.params}
    missing = {option.name for option in predict.command.params} - own
    assert missing == {"output", "quicklook", "scenes", "styles"}
