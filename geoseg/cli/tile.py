"""`geoseg tile`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options
from geoseg.cli.progress import bar


@click.command("tile")
@click.argument("scene")
@click.option(
    "-o", "--output", "folder", type=click.Path(path_type=Path), required=True, help="The folder to make."
)
@click.option("--patch-size", type=click.IntRange(1), default=256, show_default=True)
@click.option("--overlap", type=click.IntRange(0), default=0, show_default=True)
@click.option("--median-blur", "median_kernel", type=int, default=5, show_default=True,
              help="Side of the median filter, pixels; 0 for none.")  # fmt: skip
@click.option("--format", type=click.Choice(["tif", "png"]), default="tif", show_default=True)
@click.option("--labels", type=click.Path(path_type=Path), help="A raster or vector file to cut along.")
@options.bidx
@options.nodata
@options.overwrite
@options.as_json
def command(scene: str, folder: Path, as_json: bool, **choices: Any) -> None:
    """Cut SCENE into patches for training, with an index.

    \b
    geoseg tile scene.tif -o patches/ --labels buildings.gpkg

    The folder holds images/, labels/ and index.parquet (GeoParquet with each patch's place). Pixels are
    filtered with context, so that neighbouring patches fit together.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.geo.tiling import TileJob, cut_tiles

    with bar(Path(scene).name, "patch") as progress:
        count = cut_tiles(TileJob(scene, folder, **choices), progress)
    click.echo(json.dumps({"folder": str(folder), "patches": count}) if as_json else str(folder))
