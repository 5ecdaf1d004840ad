"""`geoseg vectorize`."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options
from geoseg.errors import OutputError

SHAPING = ("profile", "min_area_m2", "max_hole_m2", "simplify_m", "regularize", "simplify")


@click.command("vectorize")
@click.argument("raster")
@click.option(
    "-o", "--output", default=None, help="The vector file; the extension is the format; - for stdout."
)
@click.option(
    "--class", "class_name", help="Take only this class, by name or number; all but background by default."
)
@click.option("--band", help="Take only this band, by name or number.")
@click.option(
    "--threshold",
    type=options.Threshold(),
    help="Probability that makes a class, of all classes or some (tree=0.2); by default as calibrated, or "
    "the most probable class of a softmax.",
)
@click.option("--nodata", type=float, help="The value of pixels without data, instead of the raster's own.")
@click.option(
    "--profile",
    type=click.Choice(["building", "tree", "generic"]),
    help="How polygons are drawn; as the model's card says by default, else by the class's name.",
)
@click.option("--min-area", "min_area_m2", type=click.FloatRange(0), help="Leave out smaller polygons, m².")
@click.option(
    "--max-hole", "max_hole_m2", type=click.FloatRange(0), default=0.0, help="Fill smaller holes, m²."
)
@click.option(
    "--simplify", "simplify_m", type=click.FloatRange(0), help="How far sides may lie from the border, m."
)
@click.option(
    "--no-regularize", "regularize", is_flag=True, flag_value=False, default=True, help="No straight walls."
)
@click.option(
    "--no-simplify",
    "simplify",
    is_flag=True,
    flag_value=False,
    default=True,
    help="Keep the sides of pixels.",
)
@click.option("--no-styles", "styles", is_flag=True, flag_value=False, default=True,
              help="No style for QGIS beside the polygons.")  # fmt: skip
@options.allow_remote
@options.overwrite
@options.as_json
def command(raster: str, output: str | None, styles: bool, as_json: bool, **choices: Any) -> None:
    """Turn RASTER (a class mask or probabilities) into polygons with areas in true square metres.

    \b
    geoseg vectorize scene_mask.tif -o buildings.geojson --class building
    geoseg vectorize probabilities.tif -o polygons.gpkg

    GeoJSON is in WGS 84 as RFC 7946 asks; .gpkg, .fgb and .parquet keep the raster's CRS. The path of the
    file is printed to stdout. QGIS opens polygons of geoseg's rasters in their classes' colours by the .qml
    file beside them.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.beside import polygon_style
    from geoseg.polygons import Shaping, vectorize

    if output is None:
        output = f"{Path(raster).stem}.geojson"
    if output == "-" and as_json:
        raise OutputError("polygons and --json would both go to stdout; give -o a file name")
    shaping = Shaping(**{name: choices.pop(name) for name in SHAPING})
    dressed = styles and output != "-"
    sure = choices["overwrite"], choices["allow_remote"]
    with polygon_style(raster, Path(output), *sure) if dressed else nullcontext():
        done = vectorize(raster, output, shaping=shaping, **choices)
    if as_json:
        click.echo(json.dumps(asdict(done)))
    elif output != "-":
        click.echo(done.output)
    sys.stdout.flush()
