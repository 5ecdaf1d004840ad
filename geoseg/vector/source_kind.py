"""What a raster to vectorize holds, by its tags or by its pixels."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from geoseg.core.thresholds import Threshold, thresholds_of
from geoseg.errors import SceneError
from geoseg.vector.source_classes import FOREGROUND, ClassBand, categories_of, found_classes, mask_classes
from geoseg.vector.source_pixels import ROWS, Reader

Kind = Literal["mask", "probability"]

OWN = "GEOSEG_CLASSES"  # the tag of rasters that geoseg made
PROFILES = "GEOSEG_PROFILES"
ACTIVATION = "GEOSEG_ACTIVATION"
DEFAULT_THRESHOLD = 0.5


def bands_of(dataset: Any, band: int | str | None) -> list[int]:
    """The numbers of the bands that a user means; all but alpha by default.

    Raises:
        SceneError: when there is no such band, or none that can be used.
    """
    if dataset.count == 0:
        raise SceneError(
            f"{dataset.name}: it holds no band, only subdatasets; give one of them, see gdalinfo"
        )
    if any("complex" in kind for kind in dataset.dtypes):
        raise SceneError(f"{dataset.name}: its pixels are complex numbers; give a raster of classes")
    if band is None and OWN in dataset.tags():
        return list(dataset.indexes)
    if band is None:
        data = [k for k, kind in enumerate(dataset.colorinterp, 1) if kind.name != "alpha"]
        return data or [1]
    names = dict(zip(dataset.descriptions, dataset.indexes, strict=True))
    number = names.get(str(band), int(band) if str(band).isdigit() else 0)
    if number not in dataset.indexes:
        named = ", ".join(name for name in names if name)
        raise SceneError(
            f"{dataset.name}: there is no band {band}; it has 1 to {dataset.count}"
            + f" ({named})" * bool(named)
        )
    return [number]


def kind_of(dataset: Any, bands: Sequence[int]) -> Kind:
    """What the pixels of bands are.

    Raises:
        SceneError: when they look like an image.
    """
    tags = dataset.tags()
    if OWN in tags:
        return "probability" if {"GEOSEG_THRESHOLDS", "GEOSEG_PROBABILITY"} & tags.keys() else "mask"
    if all(dataset.dtypes[k - 1].startswith("float") or dataset.scales[k - 1] != 1 for k in bands):
        return "probability"
    if len(bands) > 1:
        raise SceneError(
            f"{dataset.name}: it has {len(bands)} bands of integers and a mask has one; "
            "is it an image? run geoseg predict on it, or choose a band with --band"
        )
    return "mask"


def probability_bands(reader: Reader, bands: Sequence[int], threshold: Threshold) -> tuple[ClassBand, ...]:
    """The classes of a raster of probabilities: by band description, else by tag.

    Where they come from a softmax and no threshold is given, a pixel belongs to its most probable class. That
    takes all bands of the model: a raster that has lost some falls back to thresholds.

    Raises:
        SceneError: when a threshold is not from 0 to 1, or of no class that the raster has.
    """
    dataset = reader.dataset
    tagged, limits, profiles = (_tagged(dataset, name) for name in (OWN, "GEOSEG_THRESHOLDS", PROFILES))
    whole = dataset.count > 1 and all(limits)
    exclusive = whole and threshold is None and dataset.tags().get(ACTIVATION) == "softmax"
    unnamed = FOREGROUND if len(bands) == 1 else "band_{}"
    names = [dataset.descriptions[k - 1] or tagged[k - 1] or unnamed.format(k) for k in bands]
    calibrated = [float(limits[k - 1] or DEFAULT_THRESHOLD) for k in bands]
    chosen = thresholds_of(threshold, names, calibrated, SceneError)
    return tuple(
        ClassBand(name, k, k, threshold=None if exclusive else limit, profile=profiles[k - 1] or None)
        for k, name, limit in zip(bands, names, chosen, strict=True)
    )


def _tagged(dataset: Any, name: str) -> list[str]:
    """The words of a tag, one per band; empty ones when it does not fit."""
    words: list[str] = dataset.tags().get(name, "").split()
    return words if len(words) == dataset.count else [""] * dataset.count


def refuse_threshold(threshold: Threshold, path: str | Path, held: str) -> None:
    """Say that a threshold means nothing where a file holds something other than probabilities.

    Raises:
        SceneError: when one is given.
    """
    if threshold is not None:
        raise SceneError(
            f"{path}: it holds {held}, to which no threshold applies; "
            "leave --threshold out or give a raster of probabilities"
        )


def mask_bands(reader: Reader, bands: Sequence[int], threshold: Threshold) -> tuple[ClassBand, ...]:
    """The classes of a mask: those it names, else those that occur.

    Raises:
        SceneError: when a threshold is given, or numbers are no classes.
    """
    dataset = reader.dataset
    refuse_threshold(threshold, dataset.name, "class numbers")
    categories = categories_of(Path(dataset.name), bands[0])
    if reader.own:
        tags = dataset.tags()
        return mask_classes(categories[1:] or tags[OWN].split(), tags.get(PROFILES, "").split(), bands[0])
    numbers = (values for values, _ in reader.numbers(bands[0], ROWS))
    return found_classes(numbers, categories, bands[0], dataset.name)
