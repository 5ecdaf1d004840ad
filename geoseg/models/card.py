"""The card of a model bundle: everything between pixels and polygons that belongs to the weights."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

import tomli_w

from geoseg.errors import BundleError
from geoseg.models.halo_curve import HaloCurve

PRECISIONS = ("float32", "float16", "bfloat16", "int8")  # slowest first
MAX_BYTES = 2**22  # of a card; those of ours have 5 kB
MOST_PIXELS = 2**13  # of a patch and what is counted along it
WHOLE = ("parameters", "patch_size", "overlap", "median_kernel", "stride", "halo")
Profile = Literal["building", "tree", "generic"]


@dataclass(frozen=True, slots=True)
class ClassSpec:
    """One class of a model.

    Attributes:
        name: what it is called in outputs.
        color: `#rrggbb`.
        threshold: probability from which a pixel belongs to it, 0 … 1 (sigmoid models).
        profile: how its polygons are shaped.
    """

    name: str
    color: str = "#808080"
    threshold: float = 0.5
    profile: Profile = "generic"

    def __post_init__(self) -> None:
        if not re.fullmatch(r"#[0-9a-fA-F]{6}", self.color):
            raise BundleError(f"class {self.name}: a color looks like #rrggbb, got {self.color!r}")
        if not 0 <= self.threshold <= 1:
            raise BundleError(f"class {self.name}: a threshold is from 0 to 1, got {self.threshold}")
        if self.profile not in get_args(Profile):
            raise BundleError(
                f"class {self.name}: profile is one of {', '.join(get_args(Profile))}, got {self.profile!r}"
            )

    @property
    def rgba(self) -> tuple[int, int, int, int]:
        """The color as bytes, opaque."""
        red, green, blue = bytes.fromhex(self.color[1:])
        return red, green, blue, 255


@dataclass(frozen=True, slots=True)
class Card:
    """What a network expects and says.

    Attributes:
        name: the bundle's name, as in `-m NAME`.
        summary: one sentence.
        licence: of the weights (SPDX identifier).
        attribution: whom to name when the weights or their results are published.
        architecture: `unet`, `unetpp`, `segnet` or `mobilenet_unet`, with its encoder.
        parameters: number of weights.
        activation: the last layer, `sigmoid` (classes independent) or `softmax`.
        bands: names of the input bands, in order; values 0 … 255, scaling to −1 … 1 is inside the network.
        pixel_sizes_m: smallest and largest ground pixel size it was trained for, metres.
        patch_size: patch height and width at prediction, pixels.
        overlap: pixels shared by neighbouring patches.
        median_kernel: side of the median filter before the network, pixels; 0 for none.
        stride: period of the network's shift equivariance, pixels.
        halo: context beyond which no input pixel matters, pixels.
        classes: in channel order.
        training: data sets with their licences.
        scores: held-out scores by set.
        limits: known failures, one sentence each.
        precisions: what it may be computed in: proved to leave the masks as they are (see
            `runtime.agreement`).
        halo_curve: what halos smaller than `halo` cost.
        files: sha256 by file name.
    """

    name: str
    summary: str
    licence: str
    attribution: tuple[str, ...]
    architecture: str
    parameters: int
    activation: Literal["sigmoid", "softmax"]
    bands: tuple[str, ...]
    pixel_sizes_m: tuple[float, float]
    patch_size: int
    overlap: int
    median_kernel: int
    stride: int
    halo: int
    classes: tuple[ClassSpec, ...]
    training: tuple[Mapping[str, str], ...] = ()
    scores: tuple[Mapping[str, Any], ...] = ()
    limits: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float32",)
    halo_curve: HaloCurve = field(default_factory=HaloCurve)
    files: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.classes or not self.bands:
            raise BundleError(f"card of {self.name}: it needs at least one class and one band")
        if len(self.classes) > 254:
            raise BundleError(f"card of {self.name}: a byte holds 254 classes, got {len(self.classes)}")
        if self.activation not in ("sigmoid", "softmax"):
            raise BundleError(
                f"card of {self.name}: activation is sigmoid or softmax, got {self.activation!r}"
            )
        for name in WHOLE:
            if not isinstance(value := getattr(self, name), int) or value < 0:
                raise BundleError(f"card of {self.name}: {name} is a whole number from 0 up, got {value!r}")
            if name != "parameters" and value > MOST_PIXELS:
                raise BundleError(f"card of {self.name}: {name} is up to {MOST_PIXELS} px, got {value}")
        if "float32" not in self.precisions or set(self.precisions) - set(PRECISIONS):
            raise BundleError(f"card of {self.name}: precisions are float32 and others of "
                              f"{', '.join(PRECISIONS)}, got {self.precisions}")  # fmt: skip
        small, large = self.pixel_sizes_m
        if not 0 < small <= large:
            raise BundleError(f"card of {self.name}: pixel sizes rise from above 0, got {small} to {large}")

    @property
    def thresholds(self) -> tuple[float, ...]:
        """One per class."""
        return tuple(spec.threshold for spec in self.classes)

    def to_dict(self) -> dict[str, Any]:
        """The card as plain tables, ready for JSON."""
        return asdict(self)

    def to_toml(self) -> str:
        """The card as the text of `card.toml`."""
        return tomli_w.dumps(self.to_dict(), multiline_strings=True)


def read_card(path: Path) -> Card:
    """Read `card.toml`.

    Raises:
        BundleError: when it is missing, not TOML, or lacks or adds a field.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise BundleError(f"{path}: a card has {MAX_BYTES} bytes at most; fetch the bundle again")
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BundleError(
            f"{path.parent} is no model bundle: it has no card.toml; see geoseg model list"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BundleError(f"{path}: not a readable card: {error}; fetch the bundle again") from error
    return card_from(table, str(path))


def card_from(table: Mapping[str, Any], where: str) -> Card:
    """A card from its tables; `where` is named in errors."""
    known = {f.name for f in fields(Card)}
    unknown = sorted(set(table) - known)
    if unknown:
        raise BundleError(
            f"{where}: it has an unknown field {unknown[0]!r}; the fields are {', '.join(sorted(known))}"
        )
    values = _with_tuples(table)
    try:
        values["classes"] = tuple(ClassSpec(**spec) for spec in values.get("classes", ()))
        values["halo_curve"] = HaloCurve(**_with_tuples(values.get("halo_curve", {})))
        return Card(**values)
    except (AttributeError, TypeError, ValueError) as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError(
            f"{where}: {str(error).replace('Card.__init__() ', '')}; see the bundle's documentation"
        ) from error


def _with_tuples(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in table.items()}
