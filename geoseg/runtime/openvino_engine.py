"""OpenVINO: the bundle's `model.onnx` on the processor, in float32 or bfloat16, or its int8 twin."""

from __future__ import annotations

import json
import queue
import sys
import tempfile
import threading
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.prefetch import cores
from geoseg.core.stitch import Probabilities
from geoseg.errors import EngineError, in_a_line
from geoseg.runtime.openvino_joins import without_joins
from geoseg.runtime.parts import in_parts

HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "f32"}  # of what an int8 file leaves in float
KEEP = {"name": "DisablePrecisionConversion", "version": "0", "value": "dynamic:f16"}  # bf16 heeds it too
ALONE = threading.Lock()
"""Held by first calls. OpenVINO's binding looks NumPy up when it first needs it, behind a lock of its own;
two threads that do so at once may wait for ever, each for a lock that the other has, that one or Python's."""
Pool = queue.SimpleQueue[Any]
Shape = tuple[int, ...]


class OpenVinoEngine:
    """Runs an ONNX file; calls may come from several threads at once, each on a core of its own.

    The network is compiled when a batch of another shape than the last comes. Attributes are those of
    `runtime.engine.Engine`.
    """

    def __init__(
        self, file: Path, *, classes: int, stride: int, halo: int, batch_size: int, precision: str = "float32"
    ) -> None:
        self.classes, self.stride, self.halo, self.batch_size = classes, stride, halo, batch_size
        self.streams = self._threads = cores()
        self.name = f"openvino (CPU, {precision})"
        self.precision = precision
        self._core = _core()
        self._model = _read(self._core, file, precision)
        self._pools: dict[Shape, Pool] = {}
        self._compiling = threading.Lock()
        self._ran = False

    def __call__(self, batch: NDArray[Any]) -> Probabilities:
        """See `Engine`. Larger batches than `batch_size` are run in parts."""
        return in_parts(self._forward, batch, self.batch_size, self.classes)

    def _forward(self, batch: NDArray[Any]) -> Probabilities:
        pixels = batch.astype(np.float32, copy=False)  # another type, other last digits
        pool = self._pool(batch.shape)
        request = pool.get()
        try:
            with nullcontext() if self._ran else ALONE:
                answer: Probabilities = request.infer({0: pixels}, share_inputs=True, share_outputs=False)[0]
        except Exception as error:  # its binding translates what the network does wrong into any kind
            raise EngineError(
                f"OpenVINO cannot run the model on {batch.shape}: {in_a_line(error)}; get the bundle again"
            ) from error
        finally:
            pool.put(request)
        self._ran = True
        return answer  # a copy: the next call writes where it came from

    def _pool(self, shape: Shape) -> Pool:
        """Requests of the network compiled for batches of this shape, one for each stream."""
        with self._compiling:
            if shape not in self._pools:
                compiled = self._compiled(shape)
                pool: Pool = queue.SimpleQueue()
                for _ in range(self.streams):
                    pool.put(compiled.create_infer_request())
                self._pools.clear()  # the features of another shape would stay in memory
                self._pools[shape] = pool
            return self._pools[shape]

    def _compiled(self, shape: Shape) -> Any:
        model = self._model.clone()
        try:
            model.reshape(list(shape))
            options = {
                "INFERENCE_PRECISION_HINT": HINTS[self.precision],
                "NUM_STREAMS": self.streams,
                "INFERENCE_NUM_THREADS": self._threads,  # all of them, also of fewer streams
            }
            return self._core.compile_model(model, "CPU", options)
        except Exception as error:
            raise EngineError(
                f"OpenVINO cannot run the model on batches {shape}: {in_a_line(error)}; "
                "use another --patch-size or --engine tensorflow"
            ) from error


def precisions() -> tuple[str, ...]:
    """What this processor computes without emulation, of what we use."""
    able = _core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return ("float32", "bfloat16") if "BF16" in able else ("float32",)


def import_openvino() -> Any:
    """The package, without the report of its use that it would send to its makers at every import.

    It would do that in a fork of this process, and wait seconds for it where the network is closed.
    """
    reporter = "openvino_telemetry"
    before = sys.modules.get(reporter)
    sys.modules[reporter] = None  # type: ignore[assignment]  # as where it is not installed, which it can take
    try:
        import openvino
    finally:
        del sys.modules[reporter]
        if before is not None:
            sys.modules[reporter] = before
    return openvino


def _core() -> Any:
    return import_openvino().Core()


def _read(core: Any, file: Path, precision: str) -> Any:
    """The network, with the layers marked that its file wants in float32."""
    try:
        model = core.read_model(file)
        without_joins(model)
        place = ["framework", "float32_layers"]  # where OpenVINO puts ONNX metadata
        delicate = json.loads(model.get_rt_info(place).astype(str)) if model.has_rt_info(place) else []
        return _marked(core, model, delicate) if delicate and HINTS[precision] != "f32" else model
    except Exception as error:  # also what it says in no UTF-8
        raise EngineError(
            f"OpenVINO cannot load {file}: {in_a_line(error)}; write it anew with geoseg model add-onnx"
        ) from error


def _marked(core: Any, model: Any, layers: Sequence[str]) -> Any:
    """The model with some layers kept in float32.

    The mark is a C++ object that Python cannot make; in OpenVINO's own file format it is a line of text.
    """
    openvino, wanted = import_openvino(), set(layers)
    with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
        text, weights = Path(folder, "model.xml"), Path(folder, "model.bin")
        openvino.serialize(model, text, weights)
        tree = ET.parse(text)
        for layer in tree.getroot().iter("layer"):
            name, kind = layer.get("name", ""), layer.get("type")
            if name.split("/")[0] in wanted and kind not in ("Const", "Parameter", "Result"):
                notes = layer.find("rt_info")
                ET.SubElement(ET.SubElement(layer, "rt_info") if notes is None else notes, "attribute", KEEP)
        return core.read_model(ET.tostring(tree.getroot()), weights.read_bytes())
