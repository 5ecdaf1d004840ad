"""A model's card in a page."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from geoseg.models.card import Card
from geoseg.report.page_parts import Html, bullets, element, folded, joined, keys, pairs, section, table, text


def card_section(card: Card) -> Html:
    """What the model is, what it was trained on, how good and how limited it is."""
    small, large = card.pixel_sizes_m
    about = pairs({
        "name": card.name, "architecture": card.architecture, "weights": f"{card.parameters:,}",
        "bands": ", ".join(card.bands), "pixel sizes": f"{small:g} to {large:g} m",
        "patches": f"{card.patch_size} px, overlapping by {card.overlap} px", "activation": card.activation,
        "thresholds": ", ".join(f"{spec.name} {spec.threshold:.3g}" for spec in card.classes),
        "licence": card.licence, "to be named": "; ".join(card.attribution) or "nobody",
    })  # fmt: skip
    parts = [
        element("p", text(card.summary)),
        keys({spec.name: spec.color for spec in card.classes}),
        about,
        *([element("h3", text("Known limits")), bullets(card.limits)] if card.limits else []),
        *([folded("Scores on data held out", _tabled(card.scores))] if card.scores else []),
        *([folded("Training data", _tabled(card.training))] if card.training else []),
    ]
    return section("The model's card", joined(parts))


def _tabled(rows: tuple[Mapping[str, Any], ...]) -> Html:
    """Tables of one make as one table, their keys its columns."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    numbers = [all(_number(row.get(key)) for row in rows) for key in columns]
    words = numbers.index(True) if True in numbers else len(columns)
    return table(columns, ([_said(row.get(key)) for key in columns] for row in rows), words)


def _number(value: object) -> bool:
    return value is None or isinstance(value, (int, float))


def _said(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
