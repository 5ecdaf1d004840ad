"""A batch in this process: the same bytes as scene by scene, whatever happens on the way."""

import itertools
import json
import os
import shutil
from copy import copy

import numpy as np
import pyogrio
import pytest
import rasterio
from bulk_scenes import digests, hidden, network, scenes, smooth_noise, write_scenes  # noqa: F401
from conftest import write_raster

import geoseg
from geoseg.api import load
from geoseg.bulk import work
from geoseg.errors import BatchError, OutputError
from geoseg.geo.scene import open_scene

NAMES = ("large", "coarse", "sub/small")
BOX = 452320.5, 3771190.2, 452390, 3771230
ALL = dict(chunk=96, probabilities=True, polygons=True)


def predicted(scenes, folder, network, names=NAMES, ending="gpkg", **options):  # noqa: F811
    """What `predict` makes of the same scenes."""
    ready = network if options else load(network)  # what is loaded keeps its settings
    for name in names:
        base = folder / name
        base.parent.mkdir(parents=True, exist_ok=True)
        geoseg.predict(
            scenes / f"{name}.tif", f"{base}_mask.tif", model=ready,
            probabilities=f"{base}_probabilities.tif", polygons=f"{base}_polygons.{ending}", **options,
        )  # fmt: skip
    return digests(folder)


@pytest.fixture(scope="module")
def whole(scenes, network, tmp_path_factory):  # noqa: F811
    """The sums of what `predict` makes of the scenes."""
    return predicted(scenes, tmp_path_factory.mktemp("whole"), network)


def batch(scenes, folder, network, **options):  # noqa: F811
    return geoseg.batch(scenes, folder, model=network, **ALL | options)


def lines(folder):
    return [json.loads(line) for line in (folder / "journal.jsonl").read_text().splitlines()]


def test_chunks_joined_equal_whole_scenes_byte_for_byte(scenes, network, whole, tmp_path):  # noqa: F811
    done = batch(scenes, tmp_path / "out", network)
    assert digests(tmp_path / "out") == whole
    assert len(whole) == 12  # masks, probabilities, polygons and their styles
    assert (done.planned, done.processed, done.skipped, done.failed) == (15, 15, 0, 0)
    assert done.scenes == {"planned": 3, "done": 3, "failed": 0, "open": 0}
    assert sum(done.pixels.values()) == sum_pixels(tmp_path / "out")
    assert hidden(tmp_path / "out") == []


def sum_pixels(folder):
    total = 0
    for path in folder.rglob("*_mask.tif"):
        with rasterio.open(path) as file:
            total += file.height * file.width
    return total


@pytest.mark.parametrize("options", [
    dict(probability_dtype="float32"), dict(bounds=BOX),
    dict(stitch="exact", patch_size=48), dict(median_blur=0, overlap=32, tta="flips"),
], ids=["float32", "bounds", "exact", "overlap"])  # fmt: skip
def test_so_they_do_with_other_options(scenes, network, tmp_path, options):  # noqa: F811
    wanted = predicted(scenes, tmp_path / "whole", network, ["large"], "fgb", **options)
    done = geoseg.batch(
        scenes / "large.tif", tmp_path / "out", model=network, chunk=60, probabilities=True, polygons="fgb",
        **options,
    )  # fmt: skip
    assert done.planned >= 6
    assert digests(tmp_path / "out") == wanted


def test_polygons_need_no_probabilities_to_be_kept(scenes, network, whole, tmp_path):  # noqa: F811
    batch(scenes, tmp_path / "out", network, probabilities=False)
    assert digests(tmp_path / "out") == {k: v for k, v in whole.items() if "probabilities" not in k}


class StoppedError(Exception):
    """What ends a run here."""


@pytest.mark.parametrize("after", [1, 4, 14])
def test_a_run_that_was_stopped_goes_on_and_does_nothing_twice(scenes, network, whole, tmp_path, after):  # noqa: F811
    seen = []

    def stop(done, total):
        seen.append(done)
        if len(seen) == after:
            raise StoppedError

    with pytest.raises(StoppedError):
        batch(scenes, tmp_path / "out", network, progress=stop)
    assert len(lines(tmp_path / "out")) == after
    done = batch(scenes, tmp_path / "out", network, resume=True)
    assert digests(tmp_path / "out") == whole
    ids = [line["id"] for line in lines(tmp_path / "out")]
    assert len(ids) == len(set(ids)) == 17
    assert (done.planned, done.processed) == (15, 15)
    assert 0 < done.earlier <= after


