"""Files made to do harm: no code of theirs runs, nobody is asked for them, no memory is taken for nothing."""

import ast
import io
import itertools
import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import rasterio
from conftest import NORTH_UP, UTM, coded, write_raster
from thresholds import CARD, complaint, left, run, thresholds_for_networks, write_card

import geoseg
from geoseg.bulk.sources import expand
from geoseg.errors import BundleError, EngineError, SceneError
from geoseg.geo.reach import open_input
from geoseg.models.bundle import Bundle, sha256
from geoseg.models.card import read_card
from geoseg.models.safety import check_keras, check_onnx
from geoseg.runtime.onnx_engine import OnnxEngine
from geoseg.runtime.openvino_engine import OpenVinoEngine

PACKAGE = Path(geoseg.__file__).parent

# The code itself -------------------------------------------------------------------------------------------

CODE_RUNNERS = {"eval", "exec", "compile", "__import__"}
UNPICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal", "torch", "yaml"}
TORCH = {"cuda", "inference_mode", "OutOfMemoryError"}  # what is used of it; its files are pickles
SHELLS = {("os", "system"), ("os", "popen"), ("subprocess", "getoutput"), ("subprocess", "getstatusoutput")}


def imported(node):
    """Modules that a node imports, but for a plain `import torch`, whose uses are looked at one by one."""
    if isinstance(node, ast.ImportFrom):
        return {node.module or ""}
    return {alias.name for alias in node.names if (alias.name, alias.asname) != ("torch", None)}


