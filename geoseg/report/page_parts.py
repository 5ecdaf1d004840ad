"""Pieces of HTML. Text becomes `Html` here alone, and everything that is not `Html` yet is escaped."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, NewType

from PIL import Image

Html = NewType("Html", str)

WIDEST = 1800  # pixels of a picture in a page; larger ones are made smaller
QUALITY = 82  # of pictures as WebP


def text(value: object) -> Html:
    """Any text, escaped for elements and quoted attributes."""
    return Html(html.escape(str(value), quote=True))


def joined(parts: Iterable[Html]) -> Html:
    """Pieces one after the other."""
    return Html("".join(parts))


def element(name: str, inner: Html, **attributes: object) -> Html:
    """An element; `class_` is the attribute class."""
    said = "".join(f' {key.rstrip("_")}="{text(value)}"' for key, value in attributes.items())
    return Html(f"<{name}{said}>{inner}</{name}>")


def section(title: str, *parts: Html) -> Html:
    """A section under a heading."""
    return element("section", joined([element("h2", text(title)), *parts]))


def folded(title: str, inner: Html) -> Html:
    """What is shown on demand."""
    return element("details", joined([element("summary", text(title)), inner]))


def table(head: Sequence[str], rows: Iterable[Sequence[object]], words: int = 1) -> Html:
    """A table that scrolls sideways on narrow screens.

    Args:
        head: names of the columns.
        rows: their values.
        words: how many columns, from the first on, hold text; the others hold numbers, set right.
    """

    def row(values: Sequence[object], tag: str) -> Html:
        cells = [
            element(tag, text(value), **({"class_": "n"} if k >= words else {}))
            for k, value in enumerate(values)
        ]
        return element("tr", joined(cells))

    body = element("tbody", joined(row(values, "td") for values in rows))
    whole = element("table", joined([element("thead", row(head, "th")), body]))
    return scrolling(whole)


def scrolling(inner: Html) -> Html:
    """What may be wider than the page; the keys scroll it too."""
    return element("div", inner, class_="scroll", tabindex=0, role="region", **{"aria-label": "Table"})


def pairs(facts: Mapping[str, object]) -> Html:
    """A table of names and what they stand for."""
    rows = (
        element("tr", joined([element("th", text(name), scope="row"), element("td", text(value))]))
        for name, value in facts.items()
    )
    return element("table", element("tbody", joined(rows)), class_="pairs")


def facts(figures: Mapping[str, object]) -> Html:
    """The figures at the top of the page, as items of a `dl`."""
    return joined(
        element("div", joined([element("dt", text(name)), element("dd", text(value))]))
        for name, value in figures.items()
    )


def keys(colors: Mapping[str, str]) -> Html:
    """A legend: names and their colours (#rrggbb)."""
    return element("div", joined(
        element("span", joined([_swatch(color), text(name)])) for name, color in colors.items()
    ), class_="keys")  # fmt: skip


def _swatch(color: str) -> Html:
    square = Html(f'<rect width="12" height="12" rx="3" fill="{text(color)}"/>')
    return element("svg", square, viewBox="0 0 12 12", width=12, height=12, style="width:12px")


def bullets(lines: Iterable[object]) -> Html:
    """A list."""
    return element("ul", joined(element("li", text(line)) for line in lines))


def picture(path: Path, caption: str) -> Html:
    """A picture from a file, as WebP inside the page."""
    with Image.open(path) as image:
        image.thumbnail((WIDEST, 10 * WIDEST))
        source = webp(image.convert("RGB"))
    return Html(f'<figure><img class="sheet" alt="{text(caption)}" src="{source}" loading="lazy"></figure>')


def webp(image: Any, quality: int = QUALITY, **options: Any) -> str:
    """The address that is a picture itself."""
    file = BytesIO()
    image.save(file, format="webp", quality=quality, **options)
    return f"data:image/webp;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"
