"""The import rule: a module imports its own row or lower ones, and only the libraries of its folder."""

import ast
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

import pytest

import geoseg

ROOT = Path(geoseg.__file__).parent

ROWS = [
    {"errors", "staging", "stopping"},
    {"core"},
    {"geo", "vector", "models"},
    {"runtime", "recipe", "settings"},
    {"training", "evaluation", "pipeline", "memory", "outputs", "jobs", "polygons", "prediction",
     "provenance", "survey", "halo", "calibration", "beside", "report", "synth"},
    {"bulk", "api"},
    {"cli"},
]  # fmt: skip
ROW = {name: row for row, names in enumerate(ROWS) for name in names}
FACE = "__init__"  # of geoseg itself: hands out names of any row, and imports none of them when imported

ARRAYS = {"numpy", "scipy", "cv2"}
VECTORS = {"shapely", "geopandas", "pandas", "pyogrio", "pyarrow"}
LIBRARIES = {
    FACE: set(),
    "errors": set(),
    "staging": set(),
    "stopping": set(),
    "core": ARRAYS,
    "geo": ARRAYS | {"rasterio", "pyproj", "affine", "geopandas", "shapely", "PIL", "urllib3"},
    "vector": ARRAYS | VECTORS | {"pyproj", "affine", "rasterio"},
    "models": {"google", "keras", "numpy", "onnx", "tomli_w", "h5py"},
    "runtime": {
        "numpy",
        "keras",
        "tensorflow",
        "jax",
        "torch",
        "openvino",
        "onnx",
        "onnxruntime",
        "nncf",
        "rasterio",
    },
    "recipe": {"tomli_w"},
    "settings": set(),
    "training": ARRAYS | VECTORS | {"keras", "rasterio", "affine", "pyproj", "tensorboard"},
    "evaluation": ARRAYS | VECTORS | {"rasterio", "affine"},
    "pipeline": {"numpy"},
    "memory": set(),
    "outputs": {"numpy"},
    "jobs": set(),
    "prediction": {"numpy"},
    "provenance": set(),
    "survey": {"numpy"},
    "halo": {"numpy"},
    "calibration": {"numpy"},
    "beside": {"numpy"},
    "polygons": {"numpy", "shapely"},
    "report": ARRAYS | VECTORS | {"matplotlib", "PIL", "affine", "rasterio"},
    "synth": {"numpy", "cv2", "shapely", "geopandas", "rasterio"},
    "bulk": {"numpy", "PIL", "pyarrow", "pyproj", "rasterio", "dask", "distributed"},
    "api": set(),
    "cli": {"click", "tqdm"},
}
# libraries that a folder may not import at module level
INSIDE_FUNCTIONS = {
    "cli": {"tqdm"}, "geo": {"PIL", "urllib3"}, "bulk": {"dask", "distributed", "PIL"}, "runtime": {"nncf"},
}  # fmt: skip
HEAVY = {
    "keras",
    "tensorflow",
    "jax",
    "torch",
    "rasterio",
    "geopandas",
    "openvino",
    "onnx",
    "onnxruntime",
    "dask",
    "distributed",
    "matplotlib",
}


def home(module):
    """The folder or top module of a dotted name: `geoseg.core.grid` lives in `core`."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else FACE


def modules():
    """Path and dotted name of every module."""
    for path in sorted(ROOT.rglob("*.py")):
        parts = path.relative_to(ROOT.parent).with_suffix("").parts
        yield path, ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported(node, package):
    """The dotted names that an import statement asks for."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    base = resolve_name("." * node.level + (node.module or ""), package) if node.level else node.module
    return [f"{base}.{alias.name}" for alias in node.names] if base == "geoseg" else [base]


def imports(path, package):
    """(line, dotted name, at module level) of every import of a file, those inside functions too."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inner = {
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for name in imported(node, package):
                yield node.lineno, name, node not in inner


def complaint(importer, name, outermost):
    """What is wrong with `importer` importing `name`; None when it may."""
    here, root = home(importer), name.split(".")[0]
    if root == "geoseg":
        there = home(name)
        if here == FACE or there == FACE or there.startswith("__"):
            return None
        if there not in ROW:
            return "names are imported from the module that defines them"
        if ROW[there] <= ROW[here]:
            return None
        return f"row {ROW[there]} ({there}) is above row {ROW[here]} ({here})"
    if root in sys.stdlib_module_names:
        return None
    if root not in LIBRARIES[here]:
        return f"{here} may import only {', '.join(sorted(LIBRARIES[here])) or 'the standard library'}"
    if outermost and root in INSIDE_FUNCTIONS.get(here, ()):
        return f"{here} may import it inside functions only"
    return None


def complaints(path, module):
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for line, name, outermost in imports(path, package):
        if reason := complaint(module, name, outermost):
            yield f"{path.relative_to(ROOT.parent)}:{line}: imports {name}, but {reason}"


def test_every_module_has_a_row():
    homes = {home(name) for _, name in modules()} - {FACE}
    assert homes <= set(ROW), f"no row for {homes - set(ROW)}: add it to ROWS and LIBRARIES"
    assert set(LIBRARIES) == set(ROW) | {FACE}


def test_every_module_imports_its_own_row_or_lower_and_its_folders_libraries():
    found = [line for path, module in modules() for line in complaints(path, module)]
    assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("module", "source", "words"), [
    ("geoseg.core.grid", "import rasterio", "core may import only cv2, numpy, scipy"),
    ("geoseg.core.grid", "def f():\n    from geoseg.geo import scene", "core.py:2: imports geoseg.geo"),
    ("geoseg.core.grid", "from geoseg import geo", "row 2 (geo) is above row 1 (core)"),
    ("geoseg.core.grid", "from ..geo import scene", "row 2 (geo) is above row 1 (core)"),
    ("geoseg.models.unet", "import tensorflow as tf", "models may import only"),
    ("geoseg.training.fit", "from jax import numpy", "training may import only"),
    ("geoseg.pipeline", "import geoseg.cli.predict", "row 6 (cli) is above row 4 (pipeline)"),
    ("geoseg.bulk.run", "from geoseg import predict", "from the module that defines them"),
    ("geoseg.cli.bar", "from tqdm import tqdm", "inside functions only"),
    ("geoseg.cli.bar", "def f():\n    from tqdm import tqdm", None),
    ("geoseg.cli.bar", "import geoseg\nfrom geoseg import __version__\nimport json", None),
    ("geoseg.jobs", "from geoseg.memory import peak\nfrom geoseg.core.grid import Grid", None),
])  # fmt: skip
def test_the_rule_is_enforced(monkeypatch, tmp_path, module, source, words):
    monkeypatch.setattr(sys.modules[__name__], "ROOT", tmp_path / "geoseg")
    (tmp_path / "geoseg").mkdir()
    path = tmp_path / "geoseg" / "core.py"
    path.write_text(source)
    found = list(complaints(path, module))
    assert [words in line for line in found] == [True] * (words is not None), found


@pytest.mark.parametrize("statement", [
    "import geoseg",
    "import geoseg; geoseg.GeosegError",
    "from geoseg.cli import main; main(['--help'], standalone_mode=False)",
    "from geoseg.cli import main; [main([name, '--help'], standalone_mode=False) for name in main.commands]",
], ids=["import", "error", "help", "help of every command"])  # fmt: skip
def test_nothing_heavy_is_imported_before_it_is_needed(statement):
    code = f"{statement}\nimport sys; print('LOADED', *sorted(set(sys.modules) & {HEAVY}))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.splitlines()[-1] == "LOADED"
