"""The command line: options, call, print. No arithmetic, and no heavy import before a command runs."""

from __future__ import annotations

import errno
import logging
import os
import sys
import warnings
from functools import cache
from typing import Any, NoReturn

import click

import geoseg
from geoseg.cli import (
    batch,
    check,
    completion,
    doctor,
    evaluate,
    model,
    predict,
    report,
    synth,
    tile,
    train,
    vectorize,
    web,
)
from geoseg.errors import GeosegError
from geoseg.staging import discard
from geoseg.stopping import stoppable

INTERRUPTED = 130
# what it is called for threads, for libraries, and by OpenCV
NO_MEMORY = ("can't start new thread", "failed to map segment", "Insufficient memory")
STARVED = "there is not enough memory; give a smaller --max-memory or --batch-size, or free some"
SOON = 0.7  # seconds from a signal to the end


class Commands(click.Group):
    """A group that ends on a `GeosegError` with one line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            with stoppable(SOON, _end):
                return super().invoke(ctx)
        except GeosegError as error:
            _fail(str(error))
        except MemoryError:
            _fail(STARVED)
        except OSError as error:
            if error.errno in (None, errno.EPIPE):  # not the system's; a reader that has seen enough
                raise
            _fail(f"{error}; mend that and run it again")
        except Exception as error:
            if not any(word in str(error) for word in NO_MEMORY):
                raise
            _fail(STARVED)
        except KeyboardInterrupt:
            discard()
            _say_interrupted()
            sys.exit(INTERRUPTED)


def _fail(reason: str) -> NoReturn:
    click.echo(f"geoseg: error: {' '.join(reason.split())}", err=True)
    sys.exit(1)


@cache  # what a second thread has to say is known by then
def _say_interrupted() -> None:
    click.echo("geoseg: interrupted; no unfinished output was left", err=True)


def _end() -> None:
    """Do not wait for what cannot be interrupted."""
    _say_interrupted()
    os._exit(INTERRUPTED)


def _mutter(lost: Any) -> None:
    """Take what goes wrong in callbacks of native libraries, such as a message of GDAL's that is no UTF-8."""
    logging.getLogger("geoseg").debug("%s in %s", lost.exc_value, lost.object)


def _report(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    """The usual report of an error that ends the program; not that of a callback, which Cython makes too."""
    if trace is not None and trace.tb_frame.f_back is None:
        sys.__excepthook__(kind, error, trace)


def _log_to_stderr(level: int) -> None:
    """Messages of geoseg alone: what GDAL mutters about a damaged file is in the error that follows."""
    for number, name in ((logging.WARNING, "warning"), (logging.INFO, "info"), (logging.DEBUG, "debug")):
        logging.addLevelName(number, name)
    for kind in (UserWarning, RuntimeWarning, FutureWarning):
        warnings.simplefilter("ignore", kind)  # libraries' words about files
    # a process of Python's own tidies up after `_end`, and would say so
    sys.warnoptions.append("ignore:resource_tracker:UserWarning")
    sys.unraisablehook, sys.excepthook = _mutter, _report
    logging.basicConfig(
        stream=sys.stderr, format="geoseg: %(levelname)s: %(message)s", level=logging.CRITICAL
    )
    logging.getLogger("geoseg").setLevel(level)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("-v", "--verbose", count=True, help="Say more (twice: everything).")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing but errors; no progress bar.")
@click.version_option(geoseg.__version__)
@click.pass_context
def main(ctx: click.Context, verbose: int, quiet: bool) -> None:
    """GeoTIFFs of any size in, seam-free building and tree masks and clean polygons out.

    \b
    geoseg predict scene.tif --polygons buildings_and_trees.gpkg
    geoseg batch scenes/ -o masks/
    geoseg COMMAND --help                # examples of each command

    Results go to stdout, messages to stderr. Exit codes: 0 done, 1 an error in one line, 2 wrong usage,
    3 some of many scenes failed.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
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
    report.command,
    check.group,
    model.group,
    doctor.command,
    synth.command,
    completion.command,
):
    main.add_command(command)
