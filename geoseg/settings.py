"""How a model is run: the card's defaults, with the user's choices over them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from geoseg.core.filters import Filter, median_blur
from geoseg.core.grid import Grid
from geoseg.core.thresholds import Threshold, thresholds_of
from geoseg.errors import GridError
from geoseg.models.card import Card

Stitch = Literal["blend", "exact", "crop"]
Tta = Literal["none", "flips", "d4"]

CROPPED_PATCHES = 1024, 2048  # the least and the most; memory grows with their square
HALOS = 8  # to a patch: cropping them costs 1.78 ×, as blending 256 px patches with 64 px overlap does


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that decides the values of a prediction, apart from scene and weights.

    Attributes:
        stitch: `blend` overlapping patches, or crop them by the network's whole halo (`exact`) or by the
            smaller one that keeps a tolerance (`crop`).
        patch_size: height and width of patches, pixels; of cropped ones the most.
        overlap: pixels shared by neighbours when blending.
        halo: pixels cropped from every side otherwise.
        stride: the network's stride, pixels.
        median_kernel: side of the median filter, pixels; 0 for none.
        thresholds: probability from which a pixel belongs to a class, one per class.
        pixel_sizes_m: range of ground pixel sizes to work at, metres; None for the scene's own pixels.
        tta: test-time augmentation.
    """

    stitch: Stitch
    patch_size: int
    overlap: int
    halo: int
    stride: int
    median_kernel: int
    thresholds: tuple[float, ...]
    pixel_sizes_m: tuple[float, float] | None
    tta: Tta = "none"

    def grid(self, scene_shape: tuple[int, int]) -> Grid:
        """The patches over a scene of (height, width) pixels; cropped ones are no larger than it takes."""
        if self.stitch == "blend":
            return Grid(scene_shape, self.patch_size, self.overlap, self.stride)
        return Grid.cropped(scene_shape, self.patch_size, self.halo, self.stride).evened()

    @property
    def lead(self) -> int:
        """Pixels cropped from every side of a patch; 0 when blending."""
        return 0 if self.stitch == "blend" else self.halo

    @property
    def step(self) -> int:
        """The most pixels from one patch to the next."""
        return self.patch_size - (self.overlap if self.stitch == "blend" else 2 * self.halo)

    @property
    def filter(self) -> Filter:
        """The filter that runs before the network."""
        return median_blur(self.median_kernel)

    @property
    def digest(self) -> str:
        """A hash that changes with any setting."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def resolve(
    card: Card,
    *,
    stitch: Stitch = "blend",
    patch_size: int | None = None,
    overlap: int | None = None,
    halo: int | None = None,
    median_kernel: int | None = None,
    threshold: Threshold = None,
    res: Literal["model", "native"] | float = "model",
    tta: Tta = "none",
) -> Settings:
    """Settings from a card, where None means: as the card says.

    Args:
        card: of the model.
        stitch: see `Settings`.
        patch_size: pixels; for `exact` and `crop` by default so large that the halo is a small part of them.
        overlap: pixels.
        halo: pixels to crop; the network's own when None.
        median_kernel: pixels.
        threshold: one for all classes, one each, or some by the names of their classes, 0 … 1.
        res: `model` to resample scenes to the trained pixel sizes when they differ by more than 20 %,
            `native` to keep their pixels, or a pixel size in metres.
        tta: test-time augmentation.

    Raises:
        GridError: when a value is out of range.
    """
    for value, choices in ((stitch, get_args(Stitch)), (tta, get_args(Tta))):
        if value not in choices:
            raise GridError(f"{value!r} is none of {', '.join(choices)}; choose one of them")
    halo = card.halo if halo is None else halo
    names = [spec.name for spec in card.classes]
    return Settings(
        stitch=stitch,
        patch_size=_patch_size(card, stitch, halo) if patch_size is None else patch_size,
        overlap=card.overlap if overlap is None else overlap,
        halo=halo,
        stride=card.stride,
        median_kernel=card.median_kernel if median_kernel is None else median_kernel,
        thresholds=thresholds_of(threshold, names, card.thresholds, GridError),
        pixel_sizes_m=_pixel_sizes(card, res),
        tta=tta,
    )


def _patch_size(card: Card, stitch: Stitch, halo: int) -> int:
    if stitch == "blend":
        return card.patch_size
    least, most = CROPPED_PATCHES
    size = min(max(HALOS * halo, least), most)
    if size <= 2 * halo:
        size = 4 * halo  # what is kept is then a quarter, and not nothing
    return -(-size // card.stride) * card.stride


def _pixel_sizes(card: Card, res: str | float) -> tuple[float, float] | None:
    if res == "model":
        return card.pixel_sizes_m
    if res == "native":
        return None
    if isinstance(res, str) or not res > 0:
        raise GridError(f"--res is model, native or a pixel size in metres above 0; got {res}")
    return float(res), float(res)
