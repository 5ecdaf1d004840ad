"""GeoPackages get their index although TensorFlow, which has an SQLite of its own, was there first."""

import sqlite3
import subprocess
import sys
from contextlib import closing

import numpy as np
import pytest

from geoseg.vector import ogr

LATE = """
import sys
import tensorflow
import geoseg
from geoseg.vector import ogr
geoseg.vectorize(sys.argv[1], sys.argv[2])
print(ogr.ALONE)
"""


def test_tensorflow_may_be_imported_first(make_raster, tmp_path):
    pixels = np.zeros((64, 64, 1), np.uint8)
    pixels[10:40, 20:50] = 1
    mask, target = make_raster(pixels=pixels), tmp_path / "polygons.gpkg"
    said = subprocess.run(
        [sys.executable, "-c", LATE, mask, target], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr[-800:]
    assert int(said.stdout) > 0 or not sys.platform.startswith("linux")
    with closing(sqlite3.connect(target)) as file:
        tables = {name for (name,) in file.execute("select name from sqlite_master")}
    assert any(name.startswith("rtree_") for name in tables)


def test_pyogrio_may_be_imported_after_tensorflow_by_others(make_raster, tmp_path):
    pixels = np.zeros((64, 64, 1), np.uint8)
    pixels[10:40, 20:50] = 1
    mask, target = make_raster(pixels=pixels), tmp_path / "polygons.gpkg"
    script = LATE.replace("import geoseg\n", "import pyogrio\nimport geoseg\n", 1)
    said = subprocess.run(
        [sys.executable, "-c", script, mask, target], capture_output=True, text=True, check=False
    )
    assert said.returncode == 0, said.stderr[-800:]
    assert len(ogr.pyogrio.read_dataframe(target)) == 1
    with closing(sqlite3.connect(target)) as file:
        indexed = file.execute("select count(*) from sqlite_master where name like 'rtree_%'").fetchone()[0]
    assert indexed or "import geoseg before both" in said.stderr


@pytest.mark.parametrize("first", ["geoseg.synth.write", "geoseg.geo.reach_vectors"])
def test_whatever_of_ours_comes_first_brings_its_own(first, tmp_path):
    script = f"""
import sys, pathlib
sys.modules["tensorflow"] = pathlib  # that it is there is all that counts
import {first} as ours
path = pathlib.Path(sys.argv[1])
if hasattr(ours, "read_frame"):
    path.write_text('{{"type": "FeatureCollection", "features": []}}')
    ours.read_frame(path)
print("geoseg.vector.ogr" in sys.modules)
from geoseg.vector import ogr
print(ogr.LATE)
"""
    said = subprocess.check_output([sys.executable, "-c", script, tmp_path / "a.geojson"], text=True)
    assert said.split() == ["True", "False"]


def test_without_tensorflow_nothing_is_different():
    script = "from geoseg.vector import ogr; print(ogr.ALONE, ogr.pyogrio.raw.__name__)"
    assert subprocess.check_output([sys.executable, "-c", script], text=True) == "0 pyogrio.raw\n"
    assert ogr.pyogrio.raw