def dangers(source):
    """What in Python source runs text as code, unpickles, or starts a shell."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            yield from ({name.split(".")[0] for name in imported(node)} & UNPICKLERS)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            yield from {f"torch.{node.attr}"} if node.value.id == "torch" and node.attr not in TORCH else ()
        elif isinstance(node, ast.Call):
            function = node.func
            if isinstance(function, ast.Name):
                yield from ({function.id} & CODE_RUNNERS)
            elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
                yield from (".".join(pair) for pair in {(function.value.id, function.attr)} & SHELLS)
            for keyword in node.keywords:
                off = isinstance(keyword.value, ast.Constant) and not keyword.value.value
                if keyword.arg in ("shell", "allow_pickle") and not off:
                    yield f"{keyword.arg}="
                if keyword.arg == "safe_mode" and off:
                    yield "safe_mode=False"


def test_no_module_runs_text_as_code_unpickles_or_starts_a_shell():
    found = {
        str(path): sorted(words)
        for path in PACKAGE.rglob("*.py")
        if (words := set(dangers(path.read_text(encoding="utf-8"))))
    }
    assert found == {}


@pytest.mark.parametrize("source", [
    "eval(x)", "exec('x')", "import pickle", "from joblib import load", "os.system('ls')", "import torch.nn",
    "import torch as t", "torch.load(x)", "load = torch.load",
    "subprocess.run(x, shell=True)", "np.load(x, allow_pickle=True)", "load_model(x, safe_mode=False)",
])  # fmt: skip
def test_the_search_for_such_code_finds_it(source):
    assert list(dangers(source))


# Networks --------------------------------------------------------------------------------------------------


def layer(name, module="keras.layers", **more):
    return {
        "module": module,
        "class_name": name,
        "config": {"name": name.lower()},
        "registered_name": None,
    } | more


def weights(fill=lambda file: file.create_dataset("layers/conv/vars/0", data=np.zeros((1, 1, 3, 2), "f4"))):
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        fill(file)
    return stream.getvalue()


def graph(*layers):
    return {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"layers": [layer("InputLayer"), *layers]},
    }


def keras_file(path, config=None, content=None, more=(), **options):
    """A `.keras` file put together by hand."""
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr("metadata.json", "{}")
        file.writestr("config.json", json.dumps(graph(layer("Conv2D")) if config is None else config))
        file.writestr("model.weights.h5", weights() if content is None else content)
        for name, text in more:
            file.writestr(name, text)
    return path


@pytest.mark.parametrize(
    "part",
    [
        layer("Lambda"),
        layer("TorchModuleWrapper"),
        layer("TFSMLayer"),
        layer("JaxLayer"),
        layer("StringLookup"),
        layer("TextVectorization"),
        layer("system", "os"),
        layer("Popen", "subprocess"),
        layer("get_file", "keras.utils"),
        layer("load_model", "keras.models"),
        layer("Conv2D", "evil.layers"),
        layer("Conv2D", registered_name="evil>Conv2D"),
        {"class_name": "__lambda__", "config": {"value": "4wAAAA"}},
        {"class_name": "function", "module": "builtins", "config": "eval", "registered_name": "function"},
        {"class_name": "Lambda", "config": {}},
    ],
    ids=lambda part: f"{part.get('module')}.{part['class_name']}",
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_layer_that_is_not_known_is_refused_wherever_it_stands(tmp_path, part, deep):
    inner = layer("Conv2D")
    inner["config"]["activation"] = {"anything": [part]}
    with pytest.raises(BundleError, match="which is no known layer; do not use it"):
        check_keras(keras_file(tmp_path / "x.keras", graph(inner if deep else part)))


def test_a_lambda_of_keras_own_making_does_not_run(tmp_path):
    """The control: with safe mode off it does."""
    import keras

    mark = tmp_path / "ran"
    source = compile(f"lambda x: (open({str(mark)!r}, 'w').close(), x)[1]", "x", "eval")
    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Lambda(eval(source), output_shape=(None, None, 3))(inputs))
    model.save(tmp_path / "model.keras")
    mark.unlink(missing_ok=True)
    bundle = Bundle(tmp_path, replace(CARD, files={"model.keras": sha256(tmp_path / "model.keras")}))
    with pytest.raises(BundleError, match="no known layer"):
        bundle.load_keras()
    assert not mark.exists()
    mark.unlink(missing_ok=True)
    keras.saving.load_model(tmp_path / "model.keras", safe_mode=False)(np.zeros((1, 4, 4, 3)))
    assert mark.exists()


@pytest.mark.parametrize(
    "name", ["../evil", "/etc/evil", "assets/layer/vocabulary.txt", "data.pkl", "config.json"]
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_archive_holds_three_members_and_no_other(tmp_path, name):
    with pytest.raises(BundleError, match="other members"):
        check_keras(keras_file(tmp_path / "x.keras", more=[(name, "{}")]))


def test_an_archive_that_swells_is_refused_before_it_is_unpacked(tmp_path):
    path = keras_file(tmp_path / "x.keras", content=bytes(2**26), compression=zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 2**17
    with pytest.raises(BundleError, match=r"model.weights.h5 claims 67108864 bytes, not up to"):
        check_keras(path)


@pytest.mark.parametrize(
    ("fill", "words"),
    [
        (lambda file: file.__setitem__("w", h5py.ExternalLink("/etc/passwd", "/")), "have a link, 'w'"),
        (lambda file: file.__setitem__("w", h5py.SoftLink("/x")), "have a link, 'w'"),
        (
            lambda file: file.create_dataset("a/w", (9,), "u1", external=[("/etc/passwd", 0, 9)]),
            "as Keras lays them",
        ),
        (lambda file: file.create_dataset("w", (2**40,), "f4", chunks=(2**10,)), "as Keras lays them"),
        (lambda file: file.create_dataset("w", (2**40,), "f4"), "which are not there"),
        (lambda file: file.create_virtual_dataset("w", h5py.VirtualLayout((9,), "f4")), "as Keras lays them"),
    ],
    ids=["external link", "soft link", "external storage", "giant chunks", "giant", "virtual"],
)
def test_weights_lie_in_the_file_itself(tmp_path, fill, words):
    with pytest.raises(BundleError, match=words):
        check_keras(keras_file(tmp_path / "x.keras", content=weights(fill)))


def test_a_network_larger_than_its_weights_is_refused_before_memory_is_taken(tmp_path):
    import keras

    inputs = keras.Input((None, None, 3))
    model = keras.Model(inputs, keras.layers.Conv2D(4, 1)(inputs))
    model.save(tmp_path / "small.keras")
    check_keras(tmp_path / "small.keras")
    with zipfile.ZipFile(tmp_path / "small.keras") as file:
        config = json.loads(file.read("config.json").replace(b'"filters": 4', b'"filters": 4000000000000'))
        large = keras_file(tmp_path / "large.keras", config, file.read("model.weights.h5"))
    with pytest.raises(BundleError, match="its network has 16000000000000 weights, the file 16"):
        check_keras(large)
    assert keras.Model(inputs, keras.layers.Conv2D(4, 1)(inputs)).count_params() == 16


@pytest.mark.parametrize(
    "data", [b"", b"PK\3\4", b"\x80\x05K\x01.", bytes(1000)], ids=["empty", "zip", "pickle", "0"]
)
def test_what_is_no_archive_is_damaged(tmp_path, data):
    (tmp_path / "x.keras").write_bytes(data)
    with pytest.raises(BundleError, match=r"is a damaged \.keras file: "):
        check_keras(tmp_path / "x.keras")


def onnx_file(path, *places_of_weights, offset=0):
    from onnx import TensorProto, helper

    name = "kernel" if places_of_weights else "location"  # a word that does no harm alone
    kernel = helper.make_tensor(name, TensorProto.FLOAT, (2,), np.zeros(2, "f4").tobytes(), raw=True)
    if places_of_weights:
        kernel.ClearField("raw_data")
        kernel.data_location = TensorProto.EXTERNAL
        kernel.external_data.add(key="offset", value=str(offset))
    for place in places_of_weights:
        kernel.external_data.add(key="location", value=place)
    places = [helper.make_tensor_value_info(name, TensorProto.FLOAT, (2,)) for name in ("pixels", "classes")]
    node = helper.make_node("Add", ["pixels", name], ["classes"])
    made = helper.make_graph([node], "graph", places[:1], places[1:], [kernel])
    path.write_bytes(helper.make_model(made).SerializeToString())
    return path


@pytest.mark.parametrize("places", [
    ("../../etc/passwd",), ("model.keras", "../../etc/passwd"), ("../../etc/passwd", "model.keras"),
    ("model.keras/",), ("",),
], ids=str)  # fmt: skip
def test_an_onnx_file_whose_weights_lie_elsewhere_is_refused(tmp_path, places):
    path = onnx_file(tmp_path / "model.onnx", *places)
    (tmp_path / "model.keras").write_bytes(bytes(8))
    bundle = Bundle(tmp_path, bundle_card(tmp_path, "model.onnx", "model.keras"))
    with pytest.raises(BundleError, match="'kernel' lie in other files; do not use it"):
        bundle.file("model.onnx")
    assert not check_onnx(onnx_file(path), "model.keras")


def test_an_entry_with_two_files_in_it_is_no_reference_to_the_keras_file(tmp_path):
    assert check_onnx(onnx_file(tmp_path / "model.onnx", "model.keras"), "model.keras")
    path = onnx_file(tmp_path / "model.onnx", 19 * "x")
    twice = b"\x12\x0bmodel.keras\x12\x06passwd"  # the last one counts
    path.write_bytes(path.read_bytes().replace(b"\x12\x13" + 19 * b"x", twice))
    with pytest.raises(BundleError, match="lie in other files"):
        check_onnx(path, "model.keras")


def test_the_models_of_the_package_are_looked_at_without_the_onnx_package():
    script = """
