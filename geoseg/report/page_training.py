"""The page of a training: curves, scores, sheets, card; or of several variants side by side."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.models.card import read_card
from geoseg.report.page_card import card_section
from geoseg.report.page_charts import curves
from geoseg.report.page_evaluation import read_json
from geoseg.report.page_parts import Html, element, folded, joined, picture, section, table, text
from geoseg.report.page_scores import MEASURES, confusion, said, with_interval
from geoseg.report.page_write import Page

CARD, SCORES, HISTORY, COMPARISON, STATE, RECIPE = (
    "card.toml", "scores.json", "history.json", "comparison.json", "state.npz", "recipe.toml"
)  # fmt: skip
PARTS = {"val": "validation data", "test": "test data"}
LINES = 10  # classes with a curve of their own

Record = Mapping[str, Any]


def is_training(folder: Path) -> bool:
    """Whether a folder is a bundle that was trained, several of them, or an unfinished training."""
    return any((folder / name).is_file() for name in (HISTORY, COMPARISON, STATE))


def training_page(folder: Path) -> Page:
    """Put a page together.

    Raises:
        GeosegError: when a file cannot be used.
    """
    if (folder / COMPARISON).is_file():
        return _compared(folder)
    if (folder / HISTORY).is_file():
        return _bundle(folder)
    return _unfinished(folder)


def _bundle(folder: Path) -> Page:
    history, scores = _records(folder / HISTORY), read_json(folder / SCORES)
    card = read_card(folder / CARD)
    names = [spec.name for spec in card.classes]
    return Page(
        title=scores["name"], kind="Training", lead=card.summary, figures=_figures(scores),
        sections=[
            _curves(history, scores["best_epoch"]), *_scores(scores), *_confusions(scores, names),
            *_sheets(folder), _recipe(folder), card_section(card),
        ],
    )  # fmt: skip


def _compared(folder: Path) -> Page:
    """Variants of one recipe, a line and a column each."""
    with translated(SceneError, f"cannot read {folder / COMPARISON}", "train again"):
        done = json.loads((folder / COMPARISON).read_text(encoding="utf-8"))
    histories = {one["name"]: _records(folder / Path(one["folder"]).name / HISTORY) for one in done}
    charts = [
        curves(title, {name: [record.get(key) for record in history] for name, history in histories.items()})
        for title, key in (("mean IoU on validation data", "val_iou"), ("validation loss", "val_loss"),
                           ("training loss", "loss"))
    ]  # fmt: skip
    head = ["", *(one["name"] for one in done)]
    rows = [[key, *(column.get(key, "") for column in map(_column, done))]
            for key in dict.fromkeys(key for one in done for key in _column(one))]  # fmt: skip
    return Page(
        title=folder.name, kind="Trainings compared",
        lead=f"{len(done)} variants: {', '.join(one['name'] for one in done)}.",
        figures={one["name"]: _best(one) for one in done},
        sections=[section("Curves", element("div", joined(charts), class_="charts")),
                  section("Scores", table(head, rows))],
    )  # fmt: skip


def _unfinished(folder: Path) -> Page:
    with (
        translated(SceneError, f"cannot read {folder / STATE}", "train again"),
        np.load(folder / STATE, allow_pickle=False) as file,
    ):
        history = json.loads(str(file["words"]))["history"]
    losses = [record["val_loss"] for record in history]
    lowest = {"lowest validation loss": f"{min(losses):.4g}"} if losses else {}
    return Page(
        title=folder.name.removesuffix(".training"), kind="Training, not finished",
        lead=f"{len(history)} epochs so far; geoseg train --resume goes on.",
        figures={"epochs": len(history), **lowest},
        sections=[_curves(history, None)],
    )  # fmt: skip


def _records(path: Path) -> list[Record]:
    with translated(SceneError, f"cannot read {path}", "train again"):
        found = json.loads(path.read_text(encoding="utf-8"))
    return list(found)


def _figures(scores: Record) -> dict[str, object]:
    figures: dict[str, object] = {
        "epochs (best)": f"{scores['epochs']} ({scores['best_epoch']})",
        "weights": f"{scores['parameters']:,}", "minutes": f"{scores['seconds'] / 60:,.1f}",
    }  # fmt: skip
    for part, rows in scores["scores"].items():
        if rows and (iou := rows[-1].get("iou")) is not None:
            figures[f"IoU, {PARTS.get(part, part)}"] = said(iou)
    return figures


def _best(one: Record) -> str:
    """The mean IoU of the last part of the data."""
    rows = list(one["scores"].values())[-1]
    return f"IoU {said(rows[-1].get('iou'))}" if rows else "–"


def _column(one: Record) -> dict[str, str]:
    """What a comparison says of a variant."""
    column = {"weights": f"{one['parameters']:,}", "epochs (best)": f"{one['epochs']} ({one['best_epoch']})",
              "minutes": f"{one['seconds'] / 60:,.1f}"}  # fmt: skip
    for part, rows in one["scores"].items():
        for row in rows:
            for measure in ("accuracy", "iou"):
                if measure in row:
                    name = f"{PARTS.get(part, part)}: {row['set']}, {row['class']}, {_named(measure)}"
                    column[name] = _score(row, measure)
    return column


def _curves(history: Sequence[Record], best: int | None) -> Html:
    def series(**keys: str) -> dict[str, list[float | None]]:
        return {name: [record.get(key) for record in history] for name, key in keys.items()
                if any(key in record for record in history)}  # fmt: skip

    classes = list(dict.fromkeys(key for record in history for key in record if key.startswith("val_iou_")))
    charts = [
        curves("loss", series(training="loss", validation="val_loss"), best),
        curves("on validation data", series(**{"accuracy": "val_accuracy", "mean IoU": "val_iou"}), best),
        curves("IoU by class, on validation data", series(**{key[8:]: key for key in classes[:LINES]}), best),
    ]
    columns = list(dict.fromkeys(key for record in history for key in record))
    rows = ([epoch, *(_short(record.get(key)) for key in columns)] for epoch, record in enumerate(history, 1))
    return section("Curves", element("div", joined(charts), class_="charts"),
                   folded("All epochs as a table", table(["epoch", *columns], rows)))  # fmt: skip


def _scores(scores: Record) -> list[Html]:
    """A table for each part of the data."""
    parts = scores["scores"].items()
    return [section(f"Scores on {PARTS.get(part, part)}", _rows(rows)) for part, rows in parts]


def _rows(rows: Sequence[Record]) -> Html:
    measures = [measure for measure in ("accuracy", *MEASURES) if any(measure in row for row in rows)]
    head = ["data", "class", "tiles", *map(_named, measures)]
    lines = ([row["set"], row["class"], row["tiles"], *(_score(row, measure) for measure in measures)]
             for row in rows)  # fmt: skip
    note = "In brackets 95 % intervals by bootstrap over tiles."
    return joined([table(head, lines, 2), element("p", text(note), class_="lead")])


def _named(measure: str) -> str:
    return {"iou": "IoU", "dice": "Dice"}.get(measure, measure)


def _score(row: Record, measure: str) -> str:
    ends = row.get(f"{measure}_low"), row.get(f"{measure}_high")
    return with_interval(row[measure], *ends) if measure in row else ""


def _confusions(scores: Record, names: Sequence[str]) -> list[Html]:
    """A matrix of all classes, or one of each class against the rest."""
    parts = []
    for part, counts in scores["confusion"].items():
        title = f"Confusion matrix on {PARTS.get(part, part)}"
        if np.ndim(counts) == 2:
            parts.append(confusion(counts, names, title))
        else:
            parts += [confusion(each, (f"no {name}", name), f"{title}: {name}")
                      for each, name in zip(counts, names, strict=True)]  # fmt: skip
    return parts


def _sheets(folder: Path) -> list[Html]:
    found = [(part, folder / f"sheet_{part}.png") for part in PARTS]
    return [
        section(f"Examples from {PARTS[part]}: image, truth, prediction", picture(path, f"Examples, {part}"))
        for part, path in found if path.is_file()
    ]  # fmt: skip


def _recipe(folder: Path) -> Html:
    path = folder / RECIPE
    if not path.is_file():
        return Html("")
    words = element("pre", text(path.read_text(encoding="utf-8")))
    return section("Recipe", folded("All of it, as TOML", words))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, (int, float)) else ""
