"""Tables of scores, as pages show them: classes, polygons, a confusion matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from geoseg.core.metrics import ratio
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
)

MEASURES = ("iou", "dice", "precision", "recall")
SHADES = 20  # of a cell of a confusion matrix


def figures_of(scores: Mapping[str, Any]) -> dict[str, object]:
    """The figures at the head of the page."""
    figures: dict[str, object] = {}
    if scores["classes"]:
        figures |= {"accuracy": said(scores["accuracy"]), "mean IoU": said(scores["mean_iou"])}
        figures |= {f"IoU of {one['name']}": said(one["iou"]) for one in scores["classes"][:6]}
    if point := scores.get("points"):
        figures |= {f"recall of {point['name']}": said(point["recall"]), "points": f"{point['points']:,}",
                    "recall by chance": said(point["marked_share"])}  # fmt: skip
    return figures


def score_sections(scores: Mapping[str, Any]) -> list[Html]:
    """The tables of classes, polygons and confusions, or of points."""
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


def settings_section(scores: Mapping[str, Any]) -> Html:
    """What was compared, and tests of distributions, folded."""
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
