"""The page of an evaluation: scores, the map of errors, and the worst tiles."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.windows import Window as RioWindow

from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.aligned import plane_of
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach import open_input
from geoseg.report.errormap import COLORS, MEANINGS
from geoseg.report.page_map import Map
from geoseg.report.page_parts import Html, element, joined, section, text, webp
from geoseg.report.page_raster import preview_shape, read_picture
from geoseg.report.page_scores import figures_of, score_sections, settings_section
from geoseg.report.page_tiles import iou, tile_counts, windows, worst, wrong
from geoseg.report.page_write import Page

SCORES, ERRORMAP = "scores.json", "errormap.tif"
WORST = 12  # tiles shown
SIDE = 256  # pixels of the picture of a tile, at most


def is_evaluation(folder: Path) -> bool:
    """Whether a folder is what `geoseg evaluate -o` writes."""
    scores = folder / SCORES
    return scores.is_file() and "prediction" in read_json(scores)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        SceneError: when it holds none.
    """
    with translated(SceneError, f"cannot read {path}", "make it again"):
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    return found


def evaluation_page(folder: Path, scene: str | None = None) -> Page:
    """Put a page together.

    Args:
        folder: with `scores.json`, and `errormap.tif` unless the truth was points.
        scene: to show under the errors.

    Raises:
        SceneError: when a file cannot be used.
    """
    scores = read_json(folder / SCORES)
    errors = folder / ERRORMAP
    map_, tiles = (None, []) if not errors.is_file() else _mapped(errors, scores.get("block", 256), scene)
    prediction, truth = (Path(str(scores[side])).name for side in ("prediction", "truth"))
    return Page(
        title=f"{prediction} against {truth}", kind="Evaluation",
        lead=f"{scores['pixels']:,} pixels compared, {scores['left_out']:,} left out for want of data.",
        figures=figures_of(scores),
        sections=[*score_sections(scores), *tiles, settings_section(scores)], map=map_,
    )  # fmt: skip


def _mapped(path: Path, block: int, scene: str | None) -> tuple[Map, list[Html]]:
    """The map of the errors, and the section of the worst tiles."""
    with translated(SceneError, f"cannot open {path}", "evaluate again"):
        dataset = open_input(path)
    with dataset, translated(SceneError, f"cannot read {path}", "evaluate again"):
        box = plane_of(dataset)
        shape = preview_shape(box.shape)
        codes = dataset.read(1, out_shape=shape, resampling=Resampling.mode)
        counts = tile_counts(_strips(dataset, block), block)
        places = worst(counts, WORST)
        wheres = windows(places, block, box.shape)
        tiles = [
            _tile(dataset, box, window, counts[place], shape, scene)
            for place, window in zip(places, wheres, strict=True)
        ]
    used = 5 if (codes == 4).any() or counts[..., 4].any() else 4
    names = [(name, _hex(code)) for code, name in enumerate(MEANINGS[1:used], 1)]
    picture = None if scene is None else read_picture(scene, box)
    shown = Map(box, shape, names, picture, codes, codes_name="errors", empty=MEANINGS[0])
    if not tiles:
        return shown, []
    note = f"The {len(tiles)} tiles of {block} px with the most wrong pixels; press one to see it on the map."
    return shown, [section("Worst tiles", element("p", text(note), class_="lead"),
                           element("div", joined(tiles), class_="tiles"))]  # fmt: skip


def _strips(dataset: Any, rows: int) -> Iterator[NDArray[np.uint8]]:
    for row in range(0, dataset.height, rows):
        yield dataset.read(1, window=RioWindow(0, row, dataset.width, min(rows, dataset.height - row)))


def _tile(
    dataset: Any, box: GeoBox, window: Window, counts: NDArray[np.int64], shape: tuple[int, int],
    scene: str | None,
) -> Html:  # fmt: skip
    """A button with the tile's picture that shows it on the map."""
    codes = dataset.read(1, window=RioWindow(window.col, window.row, window.width, window.height))
    pixels = np.array([COLORS.get(code, (0, 0, 0, 0)) for code in range(256)], np.uint8)[codes]
    shrink = max(1, max(window.shape) // SIDE)
    image = Image.fromarray(np.ascontiguousarray(pixels[::shrink, ::shrink]))
    if scene is not None:
        below, _ = read_picture(scene, box.window(window), image.size[::-1], maybe_empty=True)
        over = np.asarray(image).copy()
        over[..., 3] = np.where(np.isin(codes[::shrink, ::shrink], (1, 2, 4)), 150, 0)
        image = Image.alpha_composite(Image.fromarray(below).convert("RGBA"), Image.fromarray(over))
    across, down = shape[1] / box.shape[1], shape[0] / box.shape[0]
    corners = (window.col * across, window.row * down, window.stop_col * across, window.stop_row * down)
    share = wrong(counts) / max(1, counts.sum())
    lines = [f"{share:.1%} wrong, IoU {iou(counts):.2f}", f"missed {counts[1]:,} px",
             f"extra {counts[2]:,} px", f"row {window.row}, col {window.col}"]  # fmt: skip
    inner = joined([
        Html(f'<img alt="" src="{webp(image, 80 if scene else 100, lossless=scene is None)}">'),
        *(element("small", text(line)) for line in lines),
    ])  # fmt: skip
    return element("button", inner, type="button", **{"data-box": " ".join(f"{x:.1f}" for x in corners)})


def _hex(code: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLORS[code][:3])
