"""`geoseg model list|show`."""

from __future__ import annotations

import json

import click

from geoseg.cli import options


@click.group("model")
def group() -> None:
    """Look at the models that can be used."""


@group.command("list")
@options.as_json
def list_models(as_json: bool) -> None:
    """Print the models that come with geoseg, one a line."""
    from geoseg.models.bundle import shipped

    cards = [bundle.card for bundle in shipped()]
    if as_json:
        click.echo(json.dumps([card.to_dict() for card in cards]))
        return
    for card in cards:
        click.echo(f"{card.name}\t{', '.join(spec.name for spec in card.classes)}\t{card.summary}")


@group.command("show")
@click.argument("name")
@options.as_json
def show(name: str, as_json: bool) -> None:
    """Print the card of the model NAME (or of a bundle's folder)."""
    from geoseg.models.bundle import find_bundle

    card = find_bundle(name).card
    click.echo(json.dumps(card.to_dict(), indent=2) if as_json else card.to_toml().rstrip())
