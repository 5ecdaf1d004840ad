"""The bar: on a terminal it shows rate, time left and stage; elsewhere nothing."""

import io
import sys

import click
import pytest

from geoseg.cli.progress import bar


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self):
        return True


def shown(monkeypatch, work, *, terminal=True, quiet=False):
    """What a command that does `work(progress)` writes to stderr."""
    stream = Terminal() if terminal else io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr("tqdm.std.tqdm.monitor_interval", 0)

    def run():
        with bar("scene.tif") as progress:
            work(progress)

    with click.Context(click.Command("x"), obj={"quiet": quiet}):
        run()
    return stream.getvalue()


def work(progress):
    progress.stage("segmenting")
    for _ in range(4):
        progress(250_000, 1_000_000)
    progress.stage("writing rasters")


def test_stage_share_and_rate_are_shown(monkeypatch):
    said = shown(monkeypatch, work)
    assert "scene.tif: segmenting" in said
    last = said.split("\r")[-3:]
    assert any("writing rasters: 100%" in line and "1.00M/1.00M" in line and "px/s" in line for line in last)


def test_before_the_first_pixel_only_the_stage_is_shown(monkeypatch):
    said = shown(monkeypatch, lambda progress: progress.stage("loading the model"))
    assert "scene.tif: loading the model" in said
    assert "px" not in said


@pytest.mark.parametrize("how", [dict(terminal=False), dict(quiet=True)], ids=str)
def test_nothing_is_shown_elsewhere(monkeypatch, how):
    assert shown(monkeypatch, work, **how) == ""
