"""A recipe: everything that decides a training run, from one TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import tomli_w

from geoseg.errors import RecipeError
from geoseg.models.card import ClassSpec
from geoseg.recipe.data import NOT, Augment, DataSet, Patches
from geoseg.recipe.fit import Fit, Loss, Network, Publish, Teacher
from geoseg.recipe.tables import build

RESERVED = ("background", "ignore")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes:
        name: of the recipe and its bundle.
        source: whose system or which paper it follows.
        classes: in channel order, as the card will say.
        data: the sets of images.
        network: what is trained.
        patches: what it sees.
        augment: how training patches vary.
        loss: what is minimized.
        teacher: whose word is learnt beside the labels.
        fit: how.
        publish: what the card says.
        seed: of everything random.
        root: the folder that paths start from, itself starting at the recipe's file.
        variants: changes by name, dotted keys to values: `geoseg train` makes one bundle of each and a
            table that compares them. `like` names a variant whose changes come first.
        tiny: changes that make a run of seconds, for tests.
    """

    name: str
    source: str
    classes: tuple[ClassSpec, ...]
    data: tuple[DataSet, ...]
    network: Network
    patches: Patches = field(default_factory=Patches)
    augment: Augment = field(default_factory=Augment)
    loss: Loss = field(default_factory=Loss)
    teacher: Teacher = field(default_factory=Teacher)
    fit: Fit = field(default_factory=Fit)
    publish: Publish = field(default_factory=Publish)
    seed: int = 1
    root: str = "."
    variants: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tiny: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        names = [spec.name for spec in self.classes]
        if not names or len(set(names)) < len(names):
            raise RecipeError(
                f"a recipe needs classes with different names, got {', '.join(names) or 'none'}"
            )
        if self.network.activation == "sigmoid" and set(names) & set(RESERVED):
            raise RecipeError("a sigmoid network has no class for background or ignore; leave it out")
        if self.teacher.models and self.network.activation != "sigmoid":
            raise RecipeError(
                f"only a sigmoid network has a teacher, got {self.network.activation}; leave it out"
            )
        if self.publish.initial_share and not self.network.initial:
            raise RecipeError("publish.initial_share needs a network.initial to share in; name one")
        for data in self.data:
            allowed = {*names, *RESERVED, *(f"{NOT}{name}" for name in names)}
            for name in (*data.labels.values(), *data.known):
                if name not in allowed:
                    raise RecipeError(
                        f"data {data.name} names a class {name!r}; the classes are {', '.join(names)}"
                    )

    @property
    def class_names(self) -> tuple[str, ...]:
        """In channel order."""
        return tuple(spec.name for spec in self.classes)

    def path(self, text: str) -> Path:
        """A path of the recipe, which starts at `root`."""
        return Path(self.root) / text

    def to_toml(self) -> str:
        """The whole recipe, defaults included, as TOML that `load_recipe` reads."""
        return tomli_w.dumps(_without_none(asdict(self)), multiline_strings=True)


def load_recipe(path: str | Path, changes: Iterable[tuple[str, Any]] = (), variant: str = "") -> Recipe:
    """Read a recipe.

    Args:
        path: a TOML file.
        changes: dotted keys and values laid over it, as ("fit.epochs", 5); `data.NAME.share` reaches into
            the set of that name. Texts are read as TOML values where they are some.
        variant: name of one of its variants, or `tiny`, laid over it first.

    Raises:
        RecipeError: a file that is missing or no TOML, an unknown key, a wrong value.
    """
    path = Path(path)
    table = _read(path)
    for key, value in (*_variant(table, variant, path), *changes):
        _change(table, key, _parsed(value), str(path))
    recipe = build(Recipe, table, str(path))
    object.__setattr__(recipe, "root", str((path.parent / recipe.root).resolve()))
    return recipe


def _read(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RecipeError(f"there is no recipe {path}; give the path of a .toml file") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{path} is no TOML: {error}; mend that line") from error


def _variant(table: Mapping[str, Any], name: str, path: Path) -> list[tuple[str, Any]]:
    if not name:
        return []
    if name == "tiny":
        return list(table.get("tiny", {}).items())
    changes = _changes(table.get("variants", {}), name, path)
    return [*changes.items(), ("name", f"{table.get('name', '')}-{name}"), ("variants", {})]


def _changes(
    variants: Mapping[str, Mapping[str, Any]], name: str, path: Path, seen: tuple[str, ...] = ()
) -> dict[str, Any]:
    """The changes of a variant, those of the one that it is `like` before its own."""
    if name not in variants:
        raise RecipeError(f"{path} has no variant {name!r}; it has {', '.join(variants) or 'none'}")
    if name in seen:
        raise RecipeError(
            f"{path}: variant {name} is like itself, by way of {', '.join(seen)}; end the circle"
        )
    changes = dict(variants[name])
    base = changes.pop("like", "")
    return (_changes(variants, base, path, (*seen, name)) if base else {}) | changes


def _change(table: dict[str, Any], key: str, value: Any, where: str) -> None:
    """Set a dotted key; tables on the way are made, and a set of `data` is found by its name."""
    here: Any = table
    *parents, last = key.split(".")
    for parent in parents:
        if isinstance(here, list):
            here = next((item for item in here if item.get("name") == parent), None)
        else:
            here = here.setdefault(parent, {})
        if not isinstance(here, (dict, list)):
            raise RecipeError(f"{where} has nothing named {parent!r} to set {key} in")
    if not isinstance(here, dict):
        raise RecipeError(f"{where}: {key} names no key; add one, as {key}.share")
    here[last] = value


def _parsed(value: Any) -> Any:
    if not isinstance(value, str):
        return deepcopy(value)
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return value


def _without_none(table: Any) -> Any:
    """TOML has no null: keys whose value is None are left out."""
    if isinstance(table, Mapping):
        return {key: _without_none(value) for key, value in table.items() if value is not None}
    return [_without_none(item) for item in table] if isinstance(table, (list, tuple)) else table


def variants(path: str | Path) -> Iterator[str]:
    """The names of a recipe's variants; one empty name when it has none."""
    yield from _read(Path(path)).get("variants", {}) or ("",)
