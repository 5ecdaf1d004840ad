"""`geoseg train`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options
from geoseg.cli.progress import bar
from geoseg.cli.report import add_page, check_page


@click.command("train")
@click.argument("recipe", type=click.Path(path_type=Path))
@click.option("-o", "--output", type=click.Path(path_type=Path),
              help="The bundle's folder, or the variants' one; the recipe's name by default.")  # fmt: skip
@click.option("--set", "changes", type=options.Pair(), multiple=True, metavar="KEY=VALUE",
              help="Change the recipe, e.g. fit.epochs=5 or data.NAME.limit=10.")  # fmt: skip
@click.option("--variant", default="", help="Train only this variant, or tiny.")
@click.option("--resume", is_flag=True, help="Go on with what was interrupted.")
@options.report
@options.overwrite
@options.as_json
def command(recipe: Path, report: Path | None, as_json: bool, **choices: Any) -> None:
    """Train the network that RECIPE (a TOML file) describes, and write it as a model bundle.

    \b
    geoseg train pipelines/recipes/street_unet_128.toml -o models/street
    geoseg train pipelines/recipes/buildings_unetpp.toml --set fit.epochs=100 --resume
    geoseg predict scene.tif -m models/street

    A recipe with variants makes a bundle of each, and comparison.json. Scores on the held-out parts, with
    95 % intervals by tile, are printed to stdout as a Markdown table. While it trains, OUTPUT.training holds
    what --resume needs and a log for TensorBoard.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.api import train

    check_page(report, choices["overwrite"] or choices["resume"])
    with bar(recipe.stem, "batch") as progress:
        done = train(recipe, progress=progress, **choices)
    folder = Path(done[0].folder)
    add_page(folder if len(done) == 1 else folder.parent, report)
    if as_json:
        click.echo(json.dumps([asdict(one) for one in done]))
        return
    from geoseg.training.run import table

    click.echo(table(done))
