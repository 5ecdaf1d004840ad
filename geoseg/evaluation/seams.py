"""Look for seams along the patch grid of a raster, whoever made it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from rasterio.windows import Window as RioWindow

from geoseg.core.seams import Contrast, Joints, Jumps, contrast
from geoseg.errors import GridError, SceneError
from geoseg.geo.gdal import session, translated
from geoseg.geo.reach import open_input
from geoseg.vector.source_kind import OWN, bands_of, kind_of

Kind = Literal["mask", "probability"]

BAND_PIXELS = 2**22  # read at a time
SIZE, OVERLAP, STRIDE = "GEOSEG_PATCH_SIZE", "GEOSEG_OVERLAP", "GEOSEG_STRIDE"  # see `outputs.grid_tags`
STITCH, ORIGIN = "GEOSEG_STITCH", "GEOSEG_GRID_ORIGIN"
USUAL_STRIDE = 16  # of networks of which no more is known


@dataclass(frozen=True, slots=True)
class Seams:
    """What was found along the patch grid of a raster.

    Attributes:
        raster: its name.
        kind: `mask`, where a jump is the share of pixels that change their class, or `probability`, where it
            is the mean difference in the raster's units.
        patch_size: pixels.
        overlap: pixels shared by neighbouring patches.
        stride: distance of the lines that are compared, pixels.
        both: all joints together.
        rows: those between rows alone; None when the raster has none.
        columns: those between columns alone.
    """

    raster: str
    kind: Kind
    patch_size: int
    overlap: int
    stride: int
    both: Contrast
    rows: Contrast | None
    columns: Contrast | None

    def table(self) -> str:
        """The figures as text."""
        named = {"both": self.both, "rows": self.rows, "columns": self.columns}
        return "\n".join([
            "           ratio  p-value  on the grid  off it     joints",
            *(f"{name:<9} {one.ratio:6.3f}  {one.p_value:7.4f}  {one.on_grid:<11.4g}  {one.off_grid:<9.4g}  "
              f"{one.joints}" for name, one in named.items() if one is not None),
        ])  # fmt: skip


def check_seams(
    raster: str | Path,
    *,
    patch_size: int | None = None,
    overlap: int | None = None,
    stride: int | None = None,
    origin: tuple[int, int] | None = None,
    kind: Kind | None = None,
    band: int | str | None = None,
    progress: Callable[[int, int], object] = lambda done, total: None,
) -> Seams:
    """Measure how much larger jumps are across the joints of patches than elsewhere; see `core.seams`.

    Args:
        raster: a mask, probabilities, or what another program made of patches.
        patch_size: pixels; as the raster's tags say when None, and so with the next three.
        overlap: pixels shared by neighbouring patches.
        stride: of the network, pixels.
        origin: (row, col) of the corner of a patch, pixels.
        kind: whether pixels are classes or quantities; by tags and dtype when None.
        band: take only this band.
        progress: called with the numbers of rows read since the last call and of all.

    Raises:
        SceneError: when the raster cannot be read.
        GridError: when nothing says where the patches lay, or the raster is too small to compare.
    """
    given = {SIZE: patch_size, OVERLAP: overlap, STRIDE: stride}
    with session(), _opened(raster) as dataset:
        with translated(SceneError, f"{raster}: cannot use its tags", "give --patch-size and --overlap"):
            tags = _known(str(raster), dataset.tags(), given)
            joints = [_joints(tags, corner) for corner in origin or _origin(tags)]
        bands = bands_of(dataset, band)
        found = kind or _kind(dataset, bands)
        jumps = Jumps(dataset.shape, found == "mask")
        for values, valid in _rows(dataset, bands):
            jumps.add(values, valid)
            progress(len(valid), dataset.height)
    axes = list(zip(jumps.sums, jumps.counts, joints, strict=True))
    both = contrast(axes)
    if both is None:
        raise GridError(f"{raster}: it is too small for its patches of {tags[SIZE]} px to meet inside it; "
                        "give a larger raster or a smaller --patch-size")  # fmt: skip
    rows, columns = (contrast([axis]) for axis in axes)
    return Seams(
        str(raster), found, int(tags[SIZE]), int(tags[OVERLAP]), joints[0].spacing, both, rows, columns
    )


def _opened(raster: str | Path) -> Any:
    with translated(SceneError, f"cannot open {raster}", "give a raster that GDAL can read"):
        return open_input(raster)


def _kind(dataset: Any, bands: list[int]) -> Kind:
    return "probability" if len(bands) > 1 and OWN not in dataset.tags() else kind_of(dataset, bands)


def _known(name: str, tags: Mapping[str, str], given: Mapping[str, int | None]) -> dict[str, str]:
    """The raster's tags, with what the user says over them."""
    known = {OVERLAP: "0", **tags, **{key: str(value) for key, value in given.items() if value is not None}}
    if SIZE not in known:
        raise GridError(f"{name}: no tag says where its patches lay; give --patch-size and --overlap")
    if not 0 <= int(known[OVERLAP]) < int(known[SIZE]):
        raise GridError(f"overlap must be from 0 to below the patch size {known[SIZE]}, got {known[OVERLAP]}")
    return known


def _origin(tags: Mapping[str, str]) -> tuple[int, int]:
    row, col = map(int, tags.get(ORIGIN, "0 0").split())
    return row, col


def _joints(tags: Mapping[str, str], corner: int) -> Joints:
    """Where patches meet along an axis: at their ends, or where they were cropped."""
    size, overlap = int(tags[SIZE]), int(tags[OVERLAP])
    step = size - overlap
    places = {"blend": (0, overlap), "exact": (0,), "crop": (0,)}
    unknown = (0, overlap // 2, overlap)  # other programs crop patches in the middle of their overlap
    offsets = tuple(sorted({place % step for place in places.get(tags.get(STITCH, ""), unknown)}))
    spacing = int(tags[STRIDE]) if STRIDE in tags else math.gcd(USUAL_STRIDE, step, *offsets)
    return Joints(step, offsets, spacing, corner)


def _rows(dataset: Any, bands: list[int]) -> Iterator[tuple[Any, Any]]:
    """(bands, h, width) values and (h, width) bool, whole rows of blocks from top to bottom."""
    block = dataset.block_shapes[0][0]
    height = max(1, BAND_PIXELS // (dataset.width * block)) * block
    height = min(height, math.ceil(2 * BAND_PIXELS / dataset.width))
    for row in range(0, dataset.height, height):
        place = RioWindow(0, row, dataset.width, min(height, dataset.height - row))
        with translated(SceneError, f"cannot read {dataset.name}", "the file is damaged or incomplete"):
            values = dataset.read(bands, window=place)
            valid = (dataset.read_masks(bands, window=place) > 0).all(0)
        yield values, valid & np.isfinite(values).all(0)
