"""ONNX Runtime: the bundle's `model.onnx` on the processor, or on the GPU that its build knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.prefetch import cores
from geoseg.core.stitch import Probabilities
from geoseg.errors import EngineError, in_a_line
from geoseg.runtime.parts import in_parts

CPU = "CPUExecutionProvider"
# the first one there is used
GPUS = ("CUDAExecutionProvider", "DmlExecutionProvider", "CoreMLExecutionProvider")
FATAL = 3  # of its log levels: say nothing below errors


class OnnxEngine:
    """Runs an ONNX file; calls may come from several threads at once.

    On the processor every call runs on one core and as many calls as there are cores at once, as for
    TensorFlow. Attributes are those of `runtime.engine.Engine`.
    """

    def __init__(
        self, file: Path, *, classes: int, stride: int, halo: int, batch_size: int, precision: str = "float32"
    ) -> None:
        self.classes, self.stride, self.halo, self.batch_size = classes, stride, halo, batch_size
        self._session = _session(file)
        device = self._session.get_providers()[0].removesuffix("ExecutionProvider")
        self.streams = cores() if device == "CPU" else 1
        self.name, self.precision = f"onnx ({device})", precision

    def __call__(self, batch: NDArray[Any]) -> Probabilities:
        """See `Engine`. Larger batches than `batch_size` are run in parts."""
        return in_parts(self._forward, batch, self.batch_size, self.classes)

    def _forward(self, batch: NDArray[Any]) -> Probabilities:
        try:
            pixels = batch.astype(np.float32, copy=False)
            answer: Probabilities = self._session.run(None, {"pixels": pixels})[0]
        except Exception as error:
            raise EngineError(
                f"ONNX Runtime cannot run the model on {batch.shape}: {in_a_line(error)}; "
                "get the bundle again"
            ) from error
        return answer


def providers() -> list[str]:
    """What this build of ONNX Runtime offers of what we use, best first."""
    import onnxruntime

    there = onnxruntime.get_available_providers()
    return [*[name for name in GPUS if name in there][:1], CPU]


def _session(file: Path) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = FATAL
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=providers())
    except Exception as error:
        raise EngineError(
            f"ONNX Runtime cannot load {file}: {in_a_line(error)}; write it anew with geoseg model add-onnx"
        ) from error