import sys
from geoseg.models.bundle import shipped
print([bundle.file("model.onnx").name for bundle in shipped()], "onnx" in sys.modules)
"""
    said = subprocess.check_output([sys.executable, "-c", script], text=True)
    assert said.strip() == "['model.onnx', 'model.onnx'] False"


def test_weights_in_the_keras_file_are_the_ones_that_the_card_means(tmp_path):
    onnx_file(tmp_path / "model.onnx", "model.keras")
    (tmp_path / "model.keras").write_bytes(bytes(8))
    bundle = Bundle(tmp_path, bundle_card(tmp_path, "model.onnx", "model.keras"))
    assert bundle.file("model.onnx") == tmp_path / "model.onnx"
    (tmp_path / "model.keras").write_bytes(b"\1" * 8)
    with pytest.raises(BundleError, match=r"model\.keras was altered"):
        bundle.file("model.onnx")
    with pytest.raises(BundleError, match=r"has no model\.keras"):
        Bundle(tmp_path, bundle_card(tmp_path, "model.onnx")).file("model.onnx")


@pytest.mark.parametrize("engine", [OpenVinoEngine, OnnxEngine])
@pytest.mark.parametrize("offset", [1, 4096, -8, 2**62])
def test_weights_beyond_the_end_of_the_keras_file_are_an_error(tmp_path, engine, offset):
    path = onnx_file(tmp_path / "model.onnx", "model.keras", offset=offset)
    (tmp_path / "model.keras").write_bytes(bytes(8))
    with pytest.raises(EngineError, match="cannot load"):
        engine(path, classes=1, stride=1, halo=0, batch_size=1)


def bundle_card(folder, *names):
    return replace(CARD, files={name: sha256(folder / name) for name in names})


@pytest.mark.parametrize("name", ["patch_size", "overlap", "median_kernel", "stride", "halo"])
def test_a_card_does_not_ask_for_giant_patches(name):
    with pytest.raises(BundleError, match=f"{name} is up to 8192 px, got 20000"):
        replace(CARD, **{name: 20_000})


@pytest.mark.parametrize("text", ["a=" + "[" * 100_000, "#" * (2**22 + 1)], ids=["deep", "long"])
def test_a_card_that_swamps_its_reader_is_refused(tmp_path, text):
    (tmp_path / "card.toml").write_text(text)
    with pytest.raises(BundleError, match="fetch the bundle again"):
        read_card(tmp_path / "card.toml")


# Rasters ---------------------------------------------------------------------------------------------------

SERVER = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        with open(sys.argv[1], "a") as file: file.write(self.path + "\\n")
        self.send_error(404)
    do_HEAD = do_GET
    def log_message(self, *words): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
"""


