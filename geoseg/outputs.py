"""The rasters of a prediction: what they hold, and how strips become their pixels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import geoseg
from geoseg.core.mask import NODATA, classify, quantize
from geoseg.core.stitch import Strip
from geoseg.core.window import Window
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import RasterSpec, StripWriter, cog
from geoseg.models.bundle import Bundle
from geoseg.settings import Settings

Encoder = Callable[[Strip], NDArray[Any]]
Output = tuple[RasterSpec, Encoder]
Append = Callable[[Strip], list[NDArray[Any]]]


def mask_output(box: GeoBox, bundle: Bundle, settings: Settings, options: Mapping[str, str]) -> Output:
    """The class mask: uint8, 0 background, 1 … n classes in card order, 255 nodata."""
    card = bundle.card
    names = ("background", *(spec.name for spec in card.classes))
    colors = {0: (0, 0, 0, 0), NODATA: (0, 0, 0, 0)} | {
        value: spec.rgba for value, spec in enumerate(card.classes, 1)
    }
    spec = RasterSpec(box, ("class",), overviews="mode", colors=colors, categories=names,
                      tags=_tags(bundle, settings), options=options)  # fmt: skip
    return spec, lambda strip: classify(
        strip.probabilities, strip.valid, settings.thresholds, card.activation
    )


def probability_output(
    box: GeoBox,
    bundle: Bundle,
    settings: Settings,
    options: Mapping[str, str],
    dtype: Literal["uint8", "float32"] = "uint8",
) -> Output:
    """One band per class: round(254·p) with 255 for nodata, or float32 with NaN."""
    names = tuple(spec.name for spec in bundle.card.classes)
    tags = _tags(bundle, settings) | {"GEOSEG_THRESHOLDS": " ".join(map(str, settings.thresholds))}
    if dtype == "float32":
        spec = RasterSpec(box, names, "float32", float("nan"), tags=tags, options=options)
        return spec, lambda strip: np.where(
            strip.valid[..., None], np.minimum(strip.probabilities, 1), np.float32("nan")
        )
    tags |= {"GEOSEG_PROBABILITY": "value / 254"}
    spec = RasterSpec(box, names, tags=tags, options=options)
    return spec, lambda strip: quantize(strip.probabilities, strip.valid)


@contextmanager
def rasters(paths: Sequence[Path], outputs: Sequence[Output]) -> Iterator[Callable[[Window], Append]]:
    """Open rasters to fill with strips; they become Cloud-Optimized GeoTIFFs when the block ends well.

    Args:
        paths: where they are to be written, already staged.
        outputs: what they look like.

    Yields:
        A function that takes the window of a stripe of columns, in pixels of the raster, and returns the
        function that appends its strips from top to bottom and returns the pixels written to each.
    """
    with ExitStack() as stack:
        opened = [
            stack.enter_context(cog(path, spec)) for path, (spec, _) in zip(paths, outputs, strict=True)
        ]
        encoders = [encoder for _, encoder in outputs]
        yield lambda columns: _appender([writers(columns) for writers in opened], encoders)


def _appender(writers: list[StripWriter], encoders: list[Encoder]) -> Append:
    def append(strip: Strip) -> list[NDArray[Any]]:
        written = [encode(strip) for encode in encoders]
        for writer, rows in zip(writers, written, strict=True):
            writer.append(rows)
        return written

    return append


def _tags(bundle: Bundle, settings: Settings) -> dict[str, str]:
    """Provenance that travels with the file."""
    return {
        "GEOSEG_VERSION": geoseg.__version__,
        "GEOSEG_MODEL": bundle.card.name,
        "GEOSEG_MODEL_LEVEL": "" if bundle.level is None else f"L{bundle.level}",
        "GEOSEG_MODEL_SHA256": " ".join(bundle.card.files.values()),
        "GEOSEG_OPTIONS": settings.digest,
        "GEOSEG_CLASSES": " ".join(spec.name for spec in bundle.card.classes),
        "GEOSEG_ATTRIBUTION": "; ".join(bundle.card.attribution),
    }
