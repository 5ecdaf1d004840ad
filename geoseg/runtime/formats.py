"""A bundle's network as a file for other programs."""

from __future__ import annotations

import shutil
from pathlib import Path

from geoseg.errors import EngineError, ModelError, OutputError, in_a_line
from geoseg.models.bundle import ONNX_FILE, Bundle
from geoseg.runtime.available import check_installed
from geoseg.runtime.keras_engine import quiet_stderr, start_keras
from geoseg.staging import staged, staged_folder

ENDINGS = {"onnx": ".onnx", "openvino": ".xml", "saved_model": ""}  # a SavedModel is a folder


def export_bundle(bundle: Bundle, to: str, path: Path, overwrite: bool = False) -> list[Path]:
    """Write a bundle's network in another format.

    Args:
        bundle: what to write.
        to: `onnx` as QGIS Deepness and geodeep open it (see `models.export.to_tool_onnx`; what our own
            engines run is the bundle's `model.onnx`), `openvino` for an IR of .xml and .bin, `saved_model`
            for a folder that TensorFlow serves.
        path: the file or folder.
        overwrite: replace what is there.

    Returns:
        The paths written.

    Raises:
        OutputError: a wrong ending, or something that exists or cannot be written.
        EngineError: the package that writes the format is missing.
    """
    if to not in ENDINGS:
        raise OutputError(f"there is no format {to}; choose one of: {', '.join(ENDINGS)}")
    if path.suffix.lower() != ENDINGS[to] and ENDINGS[to]:
        raise OutputError(f"{to} is written to a file that ends on {ENDINGS[to]}, got {path}; rename it")
    writers = {"onnx": _onnx, "openvino": _openvino, "saved_model": _saved_model}
    return writers[to](bundle, path, overwrite)


def _onnx(bundle: Bundle, path: Path, overwrite: bool) -> list[Path]:
    with staged(path, overwrite=overwrite) as (draft,):
        start_keras()
        from geoseg.models.export import to_tool_onnx

        draft.write_bytes(to_tool_onnx(bundle.load_keras(), bundle.card).SerializeToString())
    return [path]


def _openvino(bundle: Bundle, path: Path, overwrite: bool) -> list[Path]:
    check_installed("openvino")
    paths = [path, path.with_suffix(".bin")]
    with staged(*paths, overwrite=overwrite) as (text, _):
        from geoseg.runtime.openvino_engine import import_openvino

        openvino = import_openvino()
        source = str(bundle.file(ONNX_FILE)) if _has_onnx(bundle) else _written_now(bundle)
        openvino.save_model(openvino.Core().read_model(source), text, compress_to_fp16=False)
    return paths


def _has_onnx(bundle: Bundle) -> bool:
    return bundle.level is None and ONNX_FILE in bundle.card.files


def _written_now(bundle: Bundle) -> bytes:
    start_keras()
    from geoseg.models.export import to_onnx

    content: bytes = to_onnx(bundle.load_keras(), bundle.card).SerializeToString()
    return content


def _saved_model(bundle: Bundle, path: Path, overwrite: bool) -> list[Path]:
    with staged_folder(path, overwrite) as draft:
        if start_keras().backend.backend() != "tensorflow":
            raise EngineError("TensorFlow writes a SavedModel; unset KERAS_BACKEND")
        model = bundle.load_keras()
        try:
            with quiet_stderr():
                model.export(draft / "new", format="tf_saved_model", verbose=False)
        except (TypeError, ValueError, RuntimeError) as error:
            reason = in_a_line(error)
            raise ModelError(f"model {bundle.card.name} cannot be written as SavedModel: {reason}") from error
        for part in (draft / "new").iterdir():
            shutil.move(part, draft)
        (draft / "new").rmdir()
    return [path]
