"""From a raster of classes or probabilities to a file of polygons: trace, shape, describe, write."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import shapely
from numpy.typing import NDArray

from geoseg.core.thresholds import Threshold
from geoseg.geo.fingerprint import unchanged
from geoseg.vector.attributes import FeatureBatch, columns_for, feature_batch
from geoseg.vector.components import Components
from geoseg.vector.files import check_output, decimals_for, write_features
from geoseg.vector.shaping import Shaping, draw, trace_class
from geoseg.vector.source import RasterSource, open_raster_source
from geoseg.vector.source_base import Source
from geoseg.vector.source_classes import ClassBand
from geoseg.vector.source_codes import LabelStrip
from geoseg.vector.source_stream import StreamSource, pushing

__all__ = ["Shaping", "Vectorized", "vectorize", "vectorized_stream"]


@dataclass(frozen=True, slots=True)
class Vectorized:
    """What was done with a raster.

    Attributes:
        raster: its name.
        output: the file written.
        polygons: how many, by class.
        seconds: wall time.
    """

    raster: str
    output: str
    polygons: Mapping[str, int]
    seconds: float


def vectorize(
    raster: str | Path,
    output: str | Path,
    *,
    shaping: Shaping | None = None,
    class_name: str | None = None,
    band: int | str | None = None,
    threshold: Threshold = None,
    nodata: float | None = None,
    scene: str | None = None,
    overwrite: bool = False,
    allow_remote: bool = False,
) -> Vectorized:
    """Turn a raster of classes or probabilities into polygons on its own ground.

    Probabilities of a softmax are coded in steps of 1/254: where two classes come equal, the earlier one is
    taken for the most probable, and the class mask, made before coding, may know better.

    Args:
        raster: anything GDAL opens: a class mask, probabilities, or another program's mask.
        output: .geojson, .geojsonl, .gpkg, .fgb or .parquet; `-` for lines of GeoJSON on stdout.
        shaping: how polygons are drawn.
        class_name: take only this class; all but one named `background` otherwise.
        band: take only this band.
        threshold: probability that makes a class, or some classes by name, instead of the raster's own or
            0.5; where probabilities come from a softmax, instead of being the most probable class.
        nodata: the value of pixels without data, instead of the raster's own.
        scene: what the polygons' attribute `scene` says; the raster's name when None.
        overwrite: replace an output that exists.
        allow_remote: follow what the raster's content points at, see `geo.reach`.

    Raises:
        GeosegError: one line that says what was wrong, what was got and what to do.
    """
    start = time.perf_counter()
    shaping = shaping or Shaping()
    with open_raster_source(
        raster, class_name=class_name, band=band, threshold=threshold, nodata=nodata,
        allow_remote=allow_remote,
    ) as source:  # fmt: skip
        check_output(output, source.geobox.crs, overwrite)
        drawn = _drawn_all(str(raster), source, shaping, scene or source.scene)
        counts = _write(output, source, drawn, overwrite)
    return Vectorized(str(raster), str(output), counts, time.perf_counter() - start)


def _drawn_all(
    raster: str, source: RasterSource, shaping: Shaping, scene: str
) -> Iterator[FeatureBatch | None]:
    """The features of each class of a raster that stays what it is meanwhile."""
    with unchanged(raster):
        for one in source.bands:
            yield _drawn(source, shaping, scene, one, source.strips(one.name))


@contextmanager
def vectorized_stream(
    output: str | Path, source: StreamSource, shaping: Shaping | None = None, overwrite: bool = False
) -> Iterator[Callable[[NDArray[Any]], None]]:
    """Trace probabilities while they are made; their polygons are written when the block ends well.

    Each class is traced, and then drawn, in a thread of its own. The file equals that of `vectorize` on the
    raster of the same probabilities.

    Args:
        output: as for `vectorize`.
        source: what the probabilities mean, and where they lie.
        shaping: how polygons are drawn.
        overwrite: replace an output that exists.

    Yields:
        A function that takes the next rows of the raster's pixels, see `StreamSource.strips`. It waits while
        tracing lags behind.

    Raises:
        GeosegError: when the output cannot be written, before the block begins if that can be known.
    """
    shaping = shaping or Shaping()
    check_output(output, source.geobox.crs, overwrite)
    with pushing([partial(_streamed, source, shaping, one) for one in source.bands]) as (push, results):
        yield push
        _write(output, source, results(), overwrite)


def _streamed(
    source: StreamSource, shaping: Shaping, one: ClassBand, rows: Iterator[NDArray[Any]]
) -> FeatureBatch | None:
    """The features of a class in rows that pass by."""
    return _drawn(source, shaping, source.scene, one, source.strips(one, rows))


def _write(
    output: str | Path, source: Source, drawn: Iterable[FeatureBatch | None], overwrite: bool
) -> Mapping[str, int]:
    """Write the polygons of all classes, one class after the other; how many of each there were."""
    counts, box = dict[str, int](), source.geobox

    def features() -> Iterator[FeatureBatch]:
        for one, batch in zip(source.bands, drawn, strict=True):
            counts[one.name] = 0 if batch is None else len(batch)
            if batch is not None:
                yield batch

    write_features(
        output, features(), crs=box.crs, columns=columns_for(box.crs), decimals=decimals_for(box),
        overwrite=overwrite,
    )  # fmt: skip
    return counts


def _drawn(
    source: Source, shaping: Shaping, scene: str, one: ClassBand, strips: Iterator[LabelStrip]
) -> FeatureBatch | None:
    """The features of a class, None without any; it is held until complete: neighbours are drawn together."""
    traced = trace_class(strips, one, source.geobox, shaping)
    return None if traced is None else _features(traced, one, source, shaping, scene)


def _features(
    traced: Components, one: ClassBand, source: Source, shaping: Shaping, scene: str
) -> FeatureBatch:
    """What was traced of a class, drawn and described."""
    polygons, form = draw(traced, one, source.geobox, shaping)
    solid = ~shapely.is_empty(polygons)
    batch = feature_batch(
        polygons[solid], source.geobox, class_name=one.name, scene=scene, model=source.model,
        pixels=traced.pixels[solid], sums=None if one.cut is None else traced.probability_sum[solid],
        touches_edge=traced.touches_edge[solid], regularized=None if form is None else form[solid],
    )  # fmt: skip
    area = next(c.name for c in columns_for(source.geobox.crs) if c.name.startswith("area_"))
    return batch.take(batch.columns[area] >= shaping.least_m2(shaping.profile_of(one)))
