"""A bundle as an item of a STAC catalogue, with the Machine Learning Model extension (MLM).

Specification: https://github.com/stac-extensions/mlm (1.5.0) on STAC 1.1.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from geoseg.models.bundle import CARD_FILE, KERAS_FILE, Bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.models.safety import check_onnx
from geoseg.staging import staged

STAC_VERSION = "1.1.0"
EXTENSIONS = (
    "https://stac-extensions.github.io/mlm/v1.5.0/schema.json",
    "https://stac-extensions.github.io/classification/v1.1.0/schema.json",
    "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
    "https://stac-extensions.github.io/file/v2.1.0/schema.json",
)
SHA256 = "1220"  # what a multihash of it begins with
ALWAYS = "1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z"  # a model is for scenes of any time
TASK = "semantic-segmentation"


def stac_item(bundle: Bundle, base: str) -> dict[str, Any]:
    """The item of a bundle; it lies nowhere, as a model is no scene.

    Args:
        bundle: the model.
        base: of its files' addresses: a folder's path or URL.

    Returns:
        The item, ready for JSON.
    """
    card = bundle.card
    begin, end = ALWAYS
    smallest, largest = card.pixel_sizes_m
    properties = {
        "title": card.name, "description": card.summary, "license": card.licence, "datetime": None,
        "start_datetime": begin, "end_datetime": end, "gsd": round(math.sqrt(smallest * largest), 3),
        "mlm:name": card.name, "mlm:architecture": card.architecture, "mlm:tasks": [TASK],
        "mlm:total_parameters": card.parameters, "mlm:pretrained": True,
        "mlm:input": [_input(card)], "mlm:output": [_output(card)],
        "mlm:hyperparameters": _hyperparameters(card),
        "providers": [{"name": name, "roles": ["licensor"]} for name in card.attribution],
    }  # fmt: skip
    if card.training:
        properties["mlm:pretrained_source"] = "; ".join(one.get("name", "unnamed") for one in card.training)
    return {
        "type": "Feature", "stac_version": STAC_VERSION, "stac_extensions": list(EXTENSIONS),
        "id": card.name, "geometry": None, "properties": properties, "links": [],
        "assets": _assets(bundle, base.rstrip("/")),
    }  # fmt: skip


def write_item(bundle: Bundle, path: Path, base: str | None = None, overwrite: bool = False) -> Path:
    """Write the item of a bundle.

    Args:
        bundle: the model.
        path: of the JSON file.
        base: see `stac_item`; the bundle's own folder when None, `.` if the item is written into it.
        overwrite: replace a file that is there.

    Raises:
        OutputError: when the file is there or cannot be written.
    """
    item = stac_item(bundle, own_base(bundle, path) if base is None else base)
    with staged(path, overwrite=overwrite) as (draft,):
        draft.write_text(to_json(item) + "\n", encoding="utf-8")
    return path


def to_json(item: Mapping[str, Any]) -> str:
    """The text of an item."""
    return json.dumps(item, indent=2, ensure_ascii=False)


def own_base(bundle: Bundle, path: Path | None = None) -> str:
    """Where the bundle's files are, seen from an item at `path`."""
    folder = bundle.folder.resolve()
    return "." if path is not None and path.resolve().parent == folder else folder.as_posix()


def _input(card: Card) -> dict[str, Any]:
    size = card.patch_size
    return {
        "name": "pixels",
        "description": "Values from 0 to 255; scaling to what the layers want is part of the network. "
                       f"Any height and width that are multiples of {card.stride}.",
        "bands": list(card.bands),
        "input": {"shape": [-1, size, size, len(card.bands)], "data_type": "float32",
                  "dim_order": ["batch", "height", "width", "bands"]},
        "value_scaling": None,
        "resize_type": None,
    }  # fmt: skip


def _output(card: Card) -> dict[str, Any]:
    size = card.patch_size
    independent = "independent of each other" if card.activation == "sigmoid" else "which sum to 1"
    return {
        "name": "probabilities",
        "description": f"A probability for each class, {independent}, from 0 to 1.",
        "tasks": [TASK],
        "result": {"shape": [-1, size, size, len(card.classes)], "data_type": "float32",
                   "dim_order": ["batch", "height", "width", "class"]},
        "classification:classes": [_class(value, spec) for value, spec in enumerate(card.classes, 1)],
        "post_processing_function": None,
    }  # fmt: skip


def _class(value: int, spec: ClassSpec) -> dict[str, Any]:
    """A class with its value in the mask; its name in the alphabet that the extension allows."""
    return {
        "value": value, "name": re.sub("[^0-9A-Za-z_-]", "-", spec.name),
        "description": f"{spec.name}, from a probability of {spec.threshold:g}",
        "color_hint": spec.color[1:].upper(),
    }  # fmt: skip


def _hyperparameters(card: Card) -> dict[str, Any]:
    """How geoseg runs it."""
    names = ("activation", "patch_size", "overlap", "stride", "halo", "median_kernel", "precisions")
    return {name: getattr(card, name) for name in names} | {
        "pixel_sizes_m": list(card.pixel_sizes_m), "thresholds": list(card.thresholds),
        "precisions": list(card.precisions),
    }  # fmt: skip


def _assets(bundle: Bundle, base: str) -> dict[str, Any]:
    """The card and every file that it names."""
    assets: dict[str, Any] = {
        "card": {"href": f"{base}/{CARD_FILE}", "type": "application/toml", "roles": ["metadata"],
                 "title": "Everything between pixels and polygons that belongs to the weights"},
    }  # fmt: skip
    for name, total in bundle.card.files.items():
        keras = name == KERAS_FILE
        shared = not keras and check_onnx(bundle.file(name), KERAS_FILE)
        assets[name.replace(".", "_")] = {
            "href": f"{base}/{name}", "roles": ["mlm:model"], "file:checksum": SHA256 + total,
            "type": "application/zip" if keras else "application/octet-stream; framework=onnx",
            "title": "Network and weights for " + ("Keras" if keras else "ONNX Runtime and OpenVINO")
                     + (f", which lie in {KERAS_FILE}" if shared else ""),
            "raster:bands": [{"name": band} for band in bundle.card.bands],
            "mlm:framework": "Keras" if keras else "ONNX",
            "mlm:artifact_type": "tf.keras.Model.save" if keras else "onnx.save_model",
        }  # fmt: skip
    return assets
