"""Rectangles of pixels."""

from __future__ import annotations

from dataclasses import dataclass

from geoseg.errors import GridError


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open rectangle of pixels: rows `row … row + height - 1`, columns `col … col + width - 1`.

    (0, 0) is the first pixel of the scene; `row` and `col` may be negative (outside the scene).
    """

    row: int
    col: int
    height: int
    width: int

    def __post_init__(self) -> None:
        if self.height < 0 or self.width < 0:
            raise GridError(
                f"a window needs a height and width of 0 or more, got {self.height} × {self.width}"
            )

    @property
    def shape(self) -> tuple[int, int]:
        """(height, width) in pixels."""
        return self.height, self.width

    @property
    def stop_row(self) -> int:
        """The first row below the window."""
        return self.row + self.height

    @property
    def stop_col(self) -> int:
        """The first column right of the window."""
        return self.col + self.width

    @property
    def empty(self) -> bool:
        """True when the window holds no pixel."""
        return self.height == 0 or self.width == 0

    def expand(self, margin: int) -> Window:
        """The window grown by `margin` pixels on every side."""
        return Window(self.row - margin, self.col - margin, self.height + 2 * margin, self.width + 2 * margin)

    def intersect(self, other: Window) -> Window:
        """The pixels in both windows; an empty window where they do not meet."""
        row, col = max(self.row, other.row), max(self.col, other.col)
        height = min(self.stop_row, other.stop_row) - row
        width = min(self.stop_col, other.stop_col) - col
        return Window(row, col, max(height, 0), max(width, 0))

    def clip(self, shape: tuple[int, int]) -> Window:
        """The part of the window inside a scene of `shape` (height, width)."""
        return self.intersect(Window(0, 0, *shape))

    def within(self, outer: Window) -> tuple[slice, slice]:
        """Row and column slices that pick this window out of an array that holds `outer`."""
        row, col = self.row - outer.row, self.col - outer.col
        return slice(row, row + self.height), slice(col, col + self.width)


def whole(shape: tuple[int, int]) -> Window:
    """The window that covers a scene of `shape` (height, width)."""
    return Window(0, 0, *shape)
