"""A raster as pixels + validity + georeference."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rasterio.enums import MaskFlags, Resampling
from rasterio.features import geometry_mask
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window as RioWindow

from geoseg.core.filters import Pixels, Valid
from geoseg.core.planes import interleave
from geoseg.core.scaling import Scaling, guess_scaling
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.bands import choose_bands
from geoseg.geo.cutline import read_cutline
from geoseg.geo.gdal import open_raster, translated
from geoseg.geo.geobox import GeoBox, geobox_of, resampled
from geoseg.geo.tile_stage import ahead
from geoseg.geo.tiles import Tiles

log = logging.getLogger(__name__)

MAX_BLOCK_BYTES = 2**31  # GDAL decodes whole blocks; a header may claim any size
WARP_TOLERANCE = 1e-6  # pixels; GDAL fails on 0
SAMPLES = 8  # windows across and down that `Scene.scaling` looks at


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """An open raster that satisfies `core.patches.PixelSource`. Use `open_scene`.

    Attributes:
        name: what the user called it.
        dataset: the rasterio dataset, or the warped view of it, that is read.
        geobox: its pixel plane.
        indexes: band numbers in the model's order.
        nodata: codes for no data, each with one value (or None) per index; a pixel has no data when all its
            bands hold a code's values.
        masked: whether the dataset has a mask or alpha band.
        cutline: geometries in the scene's CRS; pixels whose centre is outside all are invalid.
        other: a second view of the same pixels; those that differ from it have no data. None for most scenes.
        fetch: called with every window before it is read, for scenes of map tiles.
    """

    name: str
    dataset: Any
    geobox: GeoBox
    indexes: tuple[int, ...]
    nodata: tuple[tuple[float | None, ...], ...]
    masked: bool
    cutline: tuple[Any, ...] = ()
    other: Any = None
    fetch: Callable[[Window], None] | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.geobox.shape

    @property
    def bands(self) -> int:
        """How many bands a read returns."""
        return len(self.indexes)

    @property
    def dtype(self) -> str:
        """The numpy name of the pixels' dtype."""
        return str(np.result_type(*(self.dataset.dtypes[i - 1] for i in self.indexes)))

    @property
    def complete(self) -> bool:
        """True when no pixel can be invalid: no mask, no nodata value, no cutline, integers only."""
        unbounded = not (self.masked or self.cutline or self.nodata or self.other)
        return unbounded and not np.issubdtype(np.dtype(self.dtype), np.inexact)

    def read(self, window: Window) -> tuple[Pixels, Valid]:
        """Read a window inside the scene.

        Returns:
            (height, width, bands) pixels in the raster's dtype, and (height, width) bool, True = has data.

        Raises:
            SceneError: when the file is damaged there, or a map tile is not to be had.
        """
        if self.fetch is not None:
            self.fetch(window)
        place = RioWindow(window.col, window.row, window.width, window.height)
        what = f"{self.name}: cannot read rows {window.row} to {window.stop_row}"
        with translated(SceneError, what, "the file is damaged or incomplete, fetch it again"):
            planes = self.dataset.read(self.indexes, window=place)
            mask = self.dataset.read_masks(self.indexes[0], window=place) if self.masked else None
            if self.other is not None:
                same = (self.other.read(self.indexes, window=place) == planes).all(0)
                mask = same if mask is None else same & (mask > 0)
        return interleave(planes), self._validity(planes, mask, window)

    def _validity(self, planes: Pixels, mask: Any, window: Window) -> Valid:
        """The AND of mask, nodata value, finite values and cutline."""
        valid = np.ones(window.shape, bool) if mask is None else mask > 0
        for code in self.nodata:
            valid &= _has_data(planes, code)
        if np.issubdtype(planes.dtype, np.inexact):
            valid &= np.isfinite(planes).all(0)
        if self.cutline and valid.any():
            transform = self.geobox.window(window).transform
            valid &= geometry_mask(self.cutline, window.shape, transform, invert=True)
        return valid

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

    Raises:
        SceneError: when it cannot be opened or used.
    """
    with ExitStack() as stack:
        tiles, fetch = Tiles.parse(str(path)), None
        if tiles is not None:
            (dataset, fetch), path = stack.enter_context(tiles.open()), tiles.label
        else:
            with translated(SceneError, f"cannot open {path}", "give a raster that GDAL can read"):
                dataset = stack.enter_context(open_raster(path))
        _check(dataset, path)
        indexes = choose_bands(dataset, bands, bidx, quiet=quiet)
        box = geobox_of(dataset)
        if not (box.georeferenced or quiet):
            log.warning("%s has no georeference: outputs are in pixel coordinates", path)
        elif box.crs is None and not quiet:
            log.warning("%s has no CRS: its coordinates are kept as they are", path)
        target, other = resampled(box, sizes_m) if sizes_m else box, None
        own = tuple(dataset.nodatavals[i - 1] for i in indexes)
        codes = tuple(code for code in (own, (nodata,) * len(own)) if any(v is not None for v in code))
        masked = MaskFlags.per_dataset in dataset.mask_flag_enums[indexes[0] - 1]
        if target is not box:
            log.info("%s: resampled from %s to %s px to suit the model (--res native turns it off)",
                     path, "×".join(map(str, box.shape)), "×".join(map(str, target.shape)))  # fmt: skip
            dataset, other = _views(stack, dataset, target, codes, masked)
            fetch = fetch and ahead(fetch, dataset, box.shape, target.shape)
        shapes = read_cutline(cutline, target) if cutline else ()
        yield Scene(str(path), dataset, target, tuple(indexes), codes, masked, shapes, other, fetch)


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


def _views(
    stack: ExitStack, dataset: Any, box: GeoBox, codes: tuple[tuple[float | None, ...], ...], masked: bool
) -> tuple[Any, Any]:
    """The dataset on another pixel plane, twice when it has two codes for no data.

    GDAL leaves one code out of its averages. Where it makes a difference which, the average holds some of
    the other.
    """
    alpha = masked and "alpha" not in [kind.name for kind in dataset.colorinterp]
    last = codes[-1][0] if codes else None
    view = stack.enter_context(_warped(dataset, box, last, alpha))
    if len(codes) < 2:
        return view, None
    return view, stack.enter_context(_warped(dataset, box, codes[0][0], alpha))


def _warped(dataset: Any, box: GeoBox, nodata: float | None, alpha: bool) -> Any:
    """A view of the dataset on another pixel plane of the same CRS, with an alpha band added if need be."""
    finer = box.shape[0] > dataset.height
    with translated(SceneError, f"{dataset.name}: cannot be resampled", "--res native keeps its pixels"):
        return WarpedVRT(
            dataset, crs=box.crs, transform=box.transform, height=box.shape[0], width=box.shape[1],
            resampling=Resampling.bilinear if finer else Resampling.average,
            src_nodata=nodata, nodata=nodata, tolerance=WARP_TOLERANCE,
            add_alpha=alpha,
        )  # fmt: skip


def _has_data(planes: Pixels, nodata: Sequence[float | None]) -> Valid:
    """(h, w) bool: False where every band holds its nodata value."""
    valid = np.zeros(planes.shape[1:], bool)
    for plane, value in zip(planes, nodata, strict=True):
        if value is None:
            valid[:] = True
        elif np.isnan(value):
            valid |= ~np.isnan(plane)
        else:
            valid |= plane != plane.dtype.type(value) if _fits(value, plane.dtype) else True
    return valid


def _fits(value: float, dtype: np.dtype[Any]) -> bool:
    """Whether a dtype can hold a nodata value at all."""
    if not np.issubdtype(dtype, np.integer):
        return True
    info = np.iinfo(dtype)
    return float(value).is_integer() and info.min <= value <= info.max
