"""What lies beside a prediction to look at: a quicklook, and styles for QGIS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

import geoseg
from geoseg.core.filters import Pixels, Valid
from geoseg.core.mask import NODATA
from geoseg.core.patches import PixelSource
from geoseg.core.thumbnail import Thumbnail
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.gdal import translated
from geoseg.geo.reach import open_input
from geoseg.geo.scene import Scene
from geoseg.jobs import SceneJob, style_of
from geoseg.models.card import Card
from geoseg.report.qgis import Named, style
from geoseg.staging import staged

LIGHT, DARK = 99, 80  # per cent of the pixels that are not brighter than this in a dark scene, of 255

Glance = Callable[[Window, NDArray[np.uint8]], object]


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """A scene whose pixels are pictured as they are read: a picture needs no second reading.

    Attributes:
        scene: what is read.
        seen: what is pictured of it.
        bands: see `PixelSource`, as are the others.
        lock: held while a window is added to the picture.
    """

    scene: PixelSource
    seen: Thumbnail
    lock: Lock = field(default_factory=Lock, init=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.scene.shape

    @property
    def bands(self) -> int:
        """How many bands a read returns."""
        return self.scene.bands

    @property
    def complete(self) -> bool:
        """True when no pixel of the scene can be invalid."""
        return self.scene.complete

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read a window inside the scene."""
        pixels, valid = self.scene.read(window)
        lattice = self.seen.lattice(window)
        with self.lock:
            self.seen.add(window, pixels[lattice], valid[lattice])
        return pixels, valid


@contextmanager
def quicklook(
    job: SceneJob, drafts: Mapping[Path, Path], scene: Scene, area: Window, card: Card
) -> Iterator[tuple[PixelSource, Glance]]:
    """Draw a picture of what is read and found inside the `with` block, when it ends well.

    Args:
        job: the scene; nothing is drawn if it wants no picture.
        drafts: where to write, by final path.
        scene: the scene, open.
        area: the part of it that is worked on.
        card: of the model.

    Yields:
        The source to read from, and a function that takes each window of the scene with its (h, w) uint8
        class mask.
    """
    if job.quicklook is None:
        yield scene, lambda window, mask: None
        return
    from geoseg.report.quicklook import LONGEST

    seen, found = (Thumbnail(area, channels, LONGEST) for channels in (scene.bands, len(card.classes)))

    def glance(window: Window, mask: NDArray[np.uint8]) -> None:
        lattice = found.lattice(window)
        codes = mask[lattice][..., None]
        found.add(window, codes == np.arange(1, len(card.classes) + 1), codes[..., 0] != NODATA)

    yield Watched(scene, seen), glance
    _draw(job, drafts[job.quicklook], scene, seen, found, card)


def _draw(job: SceneJob, draft: Path, scene: Scene, seen: Thumbnail, found: Thumbnail, card: Card) -> None:
    from geoseg.report.quicklook import Caption, draw_quicklook

    (pixels, _), (shares, valid) = seen.picture(), found.picture()
    means = shares[valid].mean(0) if valid.any() else np.zeros(len(card.classes))
    side = scene.geobox.side_m()
    note = [f"geoseg {geoseg.__version__}", card.name, *([f"{side:.3g} m pixels"] if side else [])]
    caption = Caption(
        Path(job.scene).name, " · ".join(note),
        [(spec.name, spec.color, float(mean)) for spec, mean in zip(card.classes, means, strict=True)],
        side * seen.factor if side else None,
    )  # fmt: skip
    draw_quicklook(draft, _visible(scene.scaling()(pixels), valid, card), valid, shares, caption)


def _visible(pixels: NDArray[Any], valid: Valid, card: Card) -> NDArray[np.uint8]:
    """(h, w, 3) uint8: the bands red, green and blue, or else the first three, or the first as grey.

    A scene too dark to see anything in it is brightened.
    """
    names = [name.lower() for name in card.bands]
    colors = [names.index(color) for color in ("red", "green", "blue") if color in names]
    chosen = colors if len(colors) == 3 else [0, 1, 2] if pixels.shape[-1] >= 3 else [0, 0, 0]
    seen = pixels[..., chosen].astype(np.float32)
    light = float(np.percentile(seen[valid], LIGHT)) if valid.any() else 0.0
    if 0 < light < DARK:
        seen *= 255 / light
    visible: NDArray[np.uint8] = np.clip(seen + 0.5, 0, 255).astype(np.uint8)
    return visible


def write_styles(job: SceneJob, drafts: Mapping[Path, Path], card: Card) -> None:
    """Write the styles of a job's mask and polygons.

    Args:
        job: the scene and its outputs.
        drafts: where to write, by final path.
        card: of the model.
    """
    classes = [(spec.name, spec.color) for spec in card.classes]
    for path in job.styles:
        raster, polygons = (classes if style_of(layer) == path else () for layer in (job.mask, job.polygons))
        drafts[path].write_text(style(raster, polygons), encoding="utf-8")


@contextmanager
def polygon_style(
    raster: str, output: Path, overwrite: bool = False, allow_remote: bool = False
) -> Iterator[None]:
    """Write the style of polygons when the `with` block that makes them ends well.

    Nothing is written for a raster whose tags name no colours. A style of the raster itself that lies there
    already, as polygons and raster may have one name, is made to serve both. A style that is not geoseg's
    stays as it is.

    Args:
        raster: what they are made of.
        output: the vector file.
        overwrite: replace any style that is there.
        allow_remote: see `geo.reach`.

    Raises:
        SceneError: when the raster cannot be opened.
        OutputError: when the style cannot be written.
    """
    if not output.name:  # no name of a file: the vector file's own error says so
        yield
        return
    classes, path = _colors(raster, allow_remote), output.with_suffix(".qml")
    there = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None
    of_raster, both = style(classes), style(classes, classes)
    wanted = both if there in (of_raster, both) else style((), classes)
    if not classes or there == wanted or not (overwrite or there in (None, of_raster)):
        yield
        return
    with staged(path, overwrite=True) as (draft,):
        draft.write_text(wanted, encoding="utf-8")
        yield


def _colors(raster: str, allow_remote: bool) -> list[Named]:
    """Names and colours of the classes of a raster of ours; none when its tags do not say them."""
    with (
        translated(SceneError, f"cannot open {raster}", "give a raster that GDAL can read"),
        open_input(raster, allow_remote=allow_remote) as dataset,
    ):
        tags = dataset.tags()
    names, colors = (tags.get(tag, "").split() for tag in ("GEOSEG_CLASSES", "GEOSEG_COLORS"))
    known = len(names) == len(colors) and all(re.fullmatch("#[0-9a-fA-F]{6}", color) for color in colors)
    return list(zip(names, colors, strict=True)) if known else []
