"""A model bundle: a folder with `card.toml` and the network in one or more formats."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from geoseg.errors import BundleError, ModelError, in_a_line
from geoseg.models.card import Card, read_card
from geoseg.models.halo_curve import HaloCurve
from geoseg.models.safety import check_keras, check_onnx

BUNDLED = Path(__file__).resolve().parent.parent / "bundles"
DEFAULT = "buildings-trees"
CARD_FILE = "card.toml"
KERAS_FILE = "model.keras"
ONNX_FILE = "model.onnx"
INT8_FILE = "model.int8.onnx"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bundle:
    """A folder and its card. Files are checked against the card's sha256 before they are used.

    Attributes:
        folder: where it lies.
        card: what it expects and says.
        level: the head L1, L2 … at which a UNet++ is cut off; None for the whole network.
    """

    folder: Path
    card: Card
    level: int | None = None

    def file(self, name: str) -> Path:
        """The path of a file of the bundle, after its sum was checked.

        Raises:
            BundleError: when it is missing or not the file that the card describes.
        """
        path = self.folder / name
        wanted = self.card.files.get(name)
        if wanted is None:
            have = ", ".join(self.card.files) or "none"
            raise BundleError(f"model {self.card.name} has no {name} (it has: {have}); see geoseg model show")
        if not path.is_file():
            raise BundleError(f"model {self.card.name}: {path} is missing; install or copy the bundle again")
        if (found := sha256(path)) != wanted:
            raise BundleError(
                f"model {self.card.name}: {name} was altered (sha256 {found[:12]}…, "
                f"the card says {wanted[:12]}…); "
                "install or copy the bundle again"
            )
        if path.suffix == ".onnx" and check_onnx(path, beside=KERAS_FILE):
            self.file(KERAS_FILE)
        return path

    def load_keras(self) -> Any:
        """The Keras model, loaded in safe mode.

        Raises:
            BundleError: when Keras cannot read the file.
        """
        import keras

        import geoseg.models.layers  # noqa: F401 - registers the layers that the file names
        from geoseg.models.unetpp import prune

        path = self.file(KERAS_FILE)
        check_keras(path)
        try:
            model = keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:
            raise BundleError(
                f"model {self.card.name}: {KERAS_FILE} cannot be loaded: {in_a_line(error)}; get it again"
            ) from error
        return model if self.level is None else prune(model, self.level)

    def at_level(self, level: int) -> Bundle:
        """The bundle of a UNet++ cut off at head `level`: smaller, faster, with a smaller halo.

        Raises:
            ModelError: when the network has no such head.
        """
        from geoseg.models.footprint import footprint

        cut = replace(self, level=level)
        model = cut.load_keras()
        found = footprint(model)
        card = replace(
            self.card, parameters=model.count_params(), stride=found.stride, halo=found.halo,
            halo_curve=HaloCurve(),
        )  # fmt: skip
        return replace(cut, card=card)


def find_bundle(name: str | Path) -> Bundle:
    """The bundle of a name that ships with geoseg, or in a folder.

    Raises:
        BundleError: when there is none.
    """
    for folder in (Path(name), BUNDLED / str(name)):
        if (folder / CARD_FILE).is_file():
            return Bundle(folder, read_card(folder / CARD_FILE))
    if Path(name).is_dir():
        read_card(Path(name) / CARD_FILE)
    known = ", ".join(bundle.card.name for bundle in shipped())
    raise BundleError(f"no model {name}: it is neither a bundle folder nor one of: {known}")


def shipped() -> Iterator[Bundle]:
    """The bundles that come with geoseg."""
    for path in sorted(BUNDLED.glob("*/card.toml")):
        yield Bundle(path.parent, read_card(path))


def save_bundle(model: Any, card: Card, folder: Path, *, half: bool = False) -> Bundle:
    """Write a Keras model and its card as a bundle; stride, halo and parameters are taken from the model.

    The card's halo curve, which was another network's, is left out.

    A network with a layer that has no ONNX form is saved without `model.onnx`, and runs on TensorFlow.

    Args:
        model: the network.
        card: what is known of it.
        folder: the bundle's; made if absent.
        half: round the model's kernels to float16, in place, for one small file of weights, to which
            `model.onnx` points.
    """
    from geoseg.models.compact import round_weights, squeeze
    from geoseg.models.export import add_onnx
    from geoseg.models.footprint import footprint

    folder.mkdir(parents=True, exist_ok=True)
    if half:
        round_weights(model)
    model.save(folder / KERAS_FILE)
    if half:
        squeeze(folder / KERAS_FILE)
    prints = footprint(model)
    full = replace(
        card, parameters=model.count_params(), stride=prints.stride, halo=prints.halo,
        halo_curve=HaloCurve(), files={KERAS_FILE: sha256(folder / KERAS_FILE)},
    )  # fmt: skip
    (folder / CARD_FILE).write_text(full.to_toml(), encoding="utf-8")
    bundle = Bundle(folder, full)
    try:
        return add_onnx(bundle, model, half=half)
    except ModelError as error:
        log.warning("%s is saved without %s: %s", card.name, ONNX_FILE, error)
        return bundle


def sha256(path: Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
