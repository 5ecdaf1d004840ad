"""Which classes a raster holds, and where: in the numbers of one band, or in a band each."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import TOP
from geoseg.errors import SceneError

MOST = 65_535  # class numbers fit into uint16
FOREGROUND = "foreground"  # the name of what is not background in a mask of one class without a name
BACKGROUND = "background"  # a class of this name is there for its network's softmax, not to be drawn
LEAD_CUT = 127.5  # between those who lead and those who do not, see `LabelStrip.lead`


@dataclass(frozen=True, slots=True)
class ClassBand:
    """Where a raster holds a class.

    Attributes:
        name: of the class.
        label: its number in the strips that are read.
        band: from 1.
        value: its number in a mask's pixels; None where the band holds its probability.
        threshold: the probability from which a pixel belongs to it; None in masks, and where a pixel belongs
            to its most probable class.
        profile: how the raster says that its polygons are drawn, None where it does not say.
    """

    name: str
    label: int
    band: int
    value: int | None = None
    threshold: float | None = None
    profile: str | None = None

    @property
    def exclusive(self) -> bool:
        """Whether a pixel belongs to it where it is the most probable class."""
        return self.value is None and self.threshold is None

    @property
    def cut(self) -> float | None:
        """The level of `LabelStrip.lead` above which a pixel belongs to it; None in masks."""
        if self.threshold is not None:
            return code_cut(self.threshold)
        return LEAD_CUT if self.exclusive else None

    def answers_to(self, name: str) -> bool:
        """Whether a user means this class by a name or a number."""
        return name in (self.name, str(self.label), str(self.value))


def code_cut(threshold: float) -> float:
    """The level between two probability codes that a threshold comes to: 126.5 for 0.5."""
    return math.ceil(TOP * threshold - 1e-9) - 0.5


def mask_classes(names: Sequence[str], profiles: Sequence[str], band: int) -> tuple[ClassBand, ...]:
    """The classes 1 … n of a mask that names them, with their profiles if there are as many."""
    known = profiles if len(profiles) == len(names) else [None] * len(names)
    return tuple(
        ClassBand(name, label, band, label, profile=profile)
        for label, (name, profile) in enumerate(zip(names, known, strict=True), 1)
    )


def found_classes(
    strips: Iterator[NDArray[Any]], categories: Sequence[str], band: int, path: str
) -> tuple[ClassBand, ...]:
    """The classes of a mask that does not say which it holds: every number but 0 that occurs.

    A mask of one class, coded as 1 or as 255, is just foreground and gets the label 1.

    Args:
        strips: integers of the whole raster, 0 where there is no data.
        categories: names of the numbers 0, 1, 2 … as far as they are known.
        band: that they come from.
        path: named in errors.

    Raises:
        SceneError: when a number is below 0 or above 65535.
    """
    seen = np.zeros(MOST + 1, bool)
    for values in strips:
        low, high = int(values.min()), int(values.max())
        if low < 0 or high > MOST:
            raise SceneError(
                f"{path}: class numbers are 0 to {MOST}, got {low if low < 0 else high}; "
                "is it no data? say so with --nodata, or give a raster of classes"
            )
        for row in values:  # numpy makes eight bytes of every index
            seen[row] = True
    numbers = [int(number) for number in np.flatnonzero(seen[1:]) + 1]
    names = {n: categories[n] for n in numbers if n < len(categories) and categories[n]}
    if len(numbers) == 1 and numbers[0] in (1, 255):
        return (ClassBand(names.get(numbers[0], FOREGROUND), 1, band, numbers[0]),)
    return tuple(ClassBand(names.get(n, f"class_{n}"), n, band, n) for n in numbers)


def chosen(classes: Sequence[ClassBand], name: str | None, path: str) -> tuple[ClassBand, ...]:
    """The classes that the user wants: the one of that name or number, or all of them but `background`.

    A background that is alone is drawn. Foreground that has no name of its own takes any.

    Raises:
        SceneError: when there is no such class.
    """
    if name is None:
        return tuple(one for one in classes if one.name.lower() != BACKGROUND) or tuple(classes)
    for one in classes:
        if one.answers_to(name):
            return (one,)
    if len(classes) == 1 and classes[0].name == FOREGROUND and not name.isdigit():
        return (replace(classes[0], name=name),)
    known = ", ".join(f"{one.name} ({one.label})" for one in classes) or "none, it is all background"
    raise SceneError(f"{path}: it has no class {name}; the classes are {known}")


def categories_of(path: Path, band: int) -> tuple[str, ...]:
    """Category names from GDAL's side file of a raster, which rasterio does not read; maybe none."""
    try:
        root = ElementTree.parse(path.with_name(path.name + ".aux.xml")).getroot()
    except (OSError, ElementTree.ParseError):
        return ()
    names = root.findall(f"PAMRasterBand[@band='{band}']/CategoryNames/Category")
    return tuple((name.text or "").strip() for name in names)
