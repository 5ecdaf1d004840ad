"""The files of a prediction: what they hold, and how strips become their pixels and polygons."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from geoseg.core.mask import NODATA, classify, quantize
from geoseg.core.stitch import Strip
from geoseg.core.window import Window
from geoseg.geo.geobox import GeoBox
from geoseg.geo.mosaic import cog
from geoseg.geo.strip_writer import RasterSpec, StripWriter
from geoseg.jobs import SceneJob
from geoseg.models.bundle import Bundle
from geoseg.provenance import Tags, model_tags
from geoseg.settings import Settings
from geoseg.vector import ogr  # noqa: F401 - before TensorFlow, if it is not too late
from geoseg.vector.source_classes import ClassBand, chosen
from geoseg.vector.source_place import placed
from geoseg.vector.source_stream import StreamSource

Encoder = Callable[[Strip], NDArray[Any]]
Output = tuple[RasterSpec, Encoder]
Append = Callable[[Strip], list[NDArray[Any]]]


def mask_output(
    box: GeoBox, bundle: Bundle, settings: Settings, options: Mapping[str, str], made_by: Tags
) -> Output:
    """The class mask: uint8, 0 background, 1 … n classes in card order, 255 nodata."""
    card = bundle.card
    names = ("background", *(spec.name for spec in card.classes))
    colors = {0: (0, 0, 0, 0), NODATA: (0, 0, 0, 0)} | {
        value: spec.rgba for value, spec in enumerate(card.classes, 1)
    }
    spec = RasterSpec(box, ("class",), overviews="mode", colors=colors, categories=names,
                      tags=model_tags(bundle, settings, made_by), options=options)  # fmt: skip
    return spec, lambda strip: classify(
        strip.probabilities, strip.valid, settings.thresholds, card.activation
    )


def probability_output(
    box: GeoBox,
    bundle: Bundle,
    settings: Settings,
    options: Mapping[str, str],
    made_by: Tags,
    dtype: Literal["uint8", "float32"] = "uint8",
) -> Output:
    """One band per class: round(254·p) with 255 for nodata, or float32 with NaN."""
    names = tuple(spec.name for spec in bundle.card.classes)
    tags = model_tags(bundle, settings, made_by) | {
        "GEOSEG_THRESHOLDS": " ".join(map(str, settings.thresholds))
    }
    if dtype == "float32":
        spec = RasterSpec(box, names, "float32", float("nan"), tags=tags, options=options)
        return spec, lambda strip: np.where(
            strip.valid[..., None], np.minimum(strip.probabilities, 1), np.float32("nan")
        )
    tags |= {"GEOSEG_PROBABILITY": "value / 254"}
    spec = RasterSpec(box, names, tags=tags, options=options)
    return spec, lambda strip: quantize(strip.probabilities, strip.valid)


@contextmanager
def rasters(paths: Sequence[Path | None], outputs: Sequence[Output]) -> Iterator[Callable[[Window], Append]]:
    """Open rasters to fill with strips; they become Cloud-Optimized GeoTIFFs when the block ends well.

    Args:
        paths: where they are to be written, already staged; None for pixels of which no file is wanted.
        outputs: what they look like.

    Yields:
        A function that takes the window of a stripe of columns, in pixels of the raster, and returns the
        function that appends its strips from top to bottom and returns the pixels of each.
    """
    with ExitStack() as stack:
        opened = [
            stack.enter_context(cog(path, spec)) if path is not None else None
            for path, (spec, _) in zip(paths, outputs, strict=True)
        ]
        encoders = [encoder for _, encoder in outputs]
        yield lambda columns: _appender([writers and writers(columns) for writers in opened], encoders)


def _appender(writers: list[StripWriter | None], encoders: list[Encoder]) -> Append:
    def append(strip: Strip) -> list[NDArray[Any]]:
        pixels = [encode(strip) for encode in encoders]
        for writer, rows in zip(writers, pixels, strict=True):
            if writer is not None:
                writer.append(rows)
        return pixels

    return append


def polygon_source(scene: str, box: GeoBox, bundle: Bundle, settings: Settings, dtype: str) -> StreamSource:
    """What the pixels of `probability_output` mean to those who vectorize them, as its tags say it.

    Args:
        scene: its name.
        box: its pixel plane.
        bundle: the model.
        settings: how it is run.
        dtype: of the pixels.

    Raises:
        SceneError: when it has control points that do not lie on a plane.
    """
    card = bundle.card
    limits = [None] * len(card.classes) if card.activation == "softmax" else settings.thresholds
    classes = [
        ClassBand(spec.name, band, band, threshold=limit, profile=spec.profile)
        for band, (spec, limit) in enumerate(zip(card.classes, limits, strict=True), 1)
    ]
    return StreamSource(
        scene=scene, model=card.name, geobox=placed(box, scene), bands=chosen(classes, None, scene),
        coded=dtype == "uint8",
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a job under their temporary names.

    Attributes:
        job: the job.
        drafts: temporary names by final name.
        bundle: the model.
        settings: how it is run.
        made_by: see `engine_tags`.
        box: the pixel plane of the rasters.
        whole: whether strips are as wide as they.
    """

    job: SceneJob
    drafts: Mapping[Path, Path]
    bundle: Bundle
    settings: Settings
    made_by: Tags
    box: GeoBox
    whole: bool

    def rasters(self) -> AbstractContextManager[Callable[[Window], Append]]:
        """Open the mask, and after it the probabilities if they or polygons are wanted; see `rasters`."""
        job, about = self.job, (self.box, self.bundle, self.settings, self.job.options, self.made_by)
        paths: list[Path | None] = [self.drafts[job.mask]]
        outputs = [mask_output(*about)]
        if job.probabilities is not None or job.polygons is not None:
            paths.append(self._probabilities)
            outputs.append(probability_output(*about, job.probability_dtype))
        return rasters(paths, outputs)

    @property
    def _probabilities(self) -> Path | None:
        """Where probabilities go that are wanted, or needed for polygons; None if they need no file."""
        if self.job.probabilities is not None:
            return self.drafts[self.job.probabilities]
        mask = self.drafts[self.job.mask]
        return None if self.whole else mask.with_name(mask.name + ".p.tif")

    @contextmanager
    def polygons(self) -> Iterator[Callable[[NDArray[Any]], object]]:
        """Make polygons, if they are wanted, of the pixels of probabilities that the yielded function gets.

        Whether their file can be written is found out before an hour is spent on the network.
        """
        if self.job.polygons is None:
            yield _ignore
            return
        from geoseg.polygons import vectorize, vectorized_stream
        from geoseg.vector.files import check_output

        name, draft = Path(self.job.scene).name, self.drafts[self.job.polygons]
        source = polygon_source(name, self.box, self.bundle, self.settings, self.job.probability_dtype)
        check_output(self.job.polygons, source.geobox.crs, overwrite=True)  # `staged` has looked for it
        # tracing takes whole rows: what comes in stripes of columns has to become a raster first
        raster = None if self.whole else self._probabilities
        if raster is None:
            with vectorized_stream(draft, source) as push:
                yield push
        else:
            yield _ignore
            vectorize(raster, draft, scene=name)


def _ignore(pixels: NDArray[Any]) -> None:
    """Take pixels that nobody wants."""
