"""`geoseg web`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options
from geoseg.cli.progress import bar


@click.command("web")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True,
              help=".mbtiles or a folder for masks, .pmtiles for polygons.")  # fmt: skip
@click.option("--min-zoom", type=click.IntRange(0, 30),
              help="The lowest; at which the map is a tile wide by default, 13 for polygons.")  # fmt: skip
@click.option("--max-zoom", type=click.IntRange(0, 30),
              help="The deepest; that of the masks' pixels by default, 15 for polygons.")  # fmt: skip
@options.overwrite
@options.as_json
def command(sources: tuple[Path, ...], output: Path, as_json: bool, **choices: Any) -> None:
    """Make a map for the web of SOURCE: class masks, polygons, or the folder of a run.

    \b
    geoseg web scene_mask.tif -o mask.mbtiles       # pictures, for QGIS, tile servers, phones
    geoseg web scene_mask.tif -o tiles/             # the same as tiles/z/x/y.png, for any web server
    geoseg web buildings.gpkg -o buildings.pmtiles  # vector tiles in one file, for MapLibre and QGIS
    geoseg web run/ -o city.mbtiles                 # all masks of a batch in one map

    The map is Web Mercator, its tiles have 256 pixels. Pictures have the colours of the mask; where there is
    background or no data they are transparent, and what would be empty is left out. The path of the map is
    printed to stdout.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.bulk.web import make_web_map

    with bar(output.name, "block") as progress:
        made = make_web_map(sources, output, progress=progress, **choices)
    click.echo(json.dumps({"output": str(output), **asdict(made)}) if as_json else str(output))
