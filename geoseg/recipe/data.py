"""What a recipe says of its data: images, labels, splits and patches."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from geoseg.errors import RecipeError

Part = Literal["train", "val", "test"]
NOT = "not "  # before a class, in labels


@dataclass(frozen=True, slots=True)
class Split:
    """Which images are for training, validation and test: by place, tile or group, never by patch.

    Exactly one of `part`, `lists` and `by` is given.

    Attributes:
        part: all images belong to this part.
        lists: text files, one name (or stem) of an image a line, by part; paths start at `root`.
        by: a regular expression searched in the file's path below `root`, without its ending; its first
            group (or the whole match) is the group that an image belongs to.
        val: groups for validation; with `by`.
        test: groups for test; with `by`.
        val_share: share of the groups for validation where `val` names none: those with the smallest
            hashes of the recipe's seed and their names, rounded to whole groups.
    """

    part: Part | None = None
    lists: Mapping[str, str] = field(default_factory=dict)
    by: str = ""
    val: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    val_share: float = 0.0

    def __post_init__(self) -> None:
        if (self.part is not None) + bool(self.lists) + bool(self.by) != 1:
            raise RecipeError("a split has one of part, lists and by; give exactly one")
        if unknown := set(self.lists) - {"train", "val", "test"}:
            raise RecipeError(f"lists are of train, val and test, got {min(unknown)!r}")
        if not 0 <= self.val_share < 1:
            raise RecipeError(f"val_share is from 0 to below 1, got {self.val_share}")
        check_pattern(self.by)


@dataclass(frozen=True, slots=True)
class DataSet:
    """One source of labelled images; paths start at the recipe's `root`.

    Attributes:
        name: in logs, scores and cards.
        images: a pattern of files, as `camvid/train/*.png`; GeoTIFF scenes of any size, PNG or JPEG.
        split: which of them are for what.
        mosaic: a regular expression with the groups x and y (columns and rows, rising to the right and down)
            searched in the file's path below `root`, without its ending; the images are tiles of one size,
            and neighbours of one part are joined, so that patches reach across their borders.
        masks: a label raster for each image; `{stem}` is the image's name without its ending and `{folder}`
            the name of its folder, as `camvid/{folder}annot/{stem}.png`. Of class numbers, or of palette
            colours.
        polygons: a vector file of labels for georeferenced images; may hold `{stem}`.
        class_field: the polygons' attribute whose values are keys of `labels`; without it every polygon
            has the value 1, and the rest 0.
        all_touched: polygons label every pixel they touch, not only those whose centre they hold.
        ignore_polygons: a vector file of areas whose labels are not to be trusted.
        points: a CSV of tree points with columns image, x, y (pixels); labels discs of the value 1.
        point_radius_m: radius of these discs, metres.
        labels: the meaning of each value of a label: a class, `background`, `ignore`, or `not CLASS` where
            that one is ruled out and nothing is known of the others (sigmoid); keys are values ("255"), or
            colours ("#rrggbb") of palette masks. A value that is not listed is an error.
        known: classes that are labelled here; all others are ignored, not background. Those that `labels`
            names when empty.
        alone: in training, where one of them is no other class of a sigmoid network is, labelled here or
            not: a roof is no tree.
        partial: a regular expression for the stems of images whose labels miss some objects: background
            is ignored there.
        exclude: a regular expression for the stems of images to leave out.
        held_out: all images are for test, whatever `split` says: what a network is worth in a place that it
            never saw.
        pixel_size_m: on the ground, metres; None to take it from the georeference, if there is one.
        bidx: numbers of the bands to read, where files do not name their bands; must fit `network.bands`.
        nodata: value of pixels without data, where files do not say so; they are ignored.
        share: relative number of patches that are drawn from this set in training.
        limit: use only this many images for training, evenly spaced by name; 0 for all.
        val_limit: the same for validation.
    """

    name: str
    images: str
    split: Split
    mosaic: str = ""
    masks: str = ""
    polygons: str = ""
    class_field: str = ""
    all_touched: bool = False
    ignore_polygons: str = ""
    points: str = ""
    point_radius_m: float = 2.0
    labels: Mapping[str, str] = field(default_factory=dict)
    known: tuple[str, ...] = ()
    alone: bool = False
    partial: str = ""
    exclude: str = ""
    held_out: bool = False
    pixel_size_m: float | None = None
    bidx: tuple[int, ...] = ()
    nodata: float | None = None
    share: float = 1.0
    limit: int = 0
    val_limit: int = 0

    def __post_init__(self) -> None:
        if not (self.masks or self.polygons or self.points):
            raise RecipeError(f"data {self.name} has no masks, polygons or points; give one of them")
        if not self.labels:
            raise RecipeError(f'data {self.name} has no labels; say what values mean, as {{1 = "building"}}')
        for pattern in (self.partial, self.exclude, self.mosaic):
            check_pattern(pattern)
        if self.mosaic and not {"x", "y"} <= set(re.compile(self.mosaic).groupindex):
            raise RecipeError(f"mosaic has the groups (?P<x>…) and (?P<y>…), got {self.mosaic!r}; add them")

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that are labelled here."""
        named = {name.removeprefix(NOT) for name in self.labels.values()}
        return self.known or tuple(sorted(named - {"background", "ignore"}))


@dataclass(frozen=True, slots=True)
class Patches:
    """What the network sees of the images.

    Attributes:
        size: height and width, pixels.
        how: `crop` cuts patches out, `resize` shrinks or stretches whole images to the patch.
        pixel_sizes_m: training patches have a random ground pixel size in this range, but none finer than
            half an image's own; None to keep the images' own pixels.
        val_pixel_size_m: of validation and test patches; None for the middle (geometric) of the range.
            Images with coarser pixels keep these.
        per_epoch: training patches an epoch; 0 for as many as cover every image once.
        median_kernel: side of the median filter that prediction will use too, pixels; 0 for none.
    """

    size: int = 256
    how: Literal["crop", "resize"] = "crop"
    pixel_sizes_m: tuple[float, float] | None = None
    val_pixel_size_m: float | None = None
    per_epoch: int = 0
    median_kernel: int = 0


@dataclass(frozen=True, slots=True)
class Augment:
    """Random changes of training patches; each strength is 0 for never or nothing.

    Attributes:
        flips: mirror left to right.
        turns: quarter turns; with `flips` all eight views of a square. Not for photographs with a sky.
        rotate: any angle, share of the patches.
        scale: largest factor of random zoom, 1 for none.
        shift: largest shift as a share of the side; only of `resize`d images (crops are anywhere anyway).
        color: strength of random brightness, contrast, saturation, hue, gamma and casts, 0 … 1.
        blur: share of patches that are blurred.
        noise: share of patches with sensor noise.
        jpeg: share of patches with JPEG artefacts.
        shadow: share of patches with a cast shadow.
        gray: share of patches without colour.
        borrow: share of patches in the colours of another patch of their batch.
        coarse: share of patches as a sensor of pixels up to thrice as large sees them, interpolated.
    """

    flips: bool = True
    turns: bool = True
    rotate: float = 0.0
    scale: float = 1.0
    shift: float = 0.0
    color: float = 0.0
    blur: float = 0.0
    noise: float = 0.0
    jpeg: float = 0.0
    shadow: float = 0.0
    gray: float = 0.0
    borrow: float = 0.0
    coarse: float = 0.0


def check_pattern(pattern: str) -> None:
    """Refuse what is no regular expression."""
    try:
        re.compile(pattern)
    except re.error as error:
        raise RecipeError(f"{pattern!r} is no regular expression: {error}; mend it") from error
