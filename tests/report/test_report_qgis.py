"""Styles have the structure that QGIS writes; where QGIS is installed, it opens layers with them."""

import json
import shutil
import subprocess
from xml.etree import ElementTree

import geopandas
import numpy as np
import pytest
from conftest import write_raster
from shapely.geometry import box

from geoseg.report.qgis import style

CLASSES = [("building", "#e4572e"), ('tree & "bush" <b>', "#2e9e4f")]

ASK = """
import json, os, sys
from qgis.core import QgsApplication, QgsRasterLayer, QgsVectorLayer
app = QgsApplication([], False)
app.initQgis()
mask = QgsRasterLayer(sys.argv[1], "mask")
said = {"mask": [[c.value, c.label, c.color.name(), c.color.alpha()] for c in mask.renderer().classes()]}
layers = [QgsVectorLayer(path, "polygons", "ogr") for path in sys.argv[2:]]
for path, layer in zip(sys.argv[2:], layers):
    renderer = layer.renderer()
    said[path] = [renderer.type(), renderer.classAttribute(), [
        [c.value(), c.label(), c.symbol().color().name(), c.symbol().symbolLayer(0).strokeColor().name()]
        for c in renderer.categories()
    ]]
print("SAID", json.dumps(said), flush=True)
os._exit(0)
"""


def test_a_mask_has_a_palette_with_names():
    root = ElementTree.fromstring(style(raster=CLASSES))
    assert (root.tag, root.get("styleCategories")) == ("qgis", "Symbology")
    renderer = root.find("pipe/rasterrenderer")
    assert (renderer.get("type"), renderer.get("band")) == ("paletted", "1")
    entries = [dict(entry.attrib) for entry in renderer.findall("colorPalette/paletteEntry")]
    assert entries == [
        {"value": str(value), "label": name, "color": color, "alpha": "255"}
        for value, (name, color) in enumerate(CLASSES, 1)
    ]
    assert root.find("renderer-v2") is None


def test_polygons_have_a_symbol_for_each_class():
    root = ElementTree.fromstring(style(polygons=CLASSES))
    renderer = root.find("renderer-v2")
    assert (renderer.get("type"), renderer.get("attr")) == ("categorizedSymbol", "class")
    symbols = {symbol.get("name"): symbol for symbol in renderer.findall("symbols/symbol")}
    for category, (name, color) in zip(renderer.findall("categories/category"), CLASSES, strict=True):
        assert (category.get("value"), category.get("label")) == (name, name)
        options = symbols[category.get("symbol")].findall("layer[@class='SimpleFill']/Option/Option")
        values = {option.get("name"): option.get("value") for option in options}
        rgb = ",".join(map(str, bytes.fromhex(color[1:])))
        assert values["outline_color"] == f"{rgb},255"
        assert values["color"].startswith(f"{rgb},")
    assert root.find("pipe") is None


def test_one_file_serves_both():
    root = ElementTree.fromstring(style(CLASSES, CLASSES))
    assert [child.tag for child in root] == ["pipe", "renderer-v2"]


def qgis_python():
    """An interpreter that has QGIS: the system's own, usually."""
    for python in dict.fromkeys(filter(None, map(shutil.which, ("/usr/bin/python3", "python3")))):
        if not subprocess.run([python, "-c", "import qgis.core"], capture_output=True).returncode:
            return python
    pytest.skip("there is no QGIS with Python (Debian: python3-qgis) to open the styles with")


def test_qgis_opens_layers_in_their_colours(tmp_path):
    python = qgis_python()
    write_raster(tmp_path / "same.tif", np.ones((20, 30, 1), np.uint8), nodata=255)
    polygons = geopandas.GeoDataFrame(
        {"class": [name for name, _ in CLASSES]}, geometry=[box(0, 0, 1, 1), box(2, 0, 3, 1)], crs="EPSG:4326"
    )
    paths = [tmp_path / name for name in ("same.gpkg", "other.fgb", "third.geojson")]
    for path in paths:
        polygons.to_file(path)
    (tmp_path / "same.qml").write_text(style(CLASSES, CLASSES), encoding="utf-8")
    for path in paths[1:]:
        path.with_suffix(".qml").write_text(style((), CLASSES), encoding="utf-8")
    done = subprocess.run(
        [python, "-c", ASK, tmp_path / "same.tif", *paths], capture_output=True, text=True, check=False,
        env={"QT_QPA_PLATFORM": "offscreen", "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    said = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("SAID"))[5:])
    assert said.pop("mask") == [[k, name, color, 255] for k, (name, color) in enumerate(CLASSES, 1)]
    assert said == {
        str(path): ["categorizedSymbol", "class", [[name, name, color, color] for name, color in CLASSES]]
        for path in paths
    }
