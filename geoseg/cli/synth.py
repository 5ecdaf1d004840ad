"""`geoseg synth`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geoseg.cli import options


@click.command("synth")
@click.option(
    "-o",
    "--output",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="A folder; made if absent.",
)
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How many scenes.")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first; the next count up."
)
@click.option("--size", type=int, nargs=2, default=(1024, 1024), show_default=True, metavar="HEIGHT WIDTH")
@click.option(
    "--pixel-size", "pixel_size_m", type=float, default=0.3, show_default=True, help="Metres, 0.1 to 1."
)
@click.option("--style", default="suburb", show_default=True, help="suburb, town or rural.")
@click.option("--crs", default="EPSG:32611", show_default=True)
@options.overwrite
@options.as_json
def command(
    folder: Path, count: int, seed: int, size: tuple[int, int], pixel_size_m: float, style: str, crs: str,
    overwrite: bool, as_json: bool,
) -> None:  # fmt: skip
    """Draw procedural scenes with their true buildings and trees.

    \b
    geoseg synth -o scenes/ --count 4 --style town --pixel-size 0.5

    Each scene is STYLE_SEED.tif, with its class mask and its true polygons beside it.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.synth import SceneSpec, synthesize
    from geoseg.synth.write import write_scene

    specs = [SceneSpec(number, *size, pixel_size_m, style) for number in range(seed, seed + count)]
    folder.mkdir(parents=True, exist_ok=True)
    for spec in specs:
        name = folder / f"{spec.style}_{spec.seed}.tif"
        paths = [str(path) for path in write_scene(synthesize(spec), name, crs=crs, overwrite=overwrite)]
        click.echo(json.dumps({"seed": spec.seed, "outputs": paths}) if as_json else "\n".join(paths))
