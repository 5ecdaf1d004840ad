"""A raster as pixels + validity + georeference."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from rasterio.enums import MaskFlags
from rasterio.features import geometry_mask

from geoseg.core.filters import Pixels, Valid
from geoseg.core.scaling import Scaling, guess_scaling
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.averaged import Averaged
from geoseg.geo.bands import alpha_beside, choose_bands
from geoseg.geo.cutline import read_cutline
from geoseg.geo.fingerprint import unchanged
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox, geobox_of, resampled
from geoseg.geo.overview import fine_enough
from geoseg.geo.raster import Raster, interpolated
from geoseg.geo.reach import open_input
from geoseg.geo.tile_stage import Fetch, ahead
from geoseg.geo.tiles import Tiles

log = logging.getLogger(__name__)

Source = Raster | Averaged

MAX_BLOCK_BYTES = 2**31  # GDAL decodes whole blocks; a header may claim any size
SAMPLES = 8  # windows across and down that `Scene.scaling` looks at


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An open raster that satisfies `core.patches.PixelSource`. Use `open_scene`.

    Attributes:
        name: what the user called it.
        source: its pixels and validity, on the plane of `geobox`.
        geobox: its pixel plane.
        cutline: geometries in the scene's CRS; pixels whose centre is outside all are invalid.
        fetch: called with every window before it is read, for scenes of map tiles.
        lock: held while a window is read: an open raster is for one thread at a time.
    """

    name: str
    source: Source
    geobox: GeoBox
    cutline: tuple[Any, ...] = ()
    fetch: Fetch | None = None
    lock: Lock = field(default_factory=Lock, init=False)

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.geobox.shape

    @property
    def bands(self) -> int:
        """How many bands a read returns."""
        return self.source.bands

    @property
    def dtype(self) -> str:
        """The numpy name of the pixels' dtype."""
        return str(self.source.dtype)

    @property
    def complete(self) -> bool:
        """True when no pixel can be invalid: no mask, no nodata value, no cutline, integers only."""
        return self.source.complete and not self.cutline

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read a window inside the scene.

        Returns:
            (height, width, bands) pixels in the raster's dtype, and (height, width) bool, True = has data:
            the AND of mask, nodata values, finite values and cutline.

        Raises:
            SceneError: when the file is damaged there, or a map tile is not to be had.
        """
        with self.lock:
            if self.fetch is not None:
                self.fetch(window)
            pixels, valid = self.source.read(window)
        if self.cutline and valid.any():
            transform = self.geobox.window(window).transform
            valid &= geometry_mask(self.cutline, window.shape, transform, invert=True)
        return pixels, valid

    def scaling(self) -> Scaling:
        """The scaling to 0 … 255 that suits the raster, guessed from windows spread over it."""
        if self.dtype == "uint8":
            return Scaling()
        return guess_scaling(self.dtype, np.concatenate(list(self._sample())))

    def _sample(self, side: int = 128) -> Iterator[Any]:
        """Valid values of a lattice of small windows, flat."""
        height, width = self.shape
        for row in np.linspace(0, max(0, height - side), SAMPLES).astype(int):
            for col in np.linspace(0, max(0, width - side), SAMPLES).astype(int):
                pixels, valid = self.read(Window(int(row), int(col), side, side).clip(self.shape))
                yield pixels[valid].ravel()


@contextmanager
def open_scene(
    path: str | Path,
    bands: Sequence[str] = ("red", "green", "blue"),
    *,
    bidx: Sequence[int] | None = None,
    nodata: float | None = None,
    sizes_m: tuple[float, float] | None = None,
    cutline: Path | None = None,
    quiet: bool = False,
    allow_remote: bool = False,
) -> Iterator[Scene]:
    """Open a raster for reading, and close it at the end of the `with` block.

    Args:
        path: anything GDAL opens, or the text form of `tiles.Tiles`.
        bands: band names in the model's order.
        bidx: band numbers to use instead of looking for the names.
        nodata: a value that means no data, beside the file's own.
        sizes_m: smallest and largest pixel size to work at, metres; None keeps the raster's pixels.
        cutline: a vector file; pixels outside its polygons have no data.
        quiet: no word of missing georeference or names of bands.
        allow_remote: follow what the raster's content points at, see `reach`.

    Raises:
        SceneError: when it cannot be opened or used, or was changed inside the block.
    """
    with ExitStack() as stack:
        stack.enter_context(unchanged(str(path)))
        tiles, fetch = Tiles.parse(str(path)), None
        if tiles is not None:
            (dataset, fetch), path = stack.enter_context(tiles.open()), tiles.label
        else:
            with translated(SceneError, f"cannot open {path}", "give a raster that GDAL can read"):
                dataset = stack.enter_context(open_input(path, allow_remote=allow_remote))
        with translated(SceneError, f"cannot use {path}", "the file is damaged, fetch it again"):
            _check(dataset, path)
            indexes = choose_bands(dataset, bands, bidx, quiet=quiet)
            raster, box = _raster(str(path), dataset, indexes, nodata), geobox_of(dataset)
        if not quiet:
            _warn(path, box)
        target = resampled(box, sizes_m) if sizes_m else box
        source: Source = raster
        if target is not box:
            log.info("%s: resampled from %s to %s px to suit the model (--res native turns it off)",
                     path, "×".join(map(str, box.shape)), "×".join(map(str, target.shape)))  # fmt: skip
            source = stack.enter_context(_on(target, raster))
            fetch = fetch and ahead(fetch, source.block, box.shape, target.shape)
        shapes = read_cutline(cutline, target) if cutline else ()
        yield Scene(str(path), source, target, shapes, fetch)


def _raster(path: str, dataset: Any, indexes: Sequence[int], nodata: float | None) -> Raster:
    """The chosen bands of a dataset, and what tells of their pixels without data."""
    own = tuple(dataset.nodatavals[i - 1] for i in indexes)
    codes = tuple(code for code in (own, (nodata,) * len(own)) if any(v is not None for v in code))
    masked = MaskFlags.per_dataset in dataset.mask_flag_enums[indexes[0] - 1]
    alpha = 0 if masked else alpha_beside(dataset, indexes)
    return Raster(path, dataset, tuple(indexes), codes, masked or alpha > 0, alpha)


@contextmanager
def _on(plane: GeoBox, raster: Raster) -> Iterator[Source]:
    """A raster on another pixel plane: interpolated where that is finer than its own, else averaged."""
    if plane.shape[0] > raster.shape[0]:
        with interpolated(raster, plane) as finer:
            yield finer
    else:
        with fine_enough(raster, plane.shape) as coarse:
            yield Averaged(coarse, plane.shape)


def _warn(path: str | Path, box: GeoBox) -> None:
    """Say what is missing of a georeference."""
    if not box.georeferenced:
        log.warning("%s has no georeference: outputs are in pixel coordinates", path)
    elif box.crs is None:
        log.warning("%s has no CRS: its coordinates are kept as they are", path)


def _check(dataset: Any, path: str | Path) -> None:
    """Refuse what a plain read would choke on."""
    if dataset.count == 0:
        raise SceneError(f"{path}: it holds no band, only subdatasets; give one of them, see gdalinfo")
    kinds = {str(d) for d in dataset.dtypes}
    if any("complex" in kind for kind in kinds):
        raise SceneError(f"{path}: its pixels are complex numbers; give an image of real numbers")
    height, width = dataset.block_shapes[0]
    together = dataset.count if dataset.interleaving and dataset.interleaving.name == "pixel" else 1
    size = height * width * together * np.dtype(dataset.dtypes[0]).itemsize
    if size > MAX_BLOCK_BYTES:
        raise SceneError(
            f"{path}: its header claims blocks of {size / 2**30:.0f} GiB ({dataset.count} bands); "
            "the file is damaged, or rewrite it in tiles with gdal_translate -co TILED=YES"
        )