class Trap:
    """A server that notes who asks."""

    def __init__(self, server, notes):
        self.server, self.notes, self.places = server, notes, itertools.count()

    @property
    def address(self):
        """Another one each time: GDAL remembers what was not there."""
        return f"{self.server}/{next(self.places)}"

    def sprung(self):
        asked = self.notes.read_text() if self.notes.exists() else ""
        self.notes.unlink(missing_ok=True)
        return asked


@pytest.fixture(scope="module")
def trap(tmp_path_factory):
    """A process of its own: GDAL holds Python's lock while it waits for an answer."""
    notes = tmp_path_factory.mktemp("trap") / "asked"
    with subprocess.Popen([sys.executable, "-c", SERVER, notes], stdout=subprocess.PIPE, text=True) as server:
        yield Trap(f"http://127.0.0.1:{server.stdout.readline().strip()}", notes)
        server.terminate()


@pytest.fixture
def bundle(tmp_path_factory):
    with thresholds_for_networks():
        yield write_card(tmp_path_factory.mktemp("models") / "thresholds")


def vrt(*sources, relative=0, more=""):
    """A VRT of three bands, each of these sources."""
    inner = "".join(
        f'<SimpleSource><SourceFilename relativeToVRT="{relative}">{source}</SourceFilename><SourceBand>%d'
        f"</SourceBand></SimpleSource>"
        for source in sources
    )
    bands = "".join(
        f'<VRTRasterBand dataType="Byte" band="{band}">{inner.replace("%d", str(band))}</VRTRasterBand>'
        for band in (1, 2, 3)
    )
    a, b, c, d, e, f = NORTH_UP[:6]
    place = f"<SRS>{UTM}</SRS><GeoTransform>{c}, {a}, {b}, {f}, {d}, {e}</GeoTransform>"
    return f'<VRTDataset rasterXSize="60" rasterYSize="40">{place}{bands}{more}</VRTDataset>'


def wms(address):
    return (
        f'<GDAL_WMS><Service name="TMS"><ServerUrl>{address}/${{z}}/${{x}}/${{y}}</ServerUrl></Service>'
        "<DataWindow>"
        "<UpperLeftX>0</UpperLeftX><UpperLeftY>100</UpperLeftY><LowerRightX>100</LowerRightX><LowerRightY>0"
        "</LowerRightY><SizeX>60</SizeX><SizeY>40</SizeY></DataWindow><Projection>EPSG:3857</Projection>"
        "<BandsCount>3</BandsCount></GDAL_WMS>"
    )


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def remote_vrt(folder, trap):
    return write(folder / "scene.vrt", vrt(f"/vsicurl/{trap.address}/x.tif"))


