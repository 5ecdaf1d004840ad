"""`geoseg model list|show|export|stac|add-onnx|measure-halo|quantize`."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from geoseg.cli import options


@click.group("model")
def group() -> None:
    """Look at the models that can be used, and hand them to other programs.

    \b
    geoseg model list
    geoseg model show buildings-trees
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is


@group.command("list")
@options.as_json
def list_models(as_json: bool) -> None:
    """Print the models that come with geoseg, one a line.

    \b
    geoseg model list
    geoseg model list --json
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
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
    """Print the card of the model NAME (or of a bundle's folder).

    \b
    geoseg model show buildings-trees
    geoseg model show my-model/ --json
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
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

    \b
    geoseg model export buildings-trees --to onnx -o for_qgis.onnx
    geoseg model export my-model/ --to saved_model -o served/

    onnx is for QGIS Deepness and geodeep: channels first, values 0 to 1, patches of the card's size, a
    background channel where classes are independent, every class above 0.5 where its own threshold is met.
    openvino and saved_model take (patches, rows, columns, bands) of 0 to 255, as geoseg does.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.models.bundle import find_bundle
    from geoseg.runtime.formats import export_bundle

    for path in export_bundle(find_bundle(name), to, output, overwrite):
        click.echo(path)


@group.command("stac")
@click.argument("name")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The JSON file; stdout by default.")
@click.option("--base", help="Folder or URL under which the bundle's files will be found; by default where "
              "they are, relative if the item is written beside them.")  # fmt: skip
@options.overwrite
def stac(name: str, output: Path | None, base: str | None, overwrite: bool) -> None:
    """Describe the model NAME as a STAC item with the MLM extension, for catalogues of models.

    \b
    geoseg model stac buildings-trees
    geoseg model stac my-model/ -o my-model/item.json
    geoseg model stac my-model/ -o item.json --base https://host/models/my-model
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.models.bundle import find_bundle
    from geoseg.models.stac import own_base, stac_item, to_json, write_item

    bundle = find_bundle(name)
    if output is None:
        click.echo(to_json(stac_item(bundle, own_base(bundle) if base is None else base)))
    else:
        click.echo(write_item(bundle, output, base, overwrite))


@group.command("add-onnx")
@click.argument("name")
def complete(name: str) -> None:
    """Write model.onnx into the bundle NAME (or a bundle's folder), so that it runs without TensorFlow.

    \b
    geoseg model add-onnx my-model/
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.models.bundle import ONNX_FILE, find_bundle
    from geoseg.runtime.keras_engine import start_keras

    bundle = find_bundle(name)
    start_keras()
    from geoseg.models.export import add_onnx

    click.echo(add_onnx(bundle).folder / ONNX_FILE)


@group.command("measure-halo")
@click.argument("name")
@click.argument("scenes", nargs=-1, required=True, metavar="SCENE...")
@click.option("--places", type=click.IntRange(1), default=8, show_default=True,
              help="Patches of each scene to measure on.")  # fmt: skip
@click.option("--engine", type=click.Choice(["auto", *options.ENGINES]), default="auto", show_default=True,
              help="What runs the network, in float32.")  # fmt: skip
@options.bidx
@options.nodata
@options.as_json
def measure(
    name: str, scenes: tuple[str, ...], places: int, engine: str, as_json: bool, **reading: Any
) -> None:
    """Measure what halos smaller than the network's own cost, and write it into the card of the bundle NAME.

    \b
    geoseg model measure-halo my-model/ city.tif village.tif

    SCENEs are best real ones that the model was not trained on. For each halo the table says the largest
    difference of any probability of a kept pixel from the exact result, and the share of kept pixels that
    belong to another class. predict --stitch crop --tolerance takes the smallest halo by the first of these.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.halo import measure_halo
    from geoseg.models.bundle import find_bundle

    curve = measure_halo(find_bundle(name), scenes, engine=engine, places=places, **reading).card.halo_curve
    if as_json:
        click.echo(json.dumps(asdict(curve)))
        return
    click.echo("halo\tlargest\tflipped")
    for row in zip(curve.halos, curve.largest, curve.flipped, strict=True):
        click.echo("\t".join(map(str, row)))


@group.command("quantize")
@click.argument("name")
@click.argument("sources", nargs=-1, required=True, metavar="SCENE...")
@click.option("--check", multiple=True, metavar="SCENE",
              help="Or a folder of scenes, to check on instead of other parts of the SCENEs.")  # fmt: skip
@click.option("--labels", type=click.Path(path_type=Path), multiple=True,
              help="Classes or polygons of the scenes that are checked on, in their order; or one folder of "
              "files named like the scenes.")  # fmt: skip
@click.option("--patches", type=click.IntRange(1), default=32, show_default=True,
              help="How many calibrate; twice as many check.")  # fmt: skip
@options.bidx
@options.nodata
@options.as_json
def quantize(
    name: str, sources: tuple[str, ...], check: tuple[str, ...], labels: tuple[Path, ...], patches: int,
    as_json: bool, **reading: Any,
) -> None:  # fmt: skip
    """Write an int8 network into the bundle NAME for predict --precision int8, if it keeps the masks.

    \b
    geoseg model quantize my-model/ city.tif village.tif --check town.tif --labels town_buildings.gpkg

    SCENEs, or folders of them, are real ones, as varied as those to come. At least 99.5 % of the valid pixels
    that are checked must keep their class, and with labels no class may lose more than 0.5 points of IoU;
    delicate layers stay in float32 where it takes that. Otherwise the bundle is left as it is.
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.bulk.sources import expand
    from geoseg.calibration import quantize_on
    from geoseg.models.bundle import INT8_FILE, find_bundle

    scenes, checked = ([source.dataset for source in expand(given)] if given else []
                       for given in (sources, check))  # fmt: skip
    bundle, trials = quantize_on(find_bundle(name), scenes, checked, labels, patches=patches, **reading)
    if as_json:
        click.echo(json.dumps([trial.to_dict() for trial in trials]))
        return
    click.echo("in float32\tengine\tagreement\tIoU loss")
    for trial in trials:
        click.echo(f"{trial.kept}\t{trial.engine}\t{trial.change.agreement:.4f}\t{trial.change.iou_loss:.4f}")
    click.echo(bundle.folder / INT8_FILE)
