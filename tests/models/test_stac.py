"""The STAC item of a bundle is what STAC and its MLM extension ask for."""

import json
import re
from dataclasses import replace

import pytest

from geoseg.models.bundle import Bundle, sha256, shipped
from geoseg.models.card import Card, ClassSpec
from geoseg.models.stac import stac_item, write_item

MLM = "https://stac-extensions.github.io/mlm/v1.5.0/schema.json"
CARD = Card(
    name="made-up", summary="For tests.", licence="MIT", attribution=("nobody",), architecture="unet",
    parameters=7, activation="softmax", bands=("nir",), pixel_sizes_m=(0.25, 1.0), patch_size=64, overlap=16,
    median_kernel=0, stride=1, halo=0, classes=(ClassSpec("a & b/c", "#a1b2c3"), ClassSpec("d")),
)  # fmt: skip


def bundles(folder):
    return [*shipped(), Bundle(folder, replace(CARD, files={"model.keras": "0" * 64}))]


def test_stac_itself_is_obeyed(tmp_path):
    validation = pytest.importorskip("pystac.validation", reason="pystac brings the schemas of STAC")
    for bundle in bundles(tmp_path):
        found = validation.validate_dict(stac_item(bundle, "."), extensions=[])
        assert any("item.json" in uri for uri in found)


def test_the_extensions_own_package_takes_every_field(tmp_path):
    schema = pytest.importorskip("stac_model.schema", reason="stac-model is the extension's own package")
    for bundle in bundles(tmp_path):
        properties = stac_item(bundle, ".")["properties"]
        said = {key: value for key, value in properties.items() if key.startswith("mlm:")}
        taken = schema.MLModelProperties(**said)
        back = json.loads(taken.model_dump_json(by_alias=True))
        assert {key: back[key] for key in said.keys() - {"mlm:input", "mlm:output"}} == {
            key: value for key, value in said.items() if key not in ("mlm:input", "mlm:output")
        }
        assert set(said) <= set(back), "the extension has no field that it does not know"
        (ours,), (theirs,) = said["mlm:output"], back["mlm:output"]
        assert theirs["result"] == ours["result"]
        assert [one["name"] for one in theirs["classification:classes"]] == [
            one["name"] for one in ours["classification:classes"]
        ]


def test_what_the_extensions_schema_asks_beyond_single_fields(tmp_path):
    for bundle in bundles(tmp_path):
        item = stac_item(bundle, ".")
        properties, (given,), (made,) = (
            item["properties"], item["properties"]["mlm:input"], item["properties"]["mlm:output"]
        )  # fmt: skip
        assert MLM in item["stac_extensions"]
        assert any(re.search(r"/raster/v1(\.[0-9]+){2}/", uri) for uri in item["stac_extensions"])
        assert re.fullmatch(r"[a-zA-Z][a-zA-Z0-9_.\-\s]+[a-zA-Z0-9]", properties["mlm:name"])
        # bands that are named are a dimension
        assert "bands" in given["input"]["dim_order"]
        assert "bands" not in made["result"]["dim_order"]
        # assets: at least one model; models, and nothing else, say how they were saved
        models = [one for one in item["assets"].values() if "mlm:model" in one["roles"]]
        assert models
        for asset in item["assets"].values():
            assert ("mlm:artifact_type" in asset) == (asset in models)
            if asset in models:  # which describe the bands, as the raster extension does
                assert [band["name"] for band in asset["raster:bands"]] == given["bands"]
            assert not {"mlm:name", "mlm:input", "mlm:output", "mlm:hyperparameters"} & asset.keys()
        # the classification extension's alphabet
        for one in made["classification:classes"]:
            assert re.fullmatch("[0-9A-Za-z_-]+", one["name"])
            assert re.fullmatch("[0-9A-F]{6}", one["color_hint"])


def test_an_item_beside_its_files_finds_them(tiny_bundle, tmp_path):
    folder = tmp_path / "tiny"
    folder.mkdir()
    for path in tiny_bundle.folder.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    item = json.loads(write_item(Bundle(folder, tiny_bundle.card), folder / "item.json").read_text())
    for asset in item["assets"].values():
        path = folder / asset["href"]
        assert path.is_file()
        if "file:checksum" in asset:
            assert asset["file:checksum"] == "1220" + sha256(path)
    elsewhere = json.loads(write_item(Bundle(folder, tiny_bundle.card), tmp_path / "item.json").read_text())
    assert elsewhere["assets"]["card"]["href"] == (folder / "card.toml").resolve().as_posix()
    assert item["properties"] == elsewhere["properties"]


def test_shapes_are_those_of_the_network(tiny_bundle):
    properties = stac_item(tiny_bundle, ".")["properties"]
    (given,), (made,) = properties["mlm:input"], properties["mlm:output"]
    model = tiny_bundle.load_keras()
    assert given["input"]["shape"][-1] == model.input_shape[-1]
    assert made["result"]["shape"][-1] == model.output_shape[-1]
    assert properties["mlm:total_parameters"] == model.count_params()


def test_a_catalogue_says_in_which_file_the_weights_lie(tiny_bundle):
    title = stac_item(tiny_bundle, ".")["assets"]["model_onnx"]["title"]
    assert title == "Network and weights for ONNX Runtime and OpenVINO"
    for bundle in shipped():
        assert stac_item(bundle, ".")["assets"]["model_onnx"]["title"] == f"{title}, which lie in model.keras"
