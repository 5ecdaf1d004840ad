"""Write the reference pages from docstrings and `--help`: `python docs/make_reference.py`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import click

import geoseg
from geoseg.cli import main as command_line
from geoseg.recipe.recipe import Recipe

FOLDER = Path(__file__).parent
WIDTH = 100
SECTION = re.compile(r"^(Args|Attributes|Returns|Yields|Raises):$", re.MULTILINE)
SAID = {"Args": "Arguments"}

PARTS = {
    "Models, settings and engines": (
        "geoseg.api.load", "geoseg.api.Loaded", "geoseg.models.bundle.find_bundle",
        "geoseg.models.bundle.shipped", "geoseg.models.bundle.Bundle", "geoseg.models.bundle.save_bundle",
        "geoseg.models.card.Card", "geoseg.models.card.ClassSpec", "geoseg.settings.Settings",
        "geoseg.settings.resolve", "geoseg.runtime.choose.choose", "geoseg.runtime.choose.load_engine",
        "geoseg.runtime.engine.Engine",
    ),
    "Seams": ("geoseg.evaluation.seams.check_seams", "geoseg.evaluation.seams.Seams"),
    "Options": (
        "geoseg.evaluation.options.Options", "geoseg.geo.tiling.TileJob", "geoseg.vector.shaping.Shaping",
        "geoseg.bulk.web.make_web_map",
    ),
    "Results": (
        "geoseg.prediction.Result", "geoseg.bulk.summary.Summary", "geoseg.evaluation.result.Evaluation",
        "geoseg.evaluation.result.ClassScores", "geoseg.evaluation.result.ObjectScores",
        "geoseg.evaluation.result.PointScores", "geoseg.training.run.Trained",
    ),
    "Scenes, patches and stitching": (
        "geoseg.geo.scene.open_scene", "geoseg.geo.scene.Scene", "geoseg.core.window.Window",
        "geoseg.core.grid.Grid", "geoseg.core.patches.read_patches", "geoseg.core.filters.median_blur",
        "geoseg.pipeline.segment", "geoseg.geo.mosaic.cog",
    ),
    "Networks": (
        "geoseg.models.unet.build_unet", "geoseg.models.unetpp.build_unetpp",
        "geoseg.models.segnet.build_segnet", "geoseg.models.mobilenet_unet.build_mobilenet_unet",
        "geoseg.models.footprint.footprint",
    ),
    "Procedural scenes": (
        "geoseg.synth.SceneSpec", "geoseg.synth.synthesize", "geoseg.synth.write.write_scene",
    ),
}  # fmt: skip


def main() -> None:
    """Write every page."""
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def pages() -> dict[str, str]:
    """The text of each page by its file's name."""
    return {"api.md": _page(_api()), "commands.md": _page(_commands()), "recipe.md": _page(_recipe())}


def _page(parts: Iterator[str]) -> str:
    return "\n\n".join(parts) + "\n"


def _api() -> Iterator[str]:
    yield "# Python"
    yield (
        "Written by `docs/make_reference.py` from docstrings. The names of the first section are there after "
        "`import geoseg`; all others are imported from the module that their heading names. Arrays are "
        "(rows, columns, bands)."
    )
    yield "## geoseg"
    for name in geoseg.__all__:
        if name != "GeosegError":
            yield from _entry(f"geoseg.{name}")
    for title, names in PARTS.items():
        yield f"## {title}"
        for name in names:
            yield from _entry(name)
    yield "## Errors"
    yield f"```text\n{inspect.getdoc(import_module('geoseg.errors'))}\n```"


def _entry(path: str) -> Iterator[str]:
    """A heading, the signature, and the docstring."""
    module, _, name = path.rpartition(".")
    found = getattr(import_module(module), name)
    yield f"### {path}"
    yield f"```text\n{_signature(name, found)}\n```"
    yield from _docstring(inspect.getdoc(found) or "")
    if inspect.isclass(found) and (lines := list(_methods(found))):
        yield "\n".join(lines)


def _methods(found: type) -> Iterator[str]:
    """One line for each public method and property."""
    for name, method in vars(found).items():
        if not name.startswith("_") and (callable(method) or isinstance(method, property)):
            first = (inspect.getdoc(method) or "").split("\n\n")[0].replace("\n", " ")
            yield f"- `{name}{_call(method)}`: {first}"


def _call(method: Any) -> str:
    """What is written after the name of a method; nothing after that of a property."""
    return "" if isinstance(method, property) else _signature("", inspect.unwrap(method), oneline=True)


def _signature(name: str, found: Any, oneline: bool = False) -> str:
    if getattr(found, "_is_protocol", False):
        return name
    given = inspect.signature(found)
    shown, star = [], False
    for one in given.parameters.values():
        star |= one.kind is one.VAR_POSITIONAL
        if one.kind is one.KEYWORD_ONLY and not star:
            shown.append("*")
            star = True
        if one.name != "self":
            shown.append(_parameter(one))
    end = "" if given.return_annotation in (inspect.Signature.empty, None, "None") else f" -> {_type(given)}"
    flat = f"{name}({', '.join(shown)}){end}"
    if oneline or len(flat) <= WIDTH:
        return flat
    return f"{name}(\n" + "".join(f"    {one},\n" for one in shown) + f"){end}"