def vrt_in_disguise(folder, trap):
    return write(folder / "scene.tif", vrt(f"/vsicurl/{trap.address}/x.tif"))


def nested_vrt(folder, trap):
    write(folder / "inner.tif", vrt(f"/vsicurl/{trap.address}/x.tif"))
    return write(folder / "scene.vrt", vrt("inner.tif", relative=1))


def vrt_of_a_service(folder, trap):
    write(folder / "inner.tif", wms(trap.address))
    return write(folder / "scene.vrt", vrt("inner.tif", relative=1))


def service(folder, trap):
    return write(folder / "scene.tif", wms(trap.address))


ATTACKS = [remote_vrt, vrt_in_disguise, nested_vrt, vrt_of_a_service, service]


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("command", ["predict", "vectorize"])
def test_a_raster_asks_nobody_what_only_its_content_names(tmp_path, trap, bundle, attack, command):
    path, out = attack(tmp_path, trap), tmp_path / "out"
    out.mkdir()
    words = (
        ["-o", out / "m.tif", "-m", bundle, "--res", "native"]
        if command == "predict"
        else ["-o", out / "m.gpkg"]
    )
    result = run(command, path, *words)
    assert result.exit_code == 1
    assert complaint(result, out) is None
    assert "--allow-remote" in result.stderr
    assert trap.sprung() == ""
    result = run(
        command, path, *words, "--allow-remote", *(["--band", "1"] if command == "vectorize" else [])
    )
    assert trap.sprung() != "", "the attack is none"
    assert complaint(result, out) is None


def test_a_tiff_does_not_send_readers_to_overviews_elsewhere(tmp_path, trap):
    path = write_raster(tmp_path / "scene.tif", coded((40, 60)))
    with rasterio.open(path, "r+") as file:
        file.update_tags(ns="OVERVIEWS", OVERVIEW_FILE=f"/vsicurl/{trap.address}/x.ovr")
    for opened in (path, write(tmp_path / "over.vrt", vrt("scene.tif", relative=1))):
        with pytest.raises(SceneError, match="for its overviews"):
            open_input(opened)
    assert trap.sprung() == ""
    with rasterio.open(path) as file:
        file.overviews(1)
    assert trap.sprung() != ""


@pytest.mark.parametrize("ending", [".msk", ".ovr"])
def test_what_lies_beside_a_raster_is_looked_at_too(tmp_path, trap, ending):
    path = write_raster(tmp_path / "scene.tif", coded((40, 60)))
    write(tmp_path / f"scene.tif{ending}", vrt(f"/vsicurl/{trap.address}/x.tif"))
    with pytest.raises(SceneError, match=rf"leads to .*scene.tif\{ending}, which is no raster with pixels"):
        open_input(path)
    assert trap.sprung() == ""


@pytest.mark.parametrize(
    "text",
    [
        vrt(
            "scene.tif",
            more="<VRTRasterBand><PixelFunctionLanguage>Python</PixelFunctionLanguage></VRTRasterBand>",
        ),
        vrt("scene.tif", more="<PixelFunctionCode>import os</PixelFunctionCode>"),
        vrt("/etc/passwd"),
        vrt("missing.tif"),
        vrt("scene.vrt", relative=1),
        vrt("/vsizip/a.zip/b.tif"),
        vrt("WMTS:http://127.0.0.1/x"),
        vrt("&lt;GDAL_WMS/&gt;"),
        '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">]>' + vrt("scene.tif"),
        vrt("scene.tif")[:-20],
        vrt(
            "scene.tif",
            more='<Metadata><MDI key="OVERVIEW_FILE">/vsicurl/http://127.0.0.1/x</MDI></Metadata>',
        ),
    ],
    ids=[
        "python",
        "code",
        "no raster",
        "missing",
        "itself",
        "archive",
        "service",
        "inline",
        "entities",
        "cut",
        "ovr",
    ],
)
def test_a_vrt_is_of_local_rasters_or_refused(tmp_path, text, monkeypatch):
    monkeypatch.setenv("GDAL_VRT_ENABLE_PYTHON", "YES")
    write_raster(tmp_path / "scene.tif", coded((40, 60)))
    with pytest.raises(SceneError, match=r"; (give the files|mend|apply|make it anew|--allow)|leads to"):
        open_input(write(tmp_path / "scene.vrt", text))


