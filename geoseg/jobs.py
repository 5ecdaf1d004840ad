"""A scene to be worked on: what to read of it, and where the results go."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from geoseg.core.grid import Grid
from geoseg.core.window import Window
from geoseg.geo.scene import Scene, open_scene
from geoseg.memory import DEFAULT_LIMIT
from geoseg.models.bundle import Bundle
from geoseg.settings import Settings


@dataclass(frozen=True, slots=True)
class SceneJob:
    """One scene, what to read of it, and where the results go.

    Attributes:
        scene: anything GDAL opens.
        mask: the class mask to write.
        probabilities: the probabilities to write, None for none.
        polygons: the vector file to write, None for none.
        quicklook: the picture to write, None for none.
        styled: whether mask and polygons get styles for QGIS beside them.
        probability_dtype: `uint8` for round(254·p), or `float32`.
        bidx: band numbers to use; None to find them by name.
        nodata: a value that means no data, beside the file's own.
        bounds: left, bottom, right, top in the scene's CRS; None for the whole scene.
        window: pixels of the scene as its model sees it, instead of `bounds`: a chunk of a batch.
        cutline: a vector file outside whose polygons nothing is predicted.
        options: COG creation options.
        max_memory: bytes to stay within.
        overwrite: replace outputs that exist.
        allow_remote: follow what the scene's content points at, see `geo.reach`.
    """

    scene: str
    mask: Path
    probabilities: Path | None = None
    polygons: Path | None = None
    quicklook: Path | None = None
    styled: bool = False
    probability_dtype: Literal["uint8", "float32"] = "uint8"
    bidx: tuple[int, ...] | None = None
    nodata: float | None = None
    bounds: tuple[float, float, float, float] | None = None
    window: Window | None = None
    cutline: Path | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    max_memory: int = DEFAULT_LIMIT
    overwrite: bool = False
    allow_remote: bool = False

    @property
    def outputs(self) -> tuple[Path, ...]:
        """The files that the job writes."""
        return tuple(path for path in (self.mask, self.probabilities, self.polygons) if path is not None)

    @property
    def styles(self) -> tuple[Path, ...]:
        """The styles that it writes: one for mask and polygons whose names differ by the extension only."""
        styles = [style_of(layer) for layer in (self.mask, self.polygons)] if self.styled else []
        return tuple(dict.fromkeys(path for path in styles if path is not None))

    @property
    def beside(self) -> tuple[Path, ...]:
        """What it writes beside the outputs, for people to look at them."""
        return (*((self.quicklook,) if self.quicklook is not None else ()), *self.styles)


def style_of(layer: Path | None) -> Path | None:
    """Where QGIS looks for the style of a layer."""
    return None if layer is None else layer.with_suffix(".qml")


def mask_of(scene: str) -> Path:
    """Where a scene's mask goes if nothing else is said: into the current folder."""
    return Path(f"{Path(scene).stem}_mask.tif")


def quicklook_of(mask: Path) -> Path:
    """Where the picture of a scene goes: beside its mask."""
    return mask.with_name(f"{mask.stem}_quicklook.png")


@contextmanager
def open_job(job: SceneJob, bundle: Bundle, settings: Settings) -> Iterator[tuple[Scene, Window]]:
    """Open a job's scene as its model wants it, with the window to work on."""
    with open_scene(
        job.scene,
        bundle.card.bands,
        bidx=job.bidx,
        nodata=job.nodata,
        sizes_m=settings.pixel_sizes_m,
        cutline=job.cutline,
        allow_remote=job.allow_remote,
    ) as scene:
        yield scene, _area(job, scene)


def _area(job: SceneJob, scene: Scene) -> Window:
    if job.window is not None:
        return job.window.clip(scene.shape)
    return scene.geobox.window_of(job.bounds) if job.bounds else scene.geobox.whole()


def planned(grid: Grid, areas: Iterable[Window]) -> int:
    """How many patches it takes to cover each of some areas."""
    return sum(math.prod(map(len, grid.touching(area))) for area in areas)
