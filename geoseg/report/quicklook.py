"""A scene with its classes in colour, as a small picture to look at without a GIS."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

LONGEST, SHORTEST = 1600, 720  # pixels of the longer side of the scene in the picture
MARGIN, LINE = 18, 30  # around the text below the scene and from one line of it to the next, pixels
SWATCH, GAP = 14, 22  # a colour of the legend, and the space between entries
LARGE, SMALL = 17, 14  # of the text
INK, FAINT, PAPER = "#1d2733", "#697586", "#ffffff"
ABSENT = 244  # grey of pixels without data
FILL = 0.38  # how much of a class's colour covers the scene
OUTLINED = 0.3  # share of outlines in a class from which they are paler
BAR = 0.22  # of the width that a scale bar may take at most
COLORS = 256  # of the palette: a third of the bytes of full colour

Bytes = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Caption:
    """What is written below the scene.

    Attributes:
        title: the scene's name.
        note: one line about model and pixels.
        classes: name, colour (#rrggbb) and share of the valid area (0 … 1) of each class.
        pixel_m: ground size of a pixel of the picture's arrays, metres; None when unknown.
    """

    title: str
    note: str
    classes: Sequence[tuple[str, str, float]]
    pixel_m: float | None


def draw_quicklook(path: Path, scene: Bytes, valid: NDArray[np.bool_], shares: NDArray[np.float32],
                   caption: Caption) -> None:  # fmt: skip
    """Write the picture as PNG.

    Args:
        path: of the file.
        scene: (h, w, 3) uint8, red, green, blue.
        valid: (h, w) bool, True = has data.
        shares: (h, w, classes) float32, how much of a pixel's area belongs to each class, 0 … 1.
        caption: the text below it.
    """
    zoom = max(1.0, SHORTEST / max(valid.shape))
    painted = _painted(_grown(scene, zoom), _grown(valid.astype(np.float32), zoom) > 0.5,
                       _grown(shares, zoom), [color for _, color, _ in caption.classes])  # fmt: skip
    height, width = painted.shape[:2]
    canvas = max(width, SHORTEST)
    left = (canvas - width) // 2
    foot = _foot(caption, canvas, zoom)
    picture = np.full((height + len(foot), canvas, 3), foot[0, 0], np.uint8)
    picture[:height, left : left + width], picture[height:] = painted, foot
    # the octree takes a twentieth of the time of the default, and nobody sees which it was
    image = Image.fromarray(picture).quantize(COLORS, Image.Quantize.FASTOCTREE)
    image.save(path, format="png", compress_level=4)  # a quarter of the time of 9 for 4 % more bytes


def _grown(values: NDArray[Any], zoom: float) -> NDArray[Any]:
    """The array with more pixels of the same ground; small scenes are shown larger."""
    if zoom == 1:
        return values
    height, width = (round(side * zoom) for side in values.shape[:2])
    grown: NDArray[Any] = cv2.resize(values, (width, height), interpolation=cv2.INTER_LINEAR)
    return grown.reshape(height, width, *values.shape[2:])


def _painted(
    scene: NDArray[Any], valid: NDArray[np.bool_], shares: NDArray[Any], colors: Sequence[str]
) -> Bytes:
    """The scene under translucent classes with outlines."""
    picture = scene.astype(np.float32)
    for color, share in zip(colors, np.moveaxis(shares, -1, 0), strict=True):
        rgb = np.array(list(bytes.fromhex(color[1:])), np.float32)
        inside = (share >= 0.5).astype(np.uint8)
        line = inside - cv2.erode(inside, np.ones((3, 3), np.uint8), borderValue=1)
        edge = np.minimum(1.4 * cv2.GaussianBlur(line.astype(np.float32), (3, 3), 0.5), 0.95)
        # of objects a few pixels wide little but outlines is left, which then are paler
        outlined = max(float(line.sum()) / max(1, int(inside.sum())), OUTLINED)
        cover = np.maximum(FILL * share, edge * OUTLINED / outlined)
        picture += cover[..., None] * (rgb - picture)
    picture[~valid] = ABSENT
    painted: Bytes = np.clip(picture + 0.5, 0, 255).astype(np.uint8)
    return painted


def _foot(caption: Caption, width: int, zoom: float) -> Bytes:
    """What stands below the scene, (h, width, 3): title, note and scale bar, and the legend."""
    legend = _rows_of(caption, width)
    foot = Image.new("RGB", (width, 2 * MARGIN - 6 + LINE * (1 + len(legend))), PAPER)
    pen = ImageDraw.Draw(foot)
    y = MARGIN + LINE // 2 - 6
    room = width - 2 * MARGIN - (_scale_bar(pen, caption.pixel_m / zoom, width, y) if caption.pixel_m else 0)
    title = _cut(caption.title, _font(LARGE), room)
    pen.text((MARGIN, y), title, INK, _font(LARGE), anchor="lm")
    used = _font(LARGE).getlength(title) + GAP
    if used + _font(SMALL).getlength(caption.note) <= room:
        pen.text((MARGIN + used, y), caption.note, FAINT, _font(SMALL), anchor="lm")
    for row in legend:
        y += LINE
        x: float = MARGIN
        for words, color in row:
            pen.rectangle((x, y - SWATCH // 2, x + SWATCH, y + SWATCH // 2), color)
            pen.text((x + SWATCH + 8, y), words, INK, _font(SMALL), anchor="lm")
            x += _width(words)
    return np.asarray(foot)


def _scale_bar(pen: ImageDraw.ImageDraw, pixel_m: float, width: int, y: int) -> int:
    """Draw a bar of a round length at the right; the pixels that it takes."""
    metres = _nice(BAR * width * pixel_m)
    right, length = width - MARGIN, round(metres / pixel_m)
    corners = [(right - length, y - 3), (right - length, y + 5), (right, y + 5), (right, y - 3)]
    pen.line(corners, INK, 2)
    pen.text((right - length / 2, y - 8), _metres(metres), INK, _font(SMALL), anchor="mm")
    return length + GAP


def _rows_of(caption: Caption, width: int) -> list[list[tuple[str, str]]]:
    """The entries of the legend, as many in a row as there is room for."""
    rows: list[list[tuple[str, str]]] = [[]]
    for name, color, share in caption.classes:
        words = f"{_cut(name, _font(SMALL), width // 2)}  {100 * share:.1f} %"
        if rows[-1] and sum(_width(one) for one, _ in rows[-1]) + _width(words) > width - 2 * MARGIN:
            rows.append([])
        rows[-1].append((words, color))
    return rows


def _width(words: str) -> float:
    """The pixels that an entry of the legend takes."""
    return SWATCH + 8 + float(_font(SMALL).getlength(words)) + GAP


def _cut(text: str, font: Any, room: float) -> str:
    """A text in one line, its end left out where there is no room for it."""
    text = " ".join(text.split())
    if font.getlength(text) <= room:
        return text
    return next((text[:end] + "…" for end in range(min(len(text), int(room)), 0, -1)
                 if font.getlength(text[:end] + "…") <= room), "…")  # fmt: skip


@lru_cache
def _font(size: int) -> Any:
    """Pillow's own font: matplotlib would take longer to import than a small scene to predict."""
    return ImageFont.load_default(size)


def _nice(most: float) -> float:
    """The largest of 1, 2, 5 times a power of ten that is not above `most`."""
    power = 10.0 ** math.floor(math.log10(most))
    return next(step * power for step in (5, 2, 1) if step * power <= most * (1 + 1e-9))


def _metres(length: float) -> str:
    return f"{length / 1000:g} km" if length >= 1000 else f"{length:g} m"
