"""`geoseg model list|show|export|add-onnx`."""

from __future__ import annotations

import json
from pathlib import Path

import click

from geoseg.cli import options


@click.group("model")
def group() -> None:
    """Look at the models that can be used, and hand them to other programs."""


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


@group.command("export")
@click.argument("name")
@click.option("--to", type=click.Choice(["onnx", "openvino", "saved_model"]), required=True)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="A file, or the folder "
              "of a saved_model.")  # fmt: skip
@options.overwrite
def export(name: str, to: str, output: Path, overwrite: bool) -> None:
    """Write the network of the model NAME for other programs.

    onnx is for QGIS Deepness and geodeep: channels first, values 0 to 1, patches of the card's size, a
    background channel where classes are independent, every class above 0.5 where its own threshold is met.
    openvino and saved_model take (patches, rows, columns, bands) of 0 to 255, as geoseg does.
    """
    from geoseg.models.bundle import find_bundle
    from geoseg.runtime.formats import export_bundle

    for path in export_bundle(find_bundle(name), to, output, overwrite):
        click.echo(path)


@group.command("add-onnx")
@click.argument("name")
def complete(name: str) -> None:
    """Write model.onnx into the bundle NAME (or a bundle's folder), so that it runs without TensorFlow."""
    from geoseg.models.bundle import ONNX_FILE, find_bundle
    from geoseg.runtime.keras_engine import start_keras

    bundle = find_bundle(name)
    start_keras()
    from geoseg.models.export import add_onnx

    click.echo(add_onnx(bundle).folder / ONNX_FILE)
