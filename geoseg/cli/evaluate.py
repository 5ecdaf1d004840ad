"""`geoseg evaluate`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from geoseg.cli import options
from geoseg.cli.progress import bar
from geoseg.cli.report import add_page, check_page


class Names(click.ParamType[Any]):
    """`255=building,0=background`."""

    name = "value=class,…"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> dict[str, str]:
        """Value to name of a class."""
        if isinstance(value, dict):
            return value
        pairs = [part.partition("=") for part in value.split(",")]
        if not all(key.strip() and name.strip() for key, _, name in pairs):
            self.fail(f"{value!r} is not of the form 255=building,0=background", param, ctx)
        return {key.strip(): name.strip() for key, _, name in pairs}


@contextmanager
def _folder(output: Path | None, report: Path | None) -> Iterator[Path | None]:
    """Where the files go: those that only a page is made of go away again."""
    if output is not None or report is None:
        yield output
        return
    with TemporaryDirectory() as aside:
        yield Path(aside)


@click.command("evaluate")
@click.argument("prediction")
@click.argument("truth")
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="A folder for the error map, the confusion matrix and scores.json.")  # fmt: skip
@options.report
@click.option("--class", "class_name", help="Compare only this class.")
@click.option("--threshold", type=options.Threshold(),
              help="Probability that makes a class of the prediction, of all classes or some (tree=0.2); "
              "as calibrated by default.")  # fmt: skip
@click.option("--nodata", type=float, help="The value of pixels without data, instead of the rasters' own.")
@click.option("--labels", type=Names(), default={}, help="Classes of the prediction's numbers.")
@click.option("--truth-labels", type=Names(), default={},
              help="Classes of the truth's numbers, e.g. 255=building,0=background,7=ignore.")  # fmt: skip
@click.option("--class-field", help="Attribute with the class of a polygon; class where there is one.")
@click.option("--block", type=click.IntRange(1), default=256, show_default=True,
              help="Side of the blocks of the statistical tests and intervals, px.")  # fmt: skip
@click.option("--tolerance", type=click.FloatRange(0), default=3.0, show_default=True,
              help="How far apart boundary pixels may be, px.")  # fmt: skip
@click.option("--tolerance-m", type=click.FloatRange(0), help="The same in metres, instead.")
@click.option("--radius", "radius_m", type=click.FloatRange(0), default=0.0, show_default=True,
              help="How far from a tree point its mark may be, m.")  # fmt: skip
@click.option("--iou", "least_iou", type=click.FloatRange(0, 1, min_open=True), default=0.5,
              show_default=True, help="IoU from which polygons match.")  # fmt: skip
@click.option("--res", "res_m", type=click.FloatRange(0, min_open=True),
              help="Pixel size of the grid for two vector files, m.")  # fmt: skip
@click.option("--bounds", type=float, nargs=4, metavar="L B R T", help="Only this box, in the grid's CRS.")
@click.option("--image", help="Which points of a CSV are meant; found by the prediction's name.")
@options.overwrite
@options.as_json
def command(
    prediction: str, truth: str, output: Path | None, report: Path | None, as_json: bool, **choices: Any
) -> None:
    """Compare PREDICTION with TRUTH: masks, probabilities or polygons, and tree points as the truth.

    \b
    geoseg evaluate scene_mask.tif truth.tif --class building
    geoseg evaluate mask.tif truth.png --truth-labels 255=building,0=background -o report/
    geoseg evaluate buildings.gpkg osm.geojson
    geoseg evaluate scene_mask.tif trees.csv --radius 1

    They are brought onto the prediction's grid (the truth's, if only that is a raster); what has no data on
    either side is left out. The scores are printed to stdout.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.evaluation.run import evaluate

    check_page(report, choices["overwrite"])
    with bar(Path(prediction).name) as progress, _folder(output, report) as folder:
        found = evaluate(prediction, truth, folder, progress=progress, **choices)
        if folder is not None and report is not None:
            add_page(folder, report)
            found = replace(found, outputs=(*(found.outputs if output else ()), str(report)))
    click.echo(json.dumps(found.to_dict()) if as_json else found.table())
