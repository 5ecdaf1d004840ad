"""The page of an evaluation: error map, confusion matrix, scores, worst tiles."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rasterio.enums import Resampling
from rasterio.windows import Window as RioWindow

from geoseg.core.metrics import ratio
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.aligned import plane_of
from geoseg.geo.gdal import translated
from geoseg.geo.geobox import GeoBox
from geoseg.geo.reach import open_input
from geoseg.report.errormap import COLORS, MEANINGS
from geoseg.report.page_map import Map
from geoseg.report.page_parts import (
    Html,
    element,
    folded,
    joined,
    pairs,
    scrolling,
    section,
    table,
    text,
    webp,
)
from geoseg.report.page_raster import preview_shape, read_picture
from geoseg.report.page_tiles import iou, tile_counts, windows, worst, wrong
from geoseg.report.page_write import Page

SCORES, ERRORMAP = "scores.json", "errormap.tif"
MEASURES = ("iou", "dice", "precision", "recall")
WORST = 12  # tiles shown
SIDE = 256  # pixels of the picture of a tile, at most
SHADES = 20  # of a cell of a confusion matrix


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
        figures=_figures(scores),
        sections=[*_scores(scores), *tiles, _settings(scores)], map=map_,
    )  # fmt: skip


def _figures(scores: Mapping[str, Any]) -> dict[str, object]:
    figures: dict[str, object] = {}
    if scores["classes"]:
        figures |= {"accuracy": said(scores["accuracy"]), "mean IoU": said(scores["mean_iou"])}
        figures |= {f"IoU of {one['name']}": said(one["iou"]) for one in scores["classes"][:6]}
    if point := scores.get("points"):
        figures |= {f"recall of {point['name']}": said(point["recall"]), "points": f"{point['points']:,}",
                    "recall by chance": said(point["marked_share"])}  # fmt: skip
    return figures


def _scores(scores: Mapping[str, Any]) -> list[Html]:
    classes = scores["classes"]
    if not classes:
        return [section("Points", pairs({key.replace("_", " "): value for key, value in
                                         (scores.get("points") or {}).items()}))]  # fmt: skip
    boundary = f"boundary F1 ({scores['tolerance_px']:g} px)"
    head = ["class", "IoU", "Dice", "precision", "recall", boundary, "share in truth", "as predicted"]
    rows = [
        [one["name"], *(with_interval(one[key], *one["intervals"][key]) for key in MEASURES),
         said(one["boundary_f1"]), _share(one["true_share"]), _share(one["predicted_share"])]
        for one in classes
    ]  # fmt: skip
    note = f"In brackets 95 % intervals by bootstrap over blocks of {scores['block']} px."
    lead = element("p", text(note), class_="lead")
    parts = [section("Scores by class", table(head, rows), lead, _objects(classes))]
    if scores["confusion"]:
        names = ["background", *(one["name"] for one in classes)]
        parts.append(confusion(scores["confusion"], names))
    return parts


def _objects(classes: Sequence[Mapping[str, Any]]) -> Html:
    found = [(one["name"], one["objects"]) for one in classes if one.get("objects")]
    if not found:
        return Html("")
    head = ["polygons", "predicted", "true", "matched", "precision", "recall", "F1", "mean IoU"]
    rows = [
        [f"{name} (IoU ≥ {o['least_iou']:g})", o["predicted"], o["true"], o["matched"],
         *(said(o[key]) for key in ("precision", "recall", "f1", "mean_iou"))]
        for name, o in found
    ]  # fmt: skip
    return joined([element("h3", text("Polygon by polygon")), table(head, rows)])


def confusion(counts: Sequence[Sequence[int]], names: Sequence[str], title: str = "Confusion matrix") -> Html:
    """A confusion matrix, shaded by the share of the true class.

    Args:
        counts: (classes, classes), rows truth, columns prediction.
        names: of the classes.
        title: of the section.
    """
    shares = ratio(np.array(counts), np.array(counts).sum(1, keepdims=True))
    head = joined([element("th", text("true \\ predicted")),
                   *(element("th", text(name), scope="col") for name in names)])  # fmt: skip
    rows = (
        element("tr", joined([element("th", text(name), scope="row"),
                              *map(_cell, counts[k], shares[k].tolist())]))
        for k, name in enumerate(names)
    )  # fmt: skip
    whole = element("table", joined([element("thead", element("tr", head)), element("tbody", joined(rows))]),
                    class_="confusion")  # fmt: skip
    note = "Rows are the truth, columns the prediction; shares are of the true class."
    return section(title, scrolling(whole), element("p", text(note), class_="lead"))


def _cell(count: int, share: float) -> Html:
    if np.isnan(share):
        return element("td", text(f"{count:,}"))
    inner = joined([text(f"{share:.1%}"), element("small", text(f"{count:,}"))])
    depth = round(share * SHADES) / SHADES * 0.55
    return element("td", inner, style=f"background:rgb(var(--heat),{depth:.3f})")


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


def _settings(scores: Mapping[str, Any]) -> Html:
    height, width = scores["grid"]
    said_of = {"prediction": scores["prediction"], "truth": scores["truth"], "grid": f"{width} × {height} px",
               "blocks": f"{scores['block']} px"}  # fmt: skip
    tests = [
        [one["name"], test.upper().replace("_", "-"), said(one[test]["statistic"]), said(one[test]["p"]),
         one[test]["blocks"], one[test]["reason"]]
        for one in scores["classes"] for test in ("ks", "chi_square")
    ]  # fmt: skip
    parts = [pairs(said_of)]
    if tests:
        head = ["class", "test", "statistic", "p", "blocks", ""]
        parts.append(folded("Is the cover of blocks distributed alike? Tests", table(head, tests, 2)))
    return section("Settings", *parts)


def said(value: float | None) -> str:
    """A score with four digits; a dash for what is not defined."""
    return "–" if value is None or np.isnan(value) else f"{value:.4f}"


def with_interval(value: float | None, low: float | None, high: float | None) -> str:
    """A score with its confidence interval, if it has one."""
    return said(value) if low is None or high is None else f"{said(value)} ({low:.3f}–{high:.3f})"


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2%}"


def _hex(code: int) -> str:
    return "#{:02x}{:02x}{:02x}".format(*COLORS[code][:3])
