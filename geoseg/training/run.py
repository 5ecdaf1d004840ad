"""Train what a recipe says, all of its variants, each into a bundle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from geoseg.errors import OutputError
from geoseg.recipe.recipe import Recipe, load_recipe, variants
from geoseg.staging import staged
from geoseg.training.fit import fit
from geoseg.training.publish import RECIPE, SCORES, publish
from geoseg.training.scores import ALL, OF_CLASSES, Row
from geoseg.training.state import check_same

Progress = Callable[[int, int], object]
COMPARISON = "comparison.json"
DETAILED = 3  # of so many classes at most the table has all scores, of more only the IoU


@dataclass(frozen=True, slots=True)
class Trained:
    """A finished training.

    Attributes:
        name: of the recipe, with its variant.
        folder: the bundle.
        parameters: number of weights.
        epochs: trained.
        best_epoch: whose weights were kept, from 1.
        seconds: of all epochs together.
        machine: processor, cores, backend and precision.
        thresholds: probability from which a pixel belongs to a class, one per class.
        loss: by part.
        scores: rows as `scores.score_rows` makes them, by part (`val`, `test`).
    """

    name: str
    folder: str
    parameters: int
    epochs: int
    best_epoch: int
    seconds: float
    machine: str
    thresholds: tuple[float, ...]
    loss: dict[str, float]
    scores: dict[str, list[Row]]


def train(
    recipe: str | Path,
    output: str | Path | None = None,
    *,
    changes: Iterable[tuple[str, Any]] = (),
    variant: str = "",
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress = lambda done, total: None,
) -> list[Trained]:
    """Train a recipe: one bundle, or one of each of its variants, in folders of their own, and a comparison.

    While it trains there is a folder `OUTPUT.training` beside the bundle, with a TensorBoard log and all
    that `resume` needs; the bundle appears when it is complete, and the folder goes.

    Args:
        recipe: a TOML file.
        output: the bundle's folder, or the one for the variants' bundles; the recipe's name when None.
        changes: dotted keys and values laid over the recipe, as ("fit.epochs", 5).
        variant: train only this one, or `tiny`.
        resume: go on with what was interrupted; finished bundles stay.
        overwrite: replace bundles, and begin interrupted trainings anew.
        progress: called with the numbers of batches finished since the last call and of all.

    Raises:
        GeosegError: one line that says what was wrong, what was got and what to do.
    """
    changes = list(changes)
    names = [variant] if variant else list(variants(recipe))
    recipes = {name: load_recipe(recipe, changes, name) for name in names}
    several = len(names) > 1
    own = load_recipe(recipe, changes).name if several else recipes[names[0]].name
    folder = Path(output if output is not None else own)
    targets = {name: folder / name if several else folder for name in names}
    for name in names:
        _refuse(recipes[name], targets[name], resume, overwrite)

    def shown(done: int, total: int) -> None:
        progress(done, total * len(names))

    done = [_train(recipes[name], targets[name], resume, overwrite, shown) for name in names]
    if several:
        with staged(folder / COMPARISON, overwrite=True) as (draft,):
            draft.write_text(json.dumps([asdict(one) for one in done], indent=1), encoding="utf-8")
    return done


def table(done: Sequence[Trained]) -> str:
    """A Markdown table with a column for each training: IoU, Dice, … with 95 % intervals by tile."""
    columns = [_figures(one) for one in done]
    keys = list(dict.fromkeys(key for column in columns for key in column))
    lines = [["", *(one.name for one in done)], ["---"] * (len(done) + 1)]
    lines += [[key, *(column.get(key, "") for column in columns)] for key in keys]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _working_folder(target: Path) -> Path:
    return target.with_name(f"{target.name}.training")


def _refuse(recipe: Recipe, target: Path, resume: bool, overwrite: bool) -> None:
    """Find out before any work is done whether its output would be refused."""
    work, filled = _working_folder(target), target.is_dir() and any(target.iterdir())
    if target.is_file():
        raise OutputError(f"{target} is a file; give the name of a folder")
    if work.exists() and not (resume or overwrite):
        raise OutputError(f"{work} is an unfinished training; add --resume or --overwrite")
    if filled and not overwrite:
        if not resume or work.exists():
            raise OutputError(f"the folder {target} is not empty; choose another or add --overwrite")
        if not (target / SCORES).is_file():
            raise OutputError(f"the folder {target} holds something else; choose another with -o")
        check_same(recipe, load_recipe(target / RECIPE), target)


def _train(recipe: Recipe, target: Path, resume: bool, overwrite: bool, progress: Progress) -> Trained:
    work = _working_folder(target)
    if resume and not work.exists() and (target / SCORES).is_file():
        return _read(target)
    if not resume:
        shutil.rmtree(work, ignore_errors=True)
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot write to {work}: {error.strerror}; choose another folder") from error
    history = fit(recipe, work, resume=resume, progress=progress)
    publish(recipe, history, work, target, overwrite)
    shutil.rmtree(work)
    return _read(target)


def _read(target: Path) -> Trained:
    """What a bundle's own record says."""
    record = json.loads((target / SCORES).read_text(encoding="utf-8"))
    record.pop("confusion")
    return replace(Trained(folder=str(target), **record), thresholds=tuple(record["thresholds"]))


def _figures(one: Trained) -> dict[str, str]:
    """The lines of a column of the table."""
    shown = {
        "parameters": f"{one.parameters:,}",
        "epochs (best)": f"{one.epochs} ({one.best_epoch})",
        "minutes": f"{one.seconds / 60:.1f}",
    }
    for part, rows in one.scores.items():
        groups = [row for row in rows if row["set"] == rows[-1]["set"]]
        measures = OF_CLASSES if len(groups) <= DETAILED + 1 else OF_CLASSES[:1]
        for row in groups:
            for measure in ("accuracy", *measures):
                if measure in row and not (row["class"] == ALL and len(groups) == 2 and measure == "iou"):
                    shown[_label(part, row["class"], measure)] = _with_interval(row, measure)
    return shown


def _label(part: str, name: str, measure: str) -> str:
    what = measure.replace("iou", "IoU")
    if name == ALL:
        return f"{part} {'mean ' if measure == 'iou' else ''}{what}"
    return f"{part} {name} {what}"


def _with_interval(row: Row, measure: str) -> str:
    low, high = row.get(f"{measure}_low"), row.get(f"{measure}_high")
    return f"{row[measure]:.4f}" + ("" if low is None else f" ({low:.3f}–{high:.3f})")
