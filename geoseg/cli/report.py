"""`geoseg report`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options


def check_page(page: Path | None, overwrite: bool) -> None:
    """Refuse the page of another command, if one is wanted, before there is anything to write it about."""
    from geoseg.staging import check_absent

    check_absent([page] if page is not None else [], overwrite)


def add_page(source: Path, page: Path | None, **choices: Any) -> None:
    """Write the page of another command, if one is wanted."""
    if page is not None:
        from geoseg.report.page import write_report

        write_report(source, page, overwrite=True, **choices)


@click.command("report")
@click.argument("source", metavar="RASTER|FOLDER", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="The page; SOURCE_report.html in the current folder by default.")  # fmt: skip
@click.option("--scene", help="The image below the map; found beside a raster by its name.")
@click.option("--probabilities", type=click.Path(path_type=Path), help="Likewise the probabilities.")
@click.option("--polygons", type=click.Path(path_type=Path), help="Likewise the polygons.")
@click.option("-m", "--model", help="Whose card to show; the one that the raster names by default.")
@click.option("--no-polygons", "draw", is_flag=True, flag_value=False, default=True,
              help="Draw none where there are none.")  # fmt: skip
@options.allow_remote
@options.overwrite
@options.as_json
def command(source: Path, output: Path | None, as_json: bool, **choices: Any) -> None:
    """Write a page about a RASTER or a run's FOLDER: one HTML file to open in a browser, offline too.

    \b
    geoseg report scene_mask.tif
    geoseg report scene_mask.tif --scene scene.tif --polygons buildings.gpkg -o page.html
    geoseg report evaluation/ --scene scene.tif -o page.html
    geoseg report models/street -o page.html

    Of a class mask or probabilities it shows the scene with its classes and polygons on a map, histograms,
    settings and the model's card; of a folder of geoseg evaluate errors, scores and the worst tiles; of one
    of geoseg train curves, scores and sheets; of one of geoseg batch coverage and failures. Its path is
    printed to stdout.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.report.page import write_report

    done = write_report(source, output or Path(f"{source.resolve().stem}_report.html"), **choices)
    click.echo(json.dumps({"output": str(done)}) if as_json else str(done))
