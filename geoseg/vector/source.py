"""Rasters to vectorize: class masks and probabilities, geoseg's own or anybody's, as strips of rows.

What a raster holds follows from its tags; without them, from its pixels:

    pixels                          are read as
    integers                        a mask: 0 is background, every other number a class
    integers with a scale           probabilities, once scaled
    floats                          probabilities 0 … 1, one class per band
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from geoseg.core.thresholds import Threshold
from geoseg.errors import SceneError
from geoseg.geo.gdal import session, translated
from geoseg.geo.geobox import geobox_of
from geoseg.geo.reach import open_input
from geoseg.vector.source_base import Source
from geoseg.vector.source_classes import chosen
from geoseg.vector.source_codes import LabelStrip
from geoseg.vector.source_kind import OWN, Kind, bands_of, kind_of, mask_bands, probability_bands
from geoseg.vector.source_pixels import ROWS, Reader, mask_strips, probability_strips
from geoseg.vector.source_place import placed


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RasterSource(Source):
    """An open raster of classes. Use `open_raster_source`.

    Attributes:
        kind: whether pixels hold class numbers or probabilities.
        reader: of its pixels.
    """

    kind: Kind
    reader: Reader

    def strips(self, class_name: str | None = None, rows: int = ROWS) -> Iterator[LabelStrip]:
        """Read the raster from top to bottom.

        Args:
            class_name: the class to read. None reads all chosen classes of a mask at once; of a
                probability raster, where they may overlap, it reads the only one.
            rows: height of a strip; the last may be lower.

        Raises:
            SceneError: when the file is damaged, holds no probabilities where it should, has no such
                class or several to choose from.
        """
        bands = chosen(self.bands, class_name, self.scene)
        if self.kind == "mask":
            return mask_strips(self.reader, bands, rows)
        if len(bands) > 1:
            names = ", ".join(one.name for one in bands)
            raise SceneError(f"{self.scene}: its classes may overlap; read one at a time of {names}")
        return probability_strips(self.reader, bands[0], self.coded, rows)


@contextmanager
def open_raster_source(
    path: str | Path,
    *,
    class_name: str | None = None,
    band: int | str | None = None,
    threshold: Threshold = None,
    nodata: float | None = None,
    allow_remote: bool = False,
) -> Iterator[RasterSource]:
    """Open a raster to vectorize, and close it at the end of the `with` block.

    A mask that does not say which classes it holds is read once from end to end to find them.

    Args:
        path: anything GDAL opens.
        class_name: take only this class, by name or number; all but `background` otherwise. A mask of one
            class without a name takes any.
        band: take only this band, by description or number (from 1).
        threshold: probability from which a pixel belongs to a class, or to some by name, instead of the
            raster's own or 0.5, or of its being the most probable class of a softmax.
        nodata: value of pixels without data, instead of the raster's own.
        allow_remote: follow what the raster's content points at, see `geo.reach`.

    Raises:
        SceneError: when it cannot be opened, or has no such class or band.
    """
    with ExitStack() as stack:
        with translated(SceneError, f"cannot open {path}", "give a raster that GDAL can read"):
            dataset = stack.enter_context(open_input(path, allow_remote=allow_remote))
        with translated(SceneError, f"cannot use {path}", "the file is damaged, fetch it again"):
            tags, box = dataset.tags(), placed(geobox_of(dataset), dataset.name)
            bands = bands_of(dataset, band)
            stack.enter_context(session(dataset))
            value = dataset.nodatavals[bands[0] - 1] if nodata is None else nodata
            reader = Reader(dataset, value, OWN in tags)
            kind = kind_of(dataset, bands)
            find = probability_bands if kind == "probability" else mask_bands
            classes = chosen(find(reader, bands, threshold), class_name, str(path))
        yield RasterSource(
            scene=Path(path).name, model=tags.get("GEOSEG_MODEL"), kind=kind, geobox=box,
            bands=classes, reader=reader,
            coded=OWN in tags and dataset.dtypes[bands[0] - 1] == "uint8",
        )  # fmt: skip
