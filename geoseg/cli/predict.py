"""`geoseg predict`."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options
from geoseg.cli.closing import show_closing
from geoseg.cli.progress import bar, quiet
from geoseg.cli.report import add_page
from geoseg.cli.targets import jobs_of, make_ready, target_of
from geoseg.errors import GeosegError

SOME_FAILED = 3
PRECISIONS = ("float32", "bfloat16", "float16", "int8")


@click.command("predict")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The mask, or a folder for many scenes."
)
@click.option(
    "-m", "--model", default="buildings-trees", show_default=True, help="A bundle's name or folder."
)
@click.option(
    "--probabilities",
    type=click.Path(path_type=Path),
    help="Write probabilities too, to this file or folder.",
)
@click.option("--polygons", type=click.Path(path_type=Path), help="Write polygons too, to this vector file.")
@options.report
@click.option("--no-quicklook", "quicklook", is_flag=True, flag_value=False, default=True,
              help="No small picture beside the mask.")  # fmt: skip
@click.option("--no-styles", "styles", is_flag=True, flag_value=False, default=True,
              help="No styles for QGIS beside mask and polygons.")  # fmt: skip
@click.option(
    "--probability-dtype", type=click.Choice(["uint8", "float32"]), default="uint8", show_default=True
)
@options.bidx
@options.nodata
@click.option("--bounds", type=float, nargs=4, metavar="L B R T",
              help="Only this box, in the scene's CRS; in degrees for map tiles, whole tiles.")  # fmt: skip
@click.option(
    "--cutline", type=click.Path(path_type=Path), help="Only inside the polygons of this vector file."
)
@options.zoom
@options.tms
@options.tile_cache
@options.allow_remote
@click.option("--patch-size", type=int, help="Pixels; as the model's card says by default.")
@click.option("--overlap", type=int, help="Pixels shared by neighbouring patches when blending.")
@click.option(
    "--stitch",
    type=click.Choice(["blend", "exact", "crop"]),
    default="blend",
    show_default=True,
    help="Blend patches, or crop them by the whole halo (exact) or one that keeps --tolerance (crop).",
)
@click.option(
    "--tolerance", type=float, default=1e-3, show_default=True,
    help="Largest error of a probability that crop may leave, by the model's halo curve.",
)  # fmt: skip
@click.option("--median-blur", type=int, help="Side of the median filter, pixels; 0 for none.")
@click.option(
    "--threshold",
    type=options.Threshold(),
    help="Probability that makes a class, of all classes or some (tree=0.2); as calibrated by default. "
    "A softmax takes the most probable one.",
)
@click.option("--res", type=options.Resolution(), default="model", show_default=True,
              help="Work at the model's pixel size, the scene's own, or a size in metres.")  # fmt: skip
@click.option("--tta", type=click.Choice(["none", "flips", "d4"]), default="none", show_default=True,
              help="Average over flipped and turned views: better, 4 or 8 times slower.")  # fmt: skip
@click.option(
    "--level", type=click.IntRange(1), help="Cut a UNet++ off at its head L1, L2 …: faster, less accurate."
)
@click.option(
    "--engine",
    type=click.Choice(["auto", *options.ENGINES]),
    default="auto",
    show_default=True,
    help="What runs the network; geoseg doctor says what auto is here.",
)
@click.option(
    "--precision",
    type=click.Choice(["auto", *PRECISIONS]),
    default="auto",
    show_default=True,
    help="What it computes in; auto is the fastest that the processor has and the model's card allows.",
)
@click.option(
    "--batch-size", type=click.IntRange(1), help="Patches per call; chosen for the device by default."
)
@click.option("--max-memory", type=options.Bytes(), default="4G", show_default=True)
@click.option(
    "--co", "creation_options", type=options.Pair(), multiple=True, help="A COG creation option of GDAL."
)
@click.option("--dry-run", is_flag=True, help="Say what would be done, and write nothing.")
@options.overwrite
@options.as_json
def command(
    scenes: tuple[str, ...], output: Path | None, probabilities: Path | None, polygons: Path | None,
    dry_run: bool, as_json: bool, creation_options: tuple[tuple[str, str], ...], **choices: Any,
) -> None:  # fmt: skip
    """Turn each SCENE into a class mask (a Cloud-Optimized GeoTIFF on the same ground).

    \b
    geoseg predict scene.tif
    geoseg predict scene.tif -o mask.tif --probabilities p.tif --no-quicklook
    geoseg predict scene.tif --polygons buildings_and_trees.gpkg
    geoseg predict scenes/*.tif -o masks/
    geoseg predict tiles/ --zoom 19 -o mask.tif
    geoseg predict 'https://host/{z}/{x}/{y}.png' --zoom 18 --bounds 85.50 27.62 85.54 27.65

    The mask holds 0 for background, 1 … n for the model's classes, 255 where the scene has no data. Its
    path is printed to stdout. MASK_quicklook.png beside it is a picture to look at, and QGIS opens mask and
    polygons in their classes' colours by the .qml files beside them. A folder of z/x/y map tiles, an
    .mbtiles file and an address of tiles are scenes too; tiles that are not there are no data.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.api import load
    from geoseg.geo.tile_search import TileChoices, as_scenes

    job_keys = ("bidx", "nodata", "bounds", "cutline", "max_memory", "overwrite", "probability_dtype",
                "quicklook", "styles", "allow_remote")  # fmt: skip
    common = {key: choices.pop(key) for key in job_keys}
    report = choices.pop("report")
    zoom, tms, cache = (choices.pop(key) for key in ("zoom", "tms", "tile_cache"))
    tiles = TileChoices(zoom, common["bounds"] or None, common["cutline"], tms, cache)
    datasets, common["bounds"] = as_scenes(scenes, tiles)
    jobs = jobs_of(datasets, output, probabilities, polygons, options=dict(creation_options), **common)
    pages = [target_of(job.scene, report, "_report.html", len(jobs) > 1) for job in jobs]
    make_ready(jobs, pages, dry_run)
    with bar(str(choices["model"])) as progress:
        progress.stage("loading the model")
        ready = load(example=jobs[0], **choices)
    failed = 0
    for job, page in zip(jobs, pages, strict=True):
        try:
            _show(_survey(job, ready) if dry_run else _predict(job, ready, page), as_json)
        except GeosegError as error:
            if len(jobs) == 1:
                raise
            failed += 1
            click.echo(f"geoseg: error: {' '.join(str(error).split())}", err=True)
    if failed:
        click.echo(f"geoseg: {failed} of {len(jobs)} scenes failed", err=True)
        sys.exit(SOME_FAILED)


def _predict(job: Any, ready: Any, page: Path | None) -> Any:
    from geoseg.prediction import predict_scene

    with bar(Path(job.scene).name) as progress:
        done = predict_scene(job, ready.bundle, ready.settings, ready.engine, progress, progress.stage)
        if page is None:
            return done
        progress.stage("writing the page")
        add_page(
            job.mask, page, scene=job.scene, probabilities=job.probabilities, polygons=job.polygons,
            model=ready.bundle.folder, allow_remote=job.allow_remote,
        )  # fmt: skip
    return replace(done, beside=(*done.beside, str(page)))


def _survey(job: Any, ready: Any) -> Any:
    from geoseg.survey import survey_scene

    return survey_scene(job, ready.bundle, ready.settings, ready.engine)


def _show(done: Any, as_json: bool) -> None:
    """The summary as JSON, or the paths written (the plan, for a dry run)."""
    table = asdict(done)
    if as_json:
        click.echo(json.dumps(table))
    elif "outputs" in table:
        if not quiet():
            show_closing(done)
        click.echo("\n".join(table["outputs"]))
    else:
        click.echo("\n".join(f"{key:>14}  {_rounded(value)}" for key, value in table.items()))


def _rounded(value: object) -> object:
    return f"{value:.3g}" if isinstance(value, float) else value