def test_progress_is_of_jobs_that_take_time(network, tmp_path):  # noqa: F811
    valid = np.zeros((90, 500), bool)
    valid[:, :100] = True
    write_raster(tmp_path / "a.tif", smooth_noise(valid.shape, 5), mask=valid)
    told = []
    done = geoseg.batch(
        tmp_path / "a.tif", tmp_path / "out", model=network, chunk=96, progress=lambda *now: told.append(now)
    )
    assert min(done.processed, done.skipped) > 0
    worked = [sum(line["pixels"].values()) for line in lines(tmp_path / "out") if line["status"] == "done"]
    assert sum(now for now, _ in told) == told[-1][1] == sum(worked) < valid.size


def test_a_chunk_that_was_lost_is_made_again(scenes, network, whole, tmp_path):  # noqa: F811
    with pytest.raises(StoppedError):
        batch(scenes, tmp_path / "out", network, progress=raiser(8))
    chunk = next((tmp_path / "out" / ".chunks").rglob("*_mask.tif"))
    chunk.unlink()
    assert batch(scenes, tmp_path / "out", network, resume=True).failed == 0
    assert digests(tmp_path / "out") == whole


def raiser(after):
    calls = iter(range(after, -1, -1))

    def stop(done, total):
        if next(calls) == 1:
            raise StoppedError

    return stop


def test_a_finished_run_has_nothing_left_to_do(scenes, network, tmp_path, monkeypatch):  # noqa: F811
    first = batch(scenes, tmp_path / "out", network)
    before = digests(tmp_path / "out")
    monkeypatch.setattr(work, "run_job", None)
    again = batch(scenes, tmp_path / "out", network, resume=True)
    assert (again.earlier, again.processed) == (15, 15)
    assert (again.pixels, again.patches, again.failures) == (first.pixels, first.patches, [])
    assert digests(tmp_path / "out") == before


def test_what_two_kinds_of_workers_made_names_both(scenes, network, tmp_path, monkeypatch):  # noqa: F811
    load_once, names = work.load_once, itertools.cycle(["openvino (CPU, float32)", "tensorflow (GPU)"])

    def renamed(*given):
        engine = copy(load_once(*given))
        engine.name = next(names)
        return engine

    monkeypatch.setattr(work, "load_once", renamed)
    batch(scenes / "large.tif", tmp_path / "out", network)
    for kind in ("mask", "probabilities"):
        with rasterio.open(tmp_path / "out" / f"large_{kind}.tif") as file:
            assert file.tags()["GEOSEG_ENGINE"] == "openvino (CPU, float32); tensorflow (GPU)"
            assert file.tags()["GEOSEG_PRECISION"] == "float32"


def test_shards_together_equal_the_whole(scenes, network, whole, tmp_path):  # noqa: F811
    parts = [batch(scenes, tmp_path / "out", network, shard=f"{number}/3") for number in (2, 3, 1)]
    assert [part.planned for part in parts] == [5, 5, 5]
    assert not (tmp_path / "out" / "large_mask.tif").exists()
    assert sum(part.scenes["done"] for part in parts) == 1
    joined = batch(scenes, tmp_path / "out", network, resume=True)
    assert digests(tmp_path / "out") == whole
    assert (joined.earlier, joined.planned) == (15, 15)
    assert joined.patches == sum(part.patches for part in parts)
    assert hidden(tmp_path / "out") == []


