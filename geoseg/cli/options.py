"""Text to values, at the edge."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

ENGINES = ("tensorflow", "openvino", "onnx")
UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


class Bytes(click.ParamType[Any]):
    """`2G`, `1500M` or a number of bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Bytes."""
        if isinstance(value, int):
            return value
        match = re.fullmatch(r"(\d+(?:\.\d+)?)([KMGT]?)(?:i?B)?", value.strip(), re.IGNORECASE)
        if not match:
            self.fail(f"{value!r} is no size; write e.g. 2G or 1500M", param, ctx)
        return int(float(match[1]) * UNITS[match[2].upper()])


class Bands(click.ParamType[Any]):
    """`3,2,1`."""

    name = "bands"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[int, ...]:
        """Band numbers, from 1."""
        if isinstance(value, tuple):
            return value
        if not re.fullmatch(r"\d+(,\d+)*", value):
            self.fail(f"{value!r} is no list of band numbers; write e.g. 3,2,1", param, ctx)
        return tuple(int(number) for number in value.split(","))


class Resolution(click.ParamType[Any]):
    """`model`, `native` or metres."""

    name = "model|native|metres"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str | float:
        """A word or metres."""
        if value in ("model", "native") or isinstance(value, float):
            return value  # type: ignore[no-any-return]
        try:
            metres = float(value)
        except ValueError:
            metres = 0.0
        if not 0 < metres < float("inf"):
            self.fail(f"{value!r} is neither model, native nor a pixel size in metres", param, ctx)
        return metres


class Threshold(click.ParamType[Any]):
    """`0.3` for all classes, or `tree=0.2,building=0.5` for some."""

    name = "number|class=number,…"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | dict[str, float]:
        """A probability, or probabilities by the names of classes."""
        chance: click.ParamType[float] = click.FloatRange(0, 1)
        if not isinstance(value, str) or "=" not in value:
            return value if isinstance(value, dict) else chance.convert(value, param, ctx)
        pairs = [Pair().convert(text.strip(), param, ctx) for text in value.split(",")]
        return {name: chance.convert(number, param, ctx) for name, number in pairs}


class Pair(click.ParamType[Any]):
    """`NAME=VALUE`."""

    name = "name=value"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> tuple[str, str]:
        """(name, value)."""
        if isinstance(value, tuple):
            return value
        name, equals, text = value.partition("=")
        if not (name and equals):
            self.fail(f"{value!r} is not of the form NAME=VALUE", param, ctx)
        return name, text


bidx = click.option("-b", "--bidx", type=Bands(), help="Band numbers to use, e.g. 3,2,1.")
nodata = click.option("--nodata", type=float, help="A value that means no data, beside the file's own.")
zoom = click.option("--zoom", type=click.IntRange(0, 30), help="Of map tiles; the deepest by default.")
tms = click.option("--tms", is_flag=True, help="Rows of map tiles count from the south.")
tile_cache = click.option(
    "--tile-cache", type=click.Path(path_type=Path), help="Keep fetched map tiles in this folder."
)
allow_remote = click.option(
    "--allow-remote", is_flag=True, help="Follow addresses that only a file's content or a list names."
)
report = click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write a page about it too, to this HTML file; see geoseg report.",
)
overwrite = click.option("--overwrite", is_flag=True, help="Replace outputs that exist.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print a machine-readable summary.")
