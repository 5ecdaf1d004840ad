"""A bundle is a folder whose card tells the truth about its files."""

import shutil
import tomllib
from dataclasses import fields, replace

import numpy as np
import pytest
import tomli_w

from geoseg.errors import BundleError
from geoseg.models.bundle import BUNDLED, find_bundle, save_bundle, sha256, shipped
from geoseg.models.card import Card, ClassSpec, card_from, read_card
from geoseg.models.footprint import footprint


@pytest.fixture
def copied(tiny_bundle, tmp_path):
    """A copy of the tiny bundle that a test may damage."""
    return shutil.copytree(tiny_bundle.folder, tmp_path / "tiny")


def edited(folder, change):
    table = tomllib.loads((folder / "card.toml").read_text())
    change(table)
    (folder / "card.toml").write_text(tomli_w.dumps(table))


def test_a_card_survives_the_way_to_toml_and_back(tiny_bundle):
    assert read_card(tiny_bundle.folder / "card.toml") == tiny_bundle.card
    full = find_bundle("buildings-trees").card
    assert card_from(tomllib.loads(full.to_toml()), "here") == full


def test_a_model_survives_the_way_to_a_bundle_and_back(tiny_bundle):
    model = find_bundle(tiny_bundle.folder).load_keras()
    batch = np.random.default_rng(0).integers(0, 256, (2, 8, 8, 3)).astype(np.float32)
    logits = np.stack([0.05 * (batch[..., 0] - 127.5), 0.05 * (127.2 - batch[..., 1])], -1)
    np.testing.assert_allclose(model.predict(batch, verbose=0), 1 / (1 + np.exp(-logits)), atol=1e-6)


def test_saving_measures_the_model_instead_of_believing_the_card(tiny_bundle, tmp_path):
    import keras

    pixels = keras.Input((None, None, 3))
    x = keras.layers.Conv2D(5, 7, padding="same")(pixels)
    x = keras.layers.UpSampling2D()(keras.layers.MaxPooling2D()(x))
    model = keras.Model(pixels, keras.layers.Conv2D(2, 1, activation="sigmoid")(x))
    wrong = replace(tiny_bundle.card, stride=16, halo=0, parameters=7, files={"model.keras": "0" * 64})
    card = save_bundle(model, wrong, tmp_path / "b").card
    assert (card.stride, card.parameters) == (2, 7 * 7 * 3 * 5 + 5 + 5 * 2 + 2)
    assert card.halo >= 4
    assert find_bundle(tmp_path / "b").card == card
    names = ("model.keras", "model.onnx")
    assert card.files == {name: sha256(tmp_path / "b" / name) for name in names}


def test_an_altered_file_is_refused(copied):
    with (copied / "model.keras").open("r+b") as file:
        file.seek(40)
        file.write(b"\xff")
    with pytest.raises(BundleError, match="altered"):
        find_bundle(copied).load_keras()


def test_a_missing_file_is_refused(copied):
    (copied / "model.keras").unlink()
    with pytest.raises(BundleError, match="missing"):
        find_bundle(copied).load_keras()


def test_a_file_the_card_does_not_name_is_refused(copied):
    (copied / "other.keras").write_bytes(b"x")
    with pytest.raises(BundleError, match=r"no other\.keras"):
        find_bundle(copied).file("other.keras")


def test_a_file_that_keras_cannot_read_is_refused_in_one_line(copied):
    (copied / "model.keras").write_bytes(b"not a model\n\n")
    edited(copied, lambda table: table["files"].update({"model.keras": sha256(copied / "model.keras")}))
    with pytest.raises(BundleError, match=r"is a damaged \.keras file") as error:
        find_bundle(copied).load_keras()
    assert "\n" not in str(error.value)


def test_code_in_a_model_file_is_not_run(tiny_bundle, tmp_path):
    import keras

    pixels = keras.Input((None, None, 3))
    model = keras.Model(pixels, keras.layers.Conv2D(2, 1)(keras.layers.Lambda(lambda x: x * 2)(pixels)))
    model.save(tmp_path / "model.keras")
    card = replace(tiny_bundle.card, files={"model.keras": sha256(tmp_path / "model.keras")})
    (tmp_path / "card.toml").write_text(card.to_toml())
    with pytest.raises(BundleError, match="which is no known layer"):
        find_bundle(tmp_path).load_keras()