def test_what_fails_is_listed_and_the_rest_goes_on(network, tmp_path):  # noqa: F811
    folder = write_scenes(tmp_path / "scenes")
    (folder / "broken.tif").write_bytes(b"no raster")
    cut = (folder / "large.tif").read_bytes()
    (folder / "torn.tif").write_bytes(cut[: len(cut) // 2])
    write_raster(folder / "empty.tif", np.zeros((20, 24, 3), np.uint8), nodata=0)
    done = batch(folder, tmp_path / "out", network, attempts=1)
    assert {failed["job"].split("@")[0] for failed in done.failures} == {"broken", "torn"}
    assert "cannot open" in next(f["error"] for f in done.failures if f["job"] == "broken")
    assert done.processed + done.skipped + done.failed == done.planned
    assert (done.skipped, done.scenes["failed"], done.scenes["done"]) == (1, 2, 4)
    assert not list((tmp_path / "out").glob("torn_*"))
    saved = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert (saved["failed"], saved["planned"]) == (done.failed, done.planned)
    drawn = json.loads((tmp_path / "out" / "coverage.geojson").read_text())["features"]
    assert len(drawn) == done.planned
    status = {feature["properties"]["status"] for feature in drawn}
    assert status == {"done", "empty", "failed"}


def test_what_failed_is_tried_by_the_next_run(network, whole, tmp_path):  # noqa: F811
    folder = write_scenes(tmp_path / "scenes")
    with open(folder / "large.tif", "r+b") as file:  # noqa: PTH123
        head = file.read(4)
        file.seek(0)
        file.write(b"xxxx")
    hurt = batch(folder, tmp_path / "out", network, attempts=1)
    assert [failed["job"] for failed in hurt.failures] == ["large"]
    state = (folder / "large.tif").stat()
    with open(folder / "large.tif", "r+b") as file:  # noqa: PTH123
        file.write(head)
    os.utime(folder / "large.tif", ns=(state.st_atime_ns, state.st_mtime_ns))
    mended = batch(folder, tmp_path / "out", network, resume=True)
    assert mended.complete
    assert mended.planned == hurt.planned, "a plan stays as it was made"
    assert digests(tmp_path / "out") == whole


def test_other_options_another_input_or_another_model_are_refused(network, tmp_path, tiny_bundle):  # noqa: F811
    folder = write_scenes(tmp_path / "scenes")
    batch(folder, tmp_path / "out", network)
    for wrong, words in [
        (dict(threshold=0.7), "thresholds was"), (dict(polygons="fgb"), "polygons was 'gpkg' and is 'fgb'"),
        (dict(model=tiny_bundle.folder), "model sha256 was"), (dict(chunk=48), "chunk was 96 and is 48"),
    ]:  # fmt: skip
        with pytest.raises(BatchError, match=words):
            geoseg.batch(folder, tmp_path / "out", resume=True, **dict(model=network) | ALL | wrong)
    with pytest.raises(OutputError, match="add --resume"):
        batch(folder, tmp_path / "out", network)
    write_raster(folder / "new.tif", smooth_noise((20, 24), 9))
    with pytest.raises(BatchError, match="scene new is new"):
        batch(folder, tmp_path / "out", network, resume=True)
    (folder / "new.tif").unlink()
    write_raster(folder / "sub" / "small.tif", smooth_noise((20, 25), 9))
    with pytest.raises(BatchError, match="scene sub/small has changed"):
        batch(folder, tmp_path / "out", network, resume=True)
    assert batch(folder, tmp_path / "out", network, overwrite=True).complete


@pytest.mark.parametrize(("bounds", "shape"), [(None, (210, 330)), (BOX, (133, 232))], ids=["whole", "box"])
def test_a_giant_is_left_in_chunks_under_one_raster(scenes, network, tmp_path, bounds, shape):  # noqa: F811
    predicted(scenes, tmp_path / "whole", network, ["large"], "parquet", bounds=bounds)
    batch(scenes / "large.tif", tmp_path / "out", network, layout="chunks", bounds=bounds)
    for kind in ("mask", "probabilities"):
        with (
            rasterio.open(tmp_path / "whole" / f"large_{kind}.tif") as one,
            rasterio.open(tmp_path / "out" / f"large_{kind}.vrt") as other,
        ):
            assert np.array_equal(one.read(), other.read())
            assert (one.transform, one.crs, one.nodata) == (other.transform, other.crs, other.nodata)
            assert one.tags()["GEOSEG_OPTIONS"] == other.tags()["GEOSEG_OPTIONS"]
            if kind == "mask":
                assert one.colormap(1)[1] == other.colormap(1)[1]
    parts = sorted((tmp_path / "out" / "large_polygons").glob("chunk=*/polygons.parquet"))
    assert len(parts) > 4
    assert wkb(*parts) == wkb(tmp_path / "whole" / "large_polygons.parquet")
    assert shutil.move(tmp_path / "out", tmp_path / "moved")
    with open_scene(tmp_path / "moved" / "large_mask.vrt", ["class"], bidx=[1]) as moved:
        assert moved.shape == shape


def wkb(*paths):
    """Features of GeoParquet files, sorted."""
    import geopandas

    found = []
    for path in paths:
        table = geopandas.read_parquet(path)
        found += [
            (g.wkb, c, a) for g, c, a in zip(table.geometry, table["class"], table["area_m2"], strict=True)
        ]
    return sorted(found)


def test_polygons_cross_the_borders_of_chunks(scenes, network, tmp_path):  # noqa: F811
    batch(scenes / "large.tif", tmp_path / "out", network)
    table = pyogrio.read_dataframe(tmp_path / "out" / "large_polygons.gpkg")
    cols = (table.bounds[["minx", "maxx"]].to_numpy() - 452310) / 0.3
    assert (cols[:, 0] // 96 < cols[:, 1] // 96).any()
