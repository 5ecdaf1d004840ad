"""A page as one file of HTML: nothing in it is fetched, nothing in it can send."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import geoseg
from geoseg.errors import OutputError
from geoseg.report.page_map import Map
from geoseg.report.page_pack import embedded
from geoseg.report.page_parts import Html, facts, joined, text
from geoseg.staging import staged

TEMPLATES = Path(__file__).with_name("template")
SCRIPTS = ("polygons.js", "map.js")
MOST = 15_000_000  # bytes of a page


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """What a page says.

    Attributes:
        title: its heading.
        kind: a word above it.
        lead: a sentence below it.
        figures: the most important ones by name.
        sections: what follows the map.
        map: the map, None for none.
    """

    title: str
    kind: str
    lead: str
    figures: Mapping[str, object]
    sections: Sequence[Html]
    map: Map | None = None


def render(page: Page) -> str:
    """The page as HTML."""
    drawn, scripts = Html(""), Html("")
    if page.map is not None:
        told, count = page.map.told()
        drawn = _filled("map.html", hint=text(_hint(page.map, count)))
        code = Html("\n".join(_template(name) for name in SCRIPTS))
        data = Html(f'<script type="application/json" id="map-data">{embedded(told)}</script>')
        scripts = joined([data, Html(f"\n<script>{code}</script>")])
        policy = _policy(code)
    else:
        policy = _policy(None)
    return _filled(
        "page.html", policy=text(policy), version=text(geoseg.__version__), title=text(page.title),
        kind=text(page.kind), lead=text(page.lead), facts=facts(page.figures), map=drawn,
        sections=joined(page.sections), style=Html(_template("page.css")), script=scripts,
    )  # fmt: skip


def _hint(shown: Map, count: int) -> str:
    whole = 0 if shown.polygons is None else len(shown.polygons.kinds)
    if count < whole:
        kept = f"The map holds the {count:,} largest of {whole:,} polygons; all are counted below."
        return f"{shown.hint} {kept}"
    return shown.hint


def _policy(code: str | None) -> str:
    """A Content-Security-Policy under which nothing is fetched and only the page's own script runs."""
    rules = ["default-src 'none'", "img-src data:", "style-src 'unsafe-inline'", "base-uri 'none'",
             "form-action 'none'"]  # fmt: skip
    if code is not None:
        digest = base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
        rules.append(f"script-src 'sha256-{digest}'")
    return "; ".join(rules)


def _template(name: str) -> str:
    return (TEMPLATES / name).read_text(encoding="utf-8")


def _filled(name: str, **parts: Html) -> Html:
    """A template with its `{{slots}}` filled, in one go: what is filled in is not looked through again."""
    return Html(re.sub(r"\{\{(\w+)\}\}", lambda slot: parts[slot[1]], _template(name)))


def write_page(page: Page, output: Path, overwrite: bool) -> None:
    """Write a page, whole or not at all.

    Raises:
        OutputError: when it cannot be written, exists, or became larger than 15 MB.
    """
    data = render(page).encode()
    if len(data) > MOST:
        raise OutputError(f"the page would take {len(data) / 1e6:.0f} MB, above {MOST / 1e6:.0f}; "
                          "give smaller pictures, or fewer classes or jobs")  # fmt: skip
    with staged(output, overwrite=overwrite) as (draft,):
        draft.write_bytes(data)