CHANGES = {
    "unknown field": lambda table: table.update(colour="red"),
    "no name": lambda table: table.pop("name"),
    "no classes": lambda table: table.update(classes=[]),
    "no bands": lambda table: table.update(bands=[]),
    "bad colour": lambda table: table["classes"][0].update(color="red"),
    "threshold above 1": lambda table: table["classes"][0].update(threshold=1.5),
    "threshold is text": lambda table: table["classes"][0].update(threshold="half"),
    "unknown profile": lambda table: table["classes"][0].update(profile="road"),
    "unknown field of a class": lambda table: table["classes"][0].update(size=3),
    "unknown activation": lambda table: table.update(activation="relu"),
    "one pixel size": lambda table: table.update(pixel_sizes_m=[0.3]),
    "falling pixel sizes": lambda table: table.update(pixel_sizes_m=[0.9, 0.1]),
    "pixel size 0": lambda table: table.update(pixel_sizes_m=[0.0, 0.1]),
    "classes are text": lambda table: table.update(classes="building"),
    "classes are numbers": lambda table: table.update(classes=[1, 2]),
    "unknown precision": lambda table: table.update(precisions=["float32", "posit8"]),
    "no float32": lambda table: table.update(precisions=["bfloat16"]),
    "halo curve is text": lambda table: table.update(halo_curve="flat"),
    "halo curve without errors": lambda table: table.update(halo_curve={"halos": [0, 16]}),
    "halo curve of text": lambda table: table.update(
        halo_curve={"halos": [0, 16], "largest": ["much", "little"], "flipped": [0.1, 0.0]}
    ),
    "halo curve with an unknown field": lambda table: table.update(halo_curve={"color": "red"}),
    "stride is text": lambda table: table.update(stride="many"),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_wrong_card_is_refused_in_one_line(copied, change):
    edited(copied, change)
    with pytest.raises(BundleError) as error:
        read_card(copied / "card.toml")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe\x00", b""])
def test_a_card_that_is_no_toml_or_empty_is_refused_in_one_line(copied, content):
    (copied / "card.toml").write_bytes(content)
    with pytest.raises(BundleError) as error:
        find_bundle(copied)
    assert "\n" not in str(error.value)


def test_more_classes_than_a_byte_holds_are_refused(tiny_bundle):
    many = tuple(ClassSpec(f"c{k}") for k in range(255))
    with pytest.raises(BundleError, match="254"):
        replace(tiny_bundle.card, classes=many)
    assert len(replace(tiny_bundle.card, classes=many[:254]).thresholds) == 254


def test_an_unknown_name_lists_what_there_is(tmp_path):
    with pytest.raises(BundleError) as error:
        find_bundle("cars")
    assert all(bundle.card.name in str(error.value) for bundle in shipped())
    with pytest.raises(BundleError, match=r"no card\.toml"):
        find_bundle(tmp_path)


@pytest.mark.parametrize("name", sorted(path.parent.name for path in BUNDLED.glob("*/card.toml")))
def test_a_shipped_card_tells_the_truth_about_its_model(name):
    bundle = find_bundle(name)
    model, card = bundle.load_keras(), bundle.card
    prints = footprint(model)
    assert card.name == name
    assert (card.stride, card.halo, card.parameters) == (prints.stride, prints.halo, model.count_params())
    outputs = model.outputs[-1]
    assert outputs.shape[-1] == len(card.classes)
    assert model.inputs[0].shape[-1] == len(card.bands)
    assert card.patch_size % card.stride == 0
    assert (card.patch_size - card.overlap) % card.stride == 0
    assert card.licence
    assert card.attribution
    assert all(spec["licence"] for spec in card.training)
    assert {path.name for path in bundle.folder.iterdir()} == {"card.toml", *card.files}


def test_the_card_documents_every_field():
    assert all(f"{field.name}: " in Card.__doc__ for field in fields(Card))
