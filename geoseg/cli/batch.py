"""`geoseg batch`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options, predict
from geoseg.cli.progress import bar
from geoseg.cli.report import add_page, check_page

OWN = ("scenes", "output", "probabilities", "polygons", "report", "quicklook", "styles", "dry_run",
       "overwrite", "as_json")  # fmt: skip
RUNNING = ("executor", "workers", "scheduler", "shard", "attempts", "resume", "overwrite", "web")
SHOWN = 20  # failures that are printed; all are in summary.json


def as_for_predict(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of `geoseg predict` that say how a scene is segmented."""
    for option in reversed([one for one in predict.command.params if one.name not in OWN]):
        command.__dict__.setdefault("__click_params__", []).append(option)
    return command


@click.command("batch")
@click.argument("sources", nargs=-1, required=True, metavar="SOURCE...")
@click.option("-o", "--output", "folder", type=click.Path(path_type=Path), required=True,
              help="The folder of the run.")  # fmt: skip
@click.option("--probabilities", is_flag=True, help="Write probabilities too.")
@click.option("--polygons", is_flag=True, help="Write polygons too.")
@options.report
@click.option("--vector-format", type=click.Choice(["gpkg", "geojson", "fgb", "parquet"]),
              help="Of the polygons; gpkg, or parquet for --layout chunks.")  # fmt: skip
@click.option("--executor", type=click.Choice(["serial", "processes", "dask"]), default="serial",
              show_default=True, help="This process, some of its own, or Dask.")  # fmt: skip
@click.option("--workers", type=click.IntRange(1), help="Processes on this machine, which share its cores.")
@click.option("--scheduler", help="Address of a Dask scheduler, e.g. tcp://host:8786; else one is started.")
@click.option("--resource", "resources", type=options.Pair(), multiple=True,
              help="What a Dask worker must declare to run networks, e.g. GPU=1.")  # fmt: skip
@click.option("--shard", metavar="I/N", help="Only every N-th job from the I-th on: for job arrays.")
@click.option("--attempts", type=click.IntRange(1), default=3, show_default=True, help="Tries for a job.")
@click.option("--chunk", type=click.IntRange(1), default=4096, show_default=True,
              help="About the side of a job's piece of a scene, pixels.")  # fmt: skip
@click.option("--layout", type=click.Choice(["whole", "chunks"]), default="whole", show_default=True,
              help="One file a scene, or its chunks with a VRT over them.")  # fmt: skip
@click.option("--web", multiple=True, type=click.Choice(["mbtiles", "tiles", "pmtiles"]),
              help="Maps of all scenes when all are done, in web/; see geoseg web.")  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with the run in the folder.")
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@options.overwrite
@options.as_json
@as_for_predict
def command(
    sources: tuple[str, ...], folder: Path, dry_run: bool, as_json: bool, polygons: bool,
    vector_format: str | None, report: Path | None, resources: tuple[tuple[str, str], ...],
    creation_options: tuple[tuple[str, str], ...], **choices: Any,
) -> None:  # fmt: skip
    """Segment every SOURCE: a file, a folder, a glob, a .txt or .csv list, map tiles, or a name of GDAL's.

    \b
    geoseg batch scenes/ -o masks/
    geoseg batch 'scenes/*.tif' https://host/city.tif -o out/ --polygons --executor processes
    geoseg batch country.vrt -o out/ --layout chunks --scheduler tcp://head:8786 --executor dask
    geoseg batch 'https://host/{z}/{x}/{y}.png' --zoom 18 --cutline city.geojson -o city/
    geoseg batch scenes/ -o masks/ --resume

    Large scenes are cut into chunks and joined again: outputs equal those of `geoseg predict`. The folder
    holds NAME_mask.tif and so on, and the account in summary.json, whose path is printed to stdout. What
    fails is tried again, then listed; the rest goes on. --max-memory is for each worker.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    running = {name: choices.pop(name) for name in RUNNING}
    wanted = choices | {
        "polygons": (vector_format or True) if polygons else None,
        "options": dict(creation_options), "bounds": choices["bounds"] or None,
    }  # fmt: skip
    if dry_run:
        _show(_estimate(sources, folder, wanted), as_json)
        return
    check_page(report, running["overwrite"] or running["resume"])
    done = _run(sources, folder, {**running, **wanted, "resources": _numbers(resources)})
    add_page(folder, report)
    _end(done, as_json)


def _numbers(resources: tuple[tuple[str, str], ...]) -> dict[str, float]:
    try:
        return {name: float(amount) for name, amount in resources}
    except ValueError as error:
        raise click.BadParameter(f"an amount is a number: {error}", param_hint="--resource") from error


def _estimate(sources: tuple[str, ...], folder: Path, wanted: dict[str, Any]) -> dict[str, Any]:
    from geoseg.bulk.request import estimate, prepare

    return asdict(estimate(prepare(sources, folder, **wanted)))


def _run(sources: tuple[str, ...], folder: Path, wanted: dict[str, Any]) -> Any:
    from geoseg.api import batch

    with bar(folder.name, smoothing=0) as progress:  # jobs end in bursts
        return batch(sources, folder, progress=progress, **wanted)


def _show(table: dict[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(table))
    else:
        click.echo("\n".join(f"{key:>14}  {_rounded(value)}" for key, value in table.items()))


def _rounded(value: object) -> object:
    return f"{value:.3g}" if isinstance(value, float) else value


def _end(done: Any, as_json: bool) -> None:
    """The account on stdout, failures on stderr and in the exit code."""
    click.echo(json.dumps(asdict(done)) if as_json else done.path)
    for failed in done.failures[:SHOWN]:
        click.echo(f"geoseg: error: {failed['job']}: {failed['error']}", err=True)
    if not done.complete:
        click.echo(f"geoseg: {len(done.failures)} of {done.planned} jobs failed; see {done.path}", err=True)
        sys.exit(predict.SOME_FAILED)