def test_a_vrt_of_local_rasters_is_a_scene_like_them(tmp_path, bundle):
    path = write_raster(tmp_path / "scene.tif", coded((40, 60)) * np.uint8(3))
    names = "<Metadata><MDI key='about'>https://example.org/x</MDI></Metadata>"
    masks = []
    for scene in (path, write(tmp_path / "one.vrt", vrt("scene.tif", relative=1, more=names)),
                  write(tmp_path / "two.vrt", vrt(tmp_path / "one.vrt"))):  # fmt: skip
        result = run("predict", scene, "-m", bundle, "-o", tmp_path / f"{scene.stem}_m.tif")
        assert result.exit_code == 0, result.stderr
        with rasterio.open(tmp_path / f"{scene.stem}_m.tif") as file:
            masks.append(file.read(1))
    assert all((mask == masks[0]).all() for mask in masks)
    assert set(np.unique(masks[0])) == {1, 2}


# Vector files ----------------------------------------------------------------------------------------------

RING = [[[-117.5, 34], [-117.4, 34], [-117.4, 34.1], [-117.5, 34]]]


def collection(crs=None, texts=()):
    feature = {
        "type": "Feature",
        "properties": dict(texts),
        "geometry": {"type": "Polygon", "coordinates": RING},
    }
    return {"type": "FeatureCollection"} | ({"crs": crs} if crs else {}) | {"features": [feature]}


HARMFUL = {
    "link": lambda at: json.dumps(
        collection({"type": "link", "properties": {"href": f"{at}/x", "type": "proj4"}})
    ),
    "url": lambda at: json.dumps(collection({"properties": {"url": f"{at}/x"}, "type": "URL"}), indent=1),
    "spelt": lambda at: json.dumps(collection({"type": "link", "properties": {"href": f"{at}/x"}})).replace(
        '"crs"', r'"\u0063rs"'
    ),
    "ogr": lambda at: (
        f'<OGRVRTDataSource><OGRVRTLayer name="x"><SrcDataSource>/vsicurl/{at}/x.json</SrcDataSource>'
        "</OGRVRTLayer></OGRVRTDataSource>"
    ),
    "wfs": lambda at: f"<OGRWFSDataSource><URL>{at}/wfs</URL></OGRWFSDataSource>",
    "pipeline": lambda at: json.dumps(
        {"type": "gdal_streamed_alg", "command_line": f"gdal vector pipeline ! read /vsicurl/{at}/x.json"}
    ),
}


@pytest.mark.parametrize("kind", HARMFUL)
def test_a_vector_file_asks_nobody(tmp_path, trap, bundle, kind):
    scene = write_raster(tmp_path / "scene.tif", coded((40, 60)))
    path, out = write(tmp_path / "x.geojson", HARMFUL[kind](trap.address)), tmp_path / "out"
    out.mkdir()
    for words in (
        ["predict", scene, "-m", bundle, "-o", out / "m.tif", "--cutline", path],
        ["evaluate", path, path, "-o", out / "report"],
        ["web", path, "-o", out / "x.pmtiles"],
    ):
        result = run(*words)
        assert result.exit_code == 1, (words, result.exception)
        assert complaint(result, out) is None
        assert "save it as GeoPackage first" in result.stderr
    assert trap.sprung() == ""


@pytest.mark.parametrize("kind", ["link", "url", "ogr", "wfs"])
def test_the_attacks_by_vector_files_are_real(tmp_path, trap, kind):
    """The control: GDAL left to itself asks. (What becomes of the answer does not matter.)"""
    import contextlib

    import pyogrio

    with contextlib.suppress(Exception):
        pyogrio.read_info(write(tmp_path / "x.geojson", HARMFUL[kind](trap.address)))
    assert trap.sprung() != ""


@pytest.mark.parametrize(
    "crs", [None, {"type": "name", "properties": {"name": "urn:ogc:def:crs:OGC:1.3:CRS84"}}]
)
def test_a_usual_geojson_is_read_whatever_its_texts_say(tmp_path, crs):
    from geoseg.geo.reach_vectors import read_frame

    texts = {"crs": "http://a.b", "type": "link", "words": "</script>\n'\"\\u0041 \u00e9 <é>"}
    path = write(tmp_path / "x.geojson", json.dumps(collection(crs, texts)))
    assert read_frame(path)["words"][0] == texts["words"]


