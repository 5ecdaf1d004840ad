"""Where the patches of a scene lie.

The grid is anchored to pixel (0, 0) of the scene, whatever part of it a job works on, and patch
origins are multiples of the network's stride apart. The far edge is padded by reflection; the last
patch is never shifted back, because a shift changes the pooling phase and with it the result, in the
very centre of the patch.

    lead = 0 (blend)                        lead = halo (exact, crop)

    |<------ size ------>|                  |halo|<- step ->|halo|
    0          |<------ size ------>|       -halo |    |<- step ->|    |
    |<- step ->|<overlap>|                        0    step       2·step
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from geoseg.core.window import Window
from geoseg.errors import GridError


@dataclass(frozen=True, slots=True)
class Axis:
    """The patches along one axis: patch `i` covers `origin(i) … origin(i) + size`.

    Attributes:
        length: pixels of the scene along this axis.
        size: pixels of a patch.
        step: distance between the origins of neighbours, in pixels.
        lead: context cropped from both ends of every patch, in pixels.
    """

    length: int
    size: int
    step: int
    lead: int = 0

    @property
    def count(self) -> int:
        """How many patches it takes for the supports to cover the scene."""
        tail = self.size - 2 * self.lead - self.step
        return max(1, -(-(self.length - tail) // self.step))

    def origin(self, index: int) -> int:
        """The first pixel of patch `index`; negative where it begins outside the scene."""
        return index * self.step - self.lead

    def support(self, index: int) -> tuple[int, int]:
        """The half-open range of scene pixels to which patch `index` contributes."""
        start = index * self.step
        return start, min(start + self.size - 2 * self.lead, self.length)

    def touching(self, start: int, stop: int) -> range:
        """The patches whose support meets the half-open range `start … stop`."""
        reach = self.size - 2 * self.lead
        first = max(0, (start - reach) // self.step + 1)
        return range(first, min(self.count, -(-stop // self.step)))


@dataclass(frozen=True, slots=True)
class Grid:
    """Patch positions over a scene.

    Attributes:
        scene_shape: (height, width) of the scene, pixels.
        size: patch height and width, a multiple of `stride`.
        overlap: pixels shared by neighbours; `size - overlap` is a multiple of `stride`.
        stride: period of the network's shift equivariance, pixels.
        lead: context cropped from every side of a patch; 0 for blending.

    Raises:
        GridError: when the numbers do not fit together.
    """

    scene_shape: tuple[int, int]
    size: int = 256
    overlap: int = 64
    stride: int = 16
    lead: int = 0

    def __post_init__(self) -> None:
        if min(self.scene_shape) < 1:
            raise GridError(f"a scene needs at least one pixel, got {self.scene_shape}")
        if self.stride < 1 or self.size < self.stride or self.size % self.stride:
            nearest = max(1, round(self.size / max(1, self.stride))) * max(1, self.stride)
            raise GridError(
                f"patch size {self.size} is not a multiple of the network's stride {self.stride}; "
                f"use {nearest}"
            )
        if not 0 <= self.overlap < self.size:
            raise GridError(f"overlap must be from 0 to below the patch size {self.size}, got {self.overlap}")
        if self.step % self.stride:
            nearest = self.size - max(1, round(self.step / self.stride)) * self.stride
            raise GridError(
                f"patch size minus overlap must be a multiple of the network's stride {self.stride}, "
                f"got {self.size} - {self.overlap}; use --overlap {nearest}"
            )
        if self.lead and 2 * self.lead != self.overlap:
            raise GridError(f"cropped patches overlap by twice their halo {self.lead}, got {self.overlap}")

    @classmethod
    def cropped(cls, scene_shape: tuple[int, int], size: int, halo: int, stride: int) -> Grid:
        """The grid whose patches are cropped by `halo` on every side, so that their cores tile the scene."""
        if halo % stride:
            raise GridError(
                f"a halo is a multiple of the network's stride {stride}, got {halo}; "
                f"use {-(-halo // stride) * stride}"
            )
        if size <= 2 * halo:
            raise GridError(
                f"patch size {size} leaves nothing after cropping a halo of {halo} px on both sides; "
                f"use --patch-size {-(-4 * halo // stride) * stride} or more"
            )
        return cls(scene_shape, size, 2 * halo, stride, lead=halo)

    def evened(self) -> Grid:
        """The grid of as many cropped patches that are no larger than it takes to cover the scene."""
        core = max(-(-axis.length // axis.count) for axis in (self.rows, self.cols))
        return replace(self, size=-(-core // self.stride) * self.stride + self.overlap)

    @property
    def step(self) -> int:
        """Distance between the origins of neighbouring patches, pixels."""
        return self.size - self.overlap

    @property
    def rows(self) -> Axis:
        """The vertical axis."""
        return Axis(self.scene_shape[0], self.size, self.step, self.lead)

    @property
    def cols(self) -> Axis:
        """The horizontal axis."""
        return Axis(self.scene_shape[1], self.size, self.step, self.lead)

    @property
    def shape(self) -> tuple[int, int]:
        """Patches down and across."""
        return self.rows.count, self.cols.count

    def __len__(self) -> int:
        return self.rows.count * self.cols.count

    def window(self, index: tuple[int, int]) -> Window:
        """The pixels of patch (i, j); may reach outside the scene."""
        return Window(self.rows.origin(index[0]), self.cols.origin(index[1]), self.size, self.size)

    def support(self, index: tuple[int, int]) -> Window:
        """The scene pixels to which patch (i, j) contributes."""
        (top, bottom), (left, right) = self.rows.support(index[0]), self.cols.support(index[1])
        return Window(top, left, bottom - top, right - left)

    def touching(self, area: Window) -> tuple[range, range]:
        """Row and column indices of the patches that contribute to `area`."""
        return self.rows.touching(area.row, area.stop_row), self.cols.touching(area.col, area.stop_col)

    def chunks(self, side: int) -> Iterator[Window]:
        """Cut the scene into windows of about `side` pixels, a whole number of steps, row by row."""
        edge = max(1, round(side / self.step)) * self.step
        height, width = self.scene_shape
        for row in range(0, height, edge):
            for col in range(0, width, edge):
                yield Window(row, col, edge, edge).clip(self.scene_shape)
