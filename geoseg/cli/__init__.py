"""The command line: options, call, print. No arithmetic, and no heavy import before a command runs."""

from __future__ import annotations

import logging
import signal
import sys
from types import FrameType
from typing import Any

import click

import geoseg
from geoseg.cli import batch, doctor, evaluate, model, predict, synth, tile, train, vectorize, web
from geoseg.errors import GeosegError

INTERRUPTED = 130


class Commands(click.Group):
    """A group that ends on a `GeosegError` with one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().invoke(ctx)
        except GeosegError as error:
            click.echo(f"geoseg: error: {' '.join(str(error).split())}", err=True)
            sys.exit(1)
        except KeyboardInterrupt:
            click.echo("geoseg: interrupted; no unfinished output was left", err=True)
            sys.exit(INTERRUPTED)


def _log_to_stderr(level: int) -> None:
    """Messages of geoseg alone: what GDAL mutters about a damaged file is in the error that follows."""
    for number, name in ((logging.WARNING, "warning"), (logging.INFO, "info"), (logging.DEBUG, "debug")):
        logging.addLevelName(number, name)
    logging.basicConfig(
        stream=sys.stderr, format="geoseg: %(levelname)s: %(message)s", level=logging.CRITICAL
    )
    logging.getLogger("geoseg").setLevel(level)


def _terminate(signum: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", count=True, help="Say more (twice: everything).")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors; no progress bar.")
@click.version_option(geoseg.__version__)
@click.pass_context
def main(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """GeoTIFFs of any size in, seam-free building and tree masks and clean polygons out.

    Results go to stdout, messages to stderr. Exit codes: 0 done, 1 an error in one line, 2 wrong usage,
    3 some of many scenes failed.
    """
    level = logging.ERROR if quiet else (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbose, 2)]
    _log_to_stderr(level)
    ctx.obj = {"quiet": quiet}


for command in (
    predict.command,
    batch.command,
    vectorize.command,
    web.command,
    tile.command,
    train.command,
    evaluate.command,
    model.group,
    doctor.command,
    synth.command,
):
    main.add_command(command)