# Names and texts -------------------------------------------------------------------------------------------

NAMES = [
    "a b.tif",
    "it's.tif",
    'say "x".tif',
    "-dash.tif",
    "--help.tif",
    "häuser 樹.tif",
    "new\nline.tif",
    "$(touch x).tif",
    "a;b&c|d.tif",
    "100%s.tif",
    "{0}.tif",
    "<b>.tif",
    "a:b.tif",
    "WMS:x.tif",
    "[1].tif",
    "*.tif",
    "..tif.tif",
    "\u202eexe.tif",
]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_file_is_a_name(tmp_path, bundle, name, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_raster(tmp_path / name, coded((40, 60)))
    result = run("predict", "-m", bundle, "--polygons", "polygons.geojson", "--", name)
    assert result.exit_code == 0, (result.stderr, result.exception)
    mask = f"{Path(name).stem}_mask.tif"
    assert result.stdout == f"{mask}\npolygons.geojson\n"
    features = json.loads(Path("polygons.geojson").read_text(encoding="utf-8"))["features"]
    assert features
    assert {feature["properties"]["scene"] for feature in features} == {name}
    assert run("vectorize", "-o", "again.gpkg", "--", mask).exit_code == 0
    (scene,) = expand([f"./{name}"])
    assert scene.dataset == str(tmp_path / name)
    assert re.fullmatch(r"[\w.\-+ ]+", scene.name)
    assert not Path("x").exists()


def test_texts_are_escaped_in_every_file_that_holds_them(tmp_path):
    from xml.etree import ElementTree

    import pyogrio

    name = "a\"b</Category><x/>&amp;'"
    classes = (replace(CARD.classes[0], name=name), CARD.classes[1])
    folder = tmp_path / "evil"
    folder.mkdir()
    (folder / "card.toml").write_text(
        replace(CARD, classes=classes, name='"</x>').to_toml(), encoding="utf-8"
    )
    scene = write_raster(tmp_path / "s.tif", coded((40, 60)) * np.uint8(3))
    with thresholds_for_networks():
        for ending in ("geojson", "gpkg", "fgb", "parquet"):
            result = run("predict", scene, "-m", folder, "-o", tmp_path / "m.tif", "--polygons",
                         tmp_path / f"p.{ending}", "--overwrite", "--no-quicklook")  # fmt: skip
            assert result.exit_code == 0, (result.stderr, result.exception)
    table = json.loads((tmp_path / "p.geojson").read_text(encoding="utf-8"))
    assert {feature["properties"]["class"] for feature in table["features"]} == {name, "dark"}
    assert set(pyogrio.read_dataframe(tmp_path / "p.gpkg")["class"]) == {name, "dark"}
    for path in tmp_path.iterdir():
        if path.suffix in (".qml", ".xml"):
            assert "<x/>" not in path.read_text(encoding="utf-8")
            ElementTree.parse(path)


def test_a_list_from_elsewhere_asks_nobody(tmp_path, trap, bundle):
    write_raster(tmp_path / "a.tif", coded((40, 60)))
    listed = write(tmp_path / "list.txt", f"a.tif\n{trap.address}/b.tif\n")
    result = run("batch", listed, "-o", tmp_path / "out", "-m", bundle)
    assert result.exit_code == 1
    assert "which is no file; --allow-remote" in result.stderr
    assert trap.sprung() == ""
    assert "out" not in left(tmp_path)


def test_a_tile_that_claims_a_giant_picture_is_refused(tmp_path, bundle):
    import struct
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 6, 0, 0, 0)
    (tmp_path / "tiles/3/1").mkdir(parents=True)
    (tmp_path / "out").mkdir()
    (tmp_path / "tiles/3/1/2.png").write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(100)))
        + chunk(b"IEND", b"")
    )
    result = run("predict", tmp_path / "tiles", "-m", bundle, "-o", tmp_path / "out/m.tif", "--res", "native")
    assert result.exit_code == 1
    assert complaint(result, tmp_path / "out") is None
