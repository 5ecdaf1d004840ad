"""`geoseg check seams`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options
from geoseg.cli.progress import bar


@click.group("check")
def group() -> None:
    """Check results without knowing the truth.

    \b
    geoseg check seams scene_mask.tif
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is


@group.command("seams")
@click.argument("raster")
@click.option("--patch-size", type=click.IntRange(1), help="Pixels; as the raster's tags say by default, "
              "and so with the next three.")  # fmt: skip
@click.option("--overlap", type=click.IntRange(0), help="Pixels shared by neighbouring patches.")
@click.option("--stride", type=click.IntRange(1), help="Of the network, pixels: joints are compared with "
              "lines this far apart; 16 where nothing is known.")  # fmt: skip
@click.option("--origin", type=int, nargs=2, metavar="ROW COL", help="The corner of a patch, pixels.")
@click.option("--kind", type=click.Choice(["mask", "probability"]),
              help="Whether pixels are classes or quantities; found out by default.")  # fmt: skip
@click.option("--band", help="Take only this band, by name or number.")
@options.as_json
def seams(raster: str, as_json: bool, **choices: Any) -> None:
    """Measure whether RASTER has seams along the grid of patches it was made of.

    \b
    geoseg check seams scene_mask.tif
    geoseg check seams probabilities.tif --json
    geoseg check seams other_program.tif --patch-size 512 --overlap 0

    A jump is the difference of neighbouring pixels: the share that change their class, or the mean difference
    of a quantity. The ratio says how much larger jumps are across the joints of patches than across other
    lines nearby: 1 means no seams. The p-value says how often a grid moved at random has jumps as large: a
    small one, say below 0.01, means that the ratio is no accident.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.evaluation.seams import check_seams

    with bar(Path(raster).name, "row") as progress:
        found = check_seams(raster, progress=progress, **choices)
    click.echo(json.dumps(asdict(found)) if as_json else found.table())
