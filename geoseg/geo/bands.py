"""Which bands of a raster a model wants, by name where the raster names them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from rasterio.enums import ColorInterp

from geoseg.errors import SceneError

log = logging.getLogger(__name__)


def choose_bands(
    dataset: Any, wanted: Sequence[str], bidx: Sequence[int] | None = None, *, quiet: bool = False
) -> list[int]:
    """Band numbers (from 1) of a rasterio dataset for the bands a model wants.

    Args:
        dataset: an open `rasterio` dataset.
        wanted: band names in the model's order, e.g. `["red", "green", "blue"]`; none of them for all
            bands but alpha.
        bidx: band numbers given by the user, which win; may repeat.
        quiet: no warning when bands are taken in their order.

    Raises:
        SceneError: when there are too few bands, or their meaning is not known.
    """
    if bidx:
        return _checked(dataset, wanted, bidx)
    kinds = [kind.name.lower() for kind in dataset.colorinterp]
    names = [(text or "").lower() for text in dataset.descriptions]
    if wanted and "palette" in kinds:
        raise SceneError(
            f"{dataset.name}: band 1 is a palette of colours; "
            "expand it first, e.g. gdal_translate -expand rgb, or give bands with -b"
        )
    for labels in (kinds, names):
        if wanted and all(name in labels for name in wanted):
            return [labels.index(name) + 1 for name in wanted]
    data = [number for number, kind in enumerate(kinds, 1) if kind != "alpha"]
    if len(data) < len(wanted):
        same = ",".join(["1"] * len(wanted))
        raise SceneError(
            f"{dataset.name}: the model needs {len(wanted)} bands ({', '.join(wanted)}), the scene has "
            f"{len(data)}; choose with -b, e.g. -b {same} to use band 1 for all"
        )
    if not wanted:
        return data
    if len(data) > len(wanted) and not quiet:
        log.warning("%s: bands are not named; taking %s as %s (choose with -b)",
                    dataset.name, data[: len(wanted)], "/".join(wanted))  # fmt: skip
    return data[: len(wanted)]


def alpha_beside(dataset: Any, indexes: Sequence[int]) -> int:
    """The number of an alpha band that is not among those to be read; 0 for none.

    GDAL takes it for a mask in bytes and 16-bit integers only, and only if it is the second or fourth band.
    """
    found = (number for number, kind in enumerate(dataset.colorinterp, 1) if kind == ColorInterp.alpha)
    return next((number for number in found if number not in indexes), 0)


def _checked(dataset: Any, wanted: Sequence[str], bidx: Sequence[int]) -> list[int]:
    if wanted and len(bidx) != len(wanted):
        raise SceneError(
            f"the model needs {len(wanted)} bands ({', '.join(wanted)}), got -b {','.join(map(str, bidx))}; "
            f"give {len(wanted)} numbers"
        )
    missing = [number for number in bidx if not 1 <= number <= dataset.count]
    if missing:
        raise SceneError(f"{dataset.name}: there is no band {missing[0]}; the scene has 1 to {dataset.count}")
    return list(bidx)
