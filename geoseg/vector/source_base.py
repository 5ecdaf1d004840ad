"""What polygons need to know of the pixels they come from."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.geo.geobox import GeoBox
from geoseg.vector.source_classes import ClassBand


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Source:
    """A raster of classes, whether it lies in a file or is just being made.

    Attributes:
        scene: its name, for the polygons' table.
        model: name of the model that made it, None when unknown.
        geobox: its pixel plane, always with a transform: see `source_place.placed`.
        bands: the classes that were chosen, and where they are.
        coded: whether probabilities are bytes round(254·p).
    """

    scene: str
    model: str | None
    geobox: GeoBox
    bands: tuple[ClassBand, ...]
    coded: bool

    @property
    def classes(self) -> tuple[tuple[str, int], ...]:
        """(name, label) of the chosen classes."""
        return tuple((one.name, one.label) for one in self.bands)
