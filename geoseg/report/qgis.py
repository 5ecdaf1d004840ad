"""Styles for QGIS: a file NAME.qml beside a layer NAME.tif or NAME.gpkg dresses it when it is opened.

The structure is that which QGIS 3 writes itself (a `pipe` with a renderer of type `paletted` for rasters, a
`renderer-v2` of type `categorizedSymbol` for vectors), without what QGIS has defaults for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from xml.etree.ElementTree import Element, SubElement, indent, tostring

VERSION = "3.22.0"  # of the oldest QGIS to read it as written
DOCTYPE = "<!DOCTYPE qgis PUBLIC 'http://mrcc.com/qgis.dtd' 'SYSTEM'>\n"
FILL_ALPHA = 110  # of 255: what is below a polygon shows through
OUTLINE_MM = "0.46"

Named = tuple[str, str]  # a class: its name and its colour as #rrggbb


def style(raster: Sequence[Named] = (), polygons: Sequence[Named] = ()) -> str:
    """The text of a style file.

    One file may serve a raster and a vector layer of the same name: QGIS reads the part that fits.

    Args:
        raster: classes of the values 1, 2, 3 … of band 1; none for no such part. 0 is left transparent.
        polygons: classes by the attribute `class`; none for no such part.
    """
    root = Element("qgis", version=VERSION, styleCategories="Symbology")
    if raster:
        _paletted(SubElement(root, "pipe"), raster)
    if polygons:
        _categorized(root, polygons)
    indent(root)
    return DOCTYPE + tostring(root, encoding="unicode") + "\n"


def _paletted(pipe: Element, classes: Iterable[Named]) -> None:
    renderer = SubElement(pipe, "rasterrenderer", type="paletted", band="1", opacity="1", alphaBand="-1",
                          nodataColor="")  # fmt: skip
    SubElement(renderer, "rasterTransparency")
    palette = SubElement(renderer, "colorPalette")
    for value, (name, color) in enumerate(classes, 1):
        SubElement(palette, "paletteEntry", value=str(value), label=name, color=color, alpha="255")


def _categorized(root: Element, classes: Sequence[Named]) -> None:
    renderer = SubElement(root, "renderer-v2", type="categorizedSymbol", attr="class", forceraster="0",
                          symbollevels="0", enableorderby="0")  # fmt: skip
    categories, symbols = SubElement(renderer, "categories"), SubElement(renderer, "symbols")
    for number, (name, color) in enumerate(classes):
        SubElement(categories, "category", value=name, label=name, symbol=str(number), type="string",
                   render="true")  # fmt: skip
        _fill(symbols, str(number), color)


def _fill(symbols: Element, name: str, color: str) -> None:
    """A translucent polygon with an outline of the same colour."""
    symbol = SubElement(symbols, "symbol", type="fill", name=name, alpha="1", clip_to_extent="1",
                        force_rhr="0")  # fmt: skip
    layer = SubElement(symbol, "layer", {"class": "SimpleFill", "enabled": "1", "pass": "0", "locked": "0"})
    red, green, blue = bytes.fromhex(color[1:])
    properties = {
        "color": f"{red},{green},{blue},{FILL_ALPHA}", "style": "solid",
        "outline_color": f"{red},{green},{blue},255", "outline_style": "solid",
        "outline_width": OUTLINE_MM, "outline_width_unit": "MM", "joinstyle": "bevel",
    }  # fmt: skip
    options = SubElement(layer, "Option", type="Map")
    for key, value in properties.items():
        SubElement(options, "Option", name=key, value=value, type="QString")