def _parameter(one: inspect.Parameter) -> str:
    stars = {one.VAR_POSITIONAL: "*", one.VAR_KEYWORD: "**"}.get(one.kind, "")
    kind = "" if one.annotation is one.empty else f": {_named(one.annotation)}"
    if one.default is one.empty:
        return f"{stars}{one.name}{kind}"
    return f"{one.name}{kind} = {_default(one.default)}"


def _type(given: inspect.Signature) -> str:
    return _named(given.return_annotation)


def _named(annotation: Any) -> str:
    return annotation if isinstance(annotation, str) else getattr(annotation, "__name__", str(annotation))


def _default(value: Any) -> str:
    """As it is written in code, where that can be written."""
    text = repr(value)
    return "…" if text.startswith("<") or " at 0x" in text else text


def _docstring(text: str) -> Iterator[str]:
    """Google's style as Markdown: sections become lists."""
    head, *rest = SECTION.split(text)
    yield from _paragraphs(head)
    for title, body in zip(rest[::2], rest[1::2], strict=True):
        yield f"**{SAID.get(title, title)}**"
        lines = inspect.cleandoc(body)
        if title in ("Returns", "Yields"):
            yield from _paragraphs(lines)
        else:
            yield "\n".join(f"- `{name}`: {said}" for name, said in _items(lines).items())


def _paragraphs(text: str) -> Iterator[str]:
    """Paragraphs as they are; what is indented is a picture of text."""
    for part in text.strip().split("\n\n"):
        drawn = part and all(line.startswith("    ") for line in part.splitlines())
        if part:
            yield f"```text\n{part}\n```" if drawn else part


def _items(text: str) -> dict[str, str]:
    """`name: what it is`, with what is indented below it."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        if match := re.match(r"([\w*][\w*. ,]*): (.*)", line):
            found[match[1]] = match[2]
        elif found and line.strip():
            found[list(found)[-1]] += f" {line.strip()}"
    return found


def _commands() -> Iterator[str]:
    yield "# Commands"
    yield "Written by `docs/make_reference.py` from `geoseg COMMAND --help`."
    yield from _help(command_line, "geoseg")


def _help(command: click.Command, name: str, parent: click.Context | None = None) -> Iterator[str]:
    context = click.Context(command, parent, info_name=name, terminal_width=WIDTH, **command.context_settings)
    yield f"## {context.command_path}"
    yield f"```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _help(command.commands[each], each, context)


def _recipe() -> Iterator[str]:
    yield "# Keys of a recipe"
    yield (
        "Written by `docs/make_reference.py`. A recipe is a TOML file for `geoseg train`; "
        "[training.md](training.md) shows how to write one. Keys without a default must be given; unknown "
        "keys are errors."
    )
    tables = {each.name: each for each in fields(Recipe)}
    yield "## The recipe"
    yield from _keys(Recipe)
    for name, title in (
        ("classes", "[[classes]]"), ("data", "[[data]]"), ("split", "[data.split]"), ("patches", "[patches]"),
        ("augment", "[augment]"), ("network", "[network]"), ("loss", "[loss]"), ("teacher", "[teacher]"),
        ("fit", "[fit]"), ("publish", "[publish]"),
    ):  # fmt: skip
        yield f"## {title}"
        yield from _keys(_table(tables, name))


def _table(tables: dict[str, Field[Any]], name: str) -> type:
    """The dataclass of a table of the recipe."""
    from geoseg.models.card import ClassSpec
    from geoseg.recipe.data import DataSet, Split

    special = {"classes": ClassSpec, "data": DataSet, "split": Split}
    found: type = special.get(name) or tables[name].default_factory  # type: ignore[assignment]
    if not is_dataclass(found):
        from geoseg.recipe.fit import Network

        return Network
    return found


def _keys(table: type) -> Iterator[str]:
    """What the keys of a table mean, from its dataclass."""
    head, _, body = SECTION.split(inspect.getdoc(table) or "")[:3]
    meaning = _items(inspect.cleandoc(body))
    yield from _paragraphs(head)
    rows = (f"| `{each.name}` | {_preset(each)} | {meaning[each.name]} |" for each in fields(table))
    yield "\n".join(["| key | default | meaning |", "|---|---|---|", *rows])


def _preset(each: Field[Any]) -> str:
    if each.default is MISSING:
        return "" if each.default_factory is not MISSING else "must be given"
    return "none" if each.default in (None, "", ()) else f"`{_toml(each.default)}`"


def _toml(value: Any) -> str:
    if isinstance(value, str):
        return f'"{value}"'
    return str(value).lower() if isinstance(value, bool) else str(value)


if __name__ == "__main__":
    main()
