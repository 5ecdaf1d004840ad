"""Histograms and curves as SVG, drawn so that they read well in light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from geoseg.report.page_parts import Html, element, joined, keys, text

WIDTH, HEIGHT = 360, 190
LEFT, RIGHT, TOP, BOTTOM = 46, 8, 8, 34  # margins around the plot
CURVES = ("#2f7fd0", "#e0862a", "#2e9e62", "#c2464f", "#8a63c9", "#8f6b4f", "#d264a6", "#7f8790", "#a6a52b",
          "#2aa5b5")  # fmt: skip
STEPS = (1, 2, 5, 10)
BINS = 24


def edges_of(values: NDArray[np.float64], bins: int = BINS) -> NDArray[np.float64]:
    """Edges of bins over finite positive values, equally wide in their logarithm.

    Args:
        values: (n,) at least one of them above 0.
        bins: how many.
    """
    positive = values[values > 0]
    low, high = np.log10(positive.min()), np.log10(positive.max())
    if high - low < 0.01:
        low, high = low - 0.5, high + 0.5
    return np.asarray(10 ** np.linspace(low, high, bins + 1), np.float64)


def histogram(values: NDArray[np.float64], edges: NDArray[np.float64]) -> NDArray[np.int64]:
    """(bins,) counts of values by bin; values beyond the edges are in the outer ones."""
    return np.histogram(np.clip(values, edges[0], edges[-1]), edges)[0].astype(np.int64)


def bars(title: str, counts: NDArray[np.int64], edges: NDArray[np.float64], unit: str, color: str) -> Html:
    """A histogram; its bins are drawn equally wide, and every bar says its count when pointed at."""
    top = nice_top(int(counts.max()))
    step = (WIDTH - LEFT - RIGHT) / len(counts)
    parts = _grid(0, top)
    for k, count in enumerate(counts.tolist()):
        high = _y(count, 0, top)
        said = f"{short(float(edges[k]))} – {short(float(edges[k + 1]))} {unit}: {count:,}"
        parts.append(Html(
            f'<rect x="{LEFT + k * step + 0.5:.1f}" y="{high:.1f}" width="{step - 1:.1f}" '
            f'height="{_y(0, 0, top) - high:.1f}" fill="{text(color)}">'
            f"<title>{text(said)}</title></rect>"
        ))  # fmt: skip
    for k in range(0, len(edges), max(1, len(counts) // 4)):
        anchor = "end" if k == len(counts) else "middle"
        parts.append(_label(LEFT + k * step, HEIGHT - 18, f"{float(f'{edges[k]:.2g}'):,g}", anchor))
    parts.append(_label(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 3, unit, "middle"))
    return _figure(title, parts, f"{title}: {counts.sum():,} in {len(counts)} bins")


def curves(title: str, series: Mapping[str, Sequence[float | None]], best: int | None = None) -> Html:
    """Lines over epochs from 1 on; None is a gap.

    Args:
        title: of the figure.
        series: values by name.
        best: number of the epoch to mark, from 1.
    """
    known = [value for values in series.values() for value in values if value is not None]
    if not known:
        return Html("")
    low, high = min(0.0, min(known)), nice_top(max(known))
    last = max(map(len, series.values()))
    parts = _grid(low, high)
    for epoch in _ticks(last):
        parts.append(_label(_x(epoch, last), HEIGHT - 18, str(epoch), "middle"))
    parts.append(_label(LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 3, "epoch", "middle"))
    if best is not None:
        x = f"{_x(best, last):.1f}"
        parts.append(Html(
            f'<line class="axis" x1="{x}" x2="{x}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke-dasharray="2 3">'
            f"<title>the best epoch, {best}</title></line>"
        ))  # fmt: skip
    colors = {name: CURVES[k % len(CURVES)] for k, name in enumerate(series)}
    for name, values in series.items():
        parts.extend(_curve(name, values, colors[name], last, low, high))
    return _figure(title, parts, f"{title} over {last} epochs", keys(colors))


def _curve(
    name: str, values: Sequence[float | None], color: str, last: int, low: float, high: float
) -> list[Html]:
    """A line, and points that say their values when pointed at."""
    places = [(epoch, _x(epoch, last), _y(value, low, high), value)
              for epoch, value in enumerate(values, 1) if value is not None]  # fmt: skip
    line = " ".join(f"{x:.1f},{y:.1f}" for _, x, y, _ in places)
    dots = (
        Html(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{3 if last <= 30 else 2}" fill="{color}">'
             f"<title>{text(name)}, epoch {epoch}: {value:.4g}</title></circle>")
        for epoch, x, y, value in places
    )  # fmt: skip
    return [Html(f'<polyline class="none" points="{line}" stroke="{color}"/>'), *dots]


def _figure(title: str, parts: Sequence[Html], said: str, *legend: Html) -> Html:
    size = f"0 0 {WIDTH} {HEIGHT}"
    drawing = element("svg", joined(parts), viewBox=size, role="img", **{"aria-label": said})
    caption = element("figcaption", element("b", text(title)))
    return element("figure", joined([caption, *legend, drawing]))


def _grid(low: float, high: float) -> list[Html]:
    """Horizontal lines with their values."""
    parts = []
    for value in np.linspace(low, high, 5):
        y = _y(value, low, high)
        parts.append(Html(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'))
        parts.append(_label(LEFT - 5, y + 4, short(float(value)), "end"))
    return parts


def _label(x: float, y: float, words: str, anchor: str) -> Html:
    return Html(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{text(words)}</text>')


def _x(epoch: int, last: int) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * ((epoch - 1) / (last - 1) if last > 1 else 0.5)


def _y(value: float, low: float, high: float) -> float:
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (value - low) / (high - low)


def _ticks(last: int) -> list[int]:
    step = next(size for size in (1, 2, 5, 10, 20, 50, 100, 200, 500, 10**9) if last / size <= 8)
    return [1, *range(step if step > 1 else 2, last + 1, step)]


def nice_top(value: float) -> float:
    """The smallest of 1, 2, 5 times a power of ten, or four of it, that is not below `value`; 1 for 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 6, 8, 10) if step * power >= value * (1 - 1e-9))


def short(value: float) -> str:
    """A number in few signs: 0.25, 12, 3.4k."""
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= size:
            return f"{value / (1e3 if unit == 'k' else size):.3g}{unit}"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
