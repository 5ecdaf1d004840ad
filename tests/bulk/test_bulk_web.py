"""Web maps of a run, and of single masks and polygons from the command line."""

import json
import sqlite3
from contextlib import closing

import numpy as np
import pyogrio
import pytest
import rasterio
from bulk_scenes import hidden, network, scenes  # noqa: F401
from click.testing import CliRunner
from conftest import write_raster

import geoseg
from geoseg.bulk import work
from geoseg.cli import main
from geoseg.errors import BatchError

MAPS = ("mbtiles", "tiles", "pmtiles")


def batch(scenes, folder, network, **options):  # noqa: F811
    return geoseg.batch(scenes, folder, model=network, **{"chunk": 96, "polygons": True} | options)


def web(*words):
    return CliRunner().invoke(main, ["web", *map(str, words)])


def pictures(path):
    with closing(sqlite3.connect(path)) as connection:
        found = connection.execute("SELECT zoom_level, tile_column, tile_row, tile_data FROM tiles")
        return {(z, x, 2**z - 1 - y): data for z, x, y, data in found}


def drawn(path):
    """The area of each class in the deepest tiles."""
    polygons = pyogrio.read_dataframe(path, ZOOM_LEVEL=15)
    return {name: float(shapes.area.sum()) for name, shapes in polygons.groupby("class").geometry}


@pytest.fixture(scope="module")
def run(scenes, network, tmp_path_factory):  # noqa: F811
    """The folder of a run with all maps."""
    folder = tmp_path_factory.mktemp("run") / "run"
    assert batch(scenes, folder, network, web=MAPS).complete
    return folder


def test_a_run_makes_maps_of_all_its_scenes(run):
    assert sorted(path.name for path in (run / "web").iterdir()) == [
        "masks",
        "masks.mbtiles",
        "polygons.pmtiles",
    ]
    tiles = pictures(run / "web" / "masks.mbtiles")
    files = {tuple(map(int, path.with_suffix("").parts[-3:])): path.read_bytes()
             for path in (run / "web" / "masks").rglob("*.png")}  # fmt: skip
    assert tiles == files != {}
    polygons = pyogrio.read_dataframe(run / "web" / "polygons.pmtiles", ZOOM_LEVEL=15)
    assert set(polygons["scene"]) == {"large.tif", "coarse.tif", "small.tif"}
    assert hidden(run) == []


def test_the_map_shows_what_the_masks_hold(run):
    """Where a scene's centre pixels lie on the map, GDAL reads their colours."""
    import pyproj

    with rasterio.open(run / "large_mask.tif") as file, rasterio.open(run / "web" / "masks.mbtiles") as seen:
        classes, colors = file.read(1), file.colormap(1)
        rows, cols = np.nonzero(np.isin(classes, (1, 2)))
        to_map = pyproj.Transformer.from_crs(file.crs.to_wkt(), "EPSG:3857", always_xy=True)
        x, y = to_map.transform(*(file.transform * (cols + 0.5, rows + 0.5)))
        pixels, (left, top) = seen.read(), ~seen.transform * (x, y)
    found = pixels[:3, top.astype(int), left.astype(int)].T
    wanted = np.array([colors[value][:3] for value in classes[rows, cols]])
    assert (found == wanted).all(1).mean() > 0.9  # pixels of 0.25 m beside 0.3 m


def test_the_command_makes_the_same_maps_of_the_run_later(run, tmp_path):
    for name in ("masks.mbtiles", "polygons.pmtiles"):
        done = web(run, "-o", tmp_path / name)
        assert (done.exit_code, done.stdout) == (0, f"{tmp_path / name}\n"), done.stderr
        assert (tmp_path / name).stat().st_size == (run / "web" / name).stat().st_size
    assert pictures(tmp_path / "masks.mbtiles") == pictures(run / "web" / "masks.mbtiles")


def test_the_command_makes_maps_of_files_and_tells_in_json(run, tmp_path):
    done = web(
        run / "large_mask.tif", run / "coarse_mask.tif", "-o", tmp_path / "t", "--max-zoom", 18, "--json"
    )
    told = json.loads(done.stdout)
    assert told["output"] == str(tmp_path / "t")
    assert told["zooms"][1] == 18
    assert told["tiles"] == len(list((tmp_path / "t").rglob("*.png")))
    polygons = run / "large_polygons.gpkg"
    done = web(polygons, "-o", tmp_path / "p.pmtiles", "--json", "--min-zoom", 14)
    assert json.loads(done.stdout)["polygons"] == pyogrio.read_info(polygons)["features"]
    done = web(run, "-o", tmp_path / "t.png")
    assert done.exit_code == 1
    assert "a map is .mbtiles, .pmtiles or a folder, got .png" in done.stderr


def test_chunks_under_a_view_make_the_same_map(run, scenes, network, tmp_path):  # noqa: F811
    assert batch(scenes, tmp_path / "out", network, layout="chunks", web=("mbtiles", "pmtiles")).complete
    assert pictures(tmp_path / "out" / "web" / "masks.mbtiles") == pictures(run / "web" / "masks.mbtiles")
    found, before = (drawn(folder / "web" / "polygons.pmtiles") for folder in (tmp_path / "out", run))
    assert found == pytest.approx(before)


def test_a_run_without_maps_gets_them_when_it_is_resumed(scenes, network, tmp_path):  # noqa: F811
    out = tmp_path / "out"
    for shard in ("1/2", "2/2"):
        assert batch(scenes, out, network, shard=shard, web=MAPS).complete
    assert not (out / "web").exists()
    done = batch(scenes, out, network, resume=True, web=("mbtiles",))
    assert done.earlier == done.planned
    assert pictures(out / "web" / "masks.mbtiles")


def test_a_run_with_failures_makes_no_map(scenes, network, tmp_path, monkeypatch):  # noqa: F811
    out = tmp_path / "out"
    predict = work.predict_scene

    def stumble(job, *rest):
        if "coarse" in str(job.mask):
            raise OSError("the disk is gone")
        return predict(job, *rest)

    monkeypatch.setattr(work, "predict_scene", stumble)
    assert not batch(scenes, out, network, web=MAPS, attempts=1).complete
    assert not (out / "web").exists()
    done = web(out, "-o", tmp_path / "map.mbtiles")  # what there is
    assert done.exit_code == 0
    assert pictures(tmp_path / "map.mbtiles")


def test_maps_that_cannot_be_made_are_refused_before_anything_is(scenes, network, tmp_path):  # noqa: F811
    with pytest.raises(BatchError, match="add --polygons"):
        batch(scenes, tmp_path / "out", network, polygons=False, web=("pmtiles",))
    with pytest.raises(BatchError, match="one of mbtiles, tiles, pmtiles, got kml"):
        batch(scenes, tmp_path / "out", network, web=("kml",))
    assert not (tmp_path / "out").exists()


def test_the_option_of_the_command(network, tmp_path):  # noqa: F811
    from bulk_scenes import smooth_noise

    scene = write_raster(tmp_path / "scene.tif", smooth_noise((60, 60), 1))
    words = ["batch", str(scene), "-o", str(tmp_path / "run"), "-m", str(network), "--web", "mbtiles"]
    done = CliRunner().invoke(main, [*words, "--web", "tiles"])
    assert done.exit_code == 0, done.stderr
    assert {path.name for path in (tmp_path / "run" / "web").iterdir()} == {"masks.mbtiles", "masks"}
    done = web(tmp_path / "run", "-o", tmp_path / "p.pmtiles")
    assert done.exit_code == 1
    assert "has no polygons; finish it" in done.stderr
