"""Keras models on TensorFlow (default), JAX or PyTorch, whichever `KERAS_BACKEND` names."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.prefetch import cores
from geoseg.core.stitch import Probabilities
from geoseg.errors import EngineError
from geoseg.runtime.parts import Forward, in_parts

log = logging.getLogger(__name__)


@contextmanager
def quiet_stderr() -> Iterator[None]:
    """Swallow what native libraries print while they start; Python's own errors still get through."""
    sys.stderr.flush()
    saved = os.dup(2)
    with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device, not a path
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def import_keras() -> Any:
    """Keras, started without the framework's banner."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    with quiet_stderr():
        import keras

        if keras.backend.backend() == "tensorflow":
            import tensorflow  # noqa: F401 - its banner comes with the first import
    return keras


def start_keras() -> Any:
    """Keras, with the framework's complaints about devices that are not there behind it."""
    keras = import_keras()
    device(keras.backend.backend())
    return keras


class KerasEngine:
    """Runs a Keras model on batches of one shape, compiled once; halves the batch when memory runs out.

    Attributes are those of `runtime.engine.Engine`; precision is `float32` or `bfloat16`.
    """

    def __init__(
        self,
        model: Any,
        *,
        classes: int,
        stride: int,
        halo: int,
        batch_size: int,
        streams: int = 1,
        precision: str = "float32",
    ) -> None:
        backend = import_keras().backend.backend()
        self.classes, self.stride, self.halo = classes, stride, halo
        self.batch_size, self.streams, self.precision = batch_size, streams, precision
        self.name = f"{backend} ({device(backend)})"
        if precision == "bfloat16":
            from geoseg.models.mixed import in_bfloat16

            self.name, model = f"{backend} ({device(backend)}, {precision})", in_bfloat16(model)
        self._forward, self._exhausted = _compiled(model, backend)

    def __call__(self, batch: NDArray[Any]) -> Probabilities:
        """See `Engine`. Larger batches than `batch_size` are run in parts."""
        size = self.batch_size
        try:
            return in_parts(self._forward, batch, size, self.classes)
        except self._exhausted as error:
            if size == 1:
                raise EngineError(
                    f"one patch of {batch.shape[1]} px does not fit into the device's memory; "
                    "use a smaller --patch-size"
                ) from error
            self.batch_size = size // 2
            log.warning("out of memory with %d patches a batch; going on with %d", size, self.batch_size)
            return self(batch)


def device(backend: str) -> str:
    """`GPU` or `CPU`, as the framework sees it."""
    with quiet_stderr():
        if backend == "tensorflow":
            import tensorflow as tf

            return "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        if backend == "torch":
            import torch

            return "GPU" if torch.cuda.is_available() else "CPU"
        import jax

        return str(jax.default_backend()).upper()


def one_core_a_call() -> int:
    """Make TensorFlow run every call on one core; return how many calls to run at once.

    Calls side by side never wait for each other, while the threads of one call do at every layer, and
    even more so when the reader or the writer takes a core away. It has to be decided before
    TensorFlow's first operation; after that calls keep using all cores, one at a time.
    """
    import tensorflow as tf

    threading = tf.config.threading
    try:
        threading.set_intra_op_parallelism_threads(1)
    except RuntimeError:
        if threading.get_intra_op_parallelism_threads() != 1:
            return 1
    return cores()


def _compiled(model: Any, backend: str) -> tuple[Forward, type[Exception]]:
    """The model as a function of numpy arrays, and the error that means `out of memory`."""
    if backend == "tensorflow":
        return _on_tensorflow(model)
    if backend == "jax":
        return _on_jax(model)
    if backend == "torch":
        return _on_torch(model)
    raise EngineError(
        f"geoseg runs Keras on tensorflow, jax or torch, got KERAS_BACKEND={backend}; choose one of them"
    )


def _finest(outputs: Any) -> Any:
    """The last head of a network with deep supervision; the only one of others."""
    return outputs[-1] if isinstance(outputs, (list, tuple)) else outputs


def _on_tensorflow(model: Any) -> tuple[Forward, type[Exception]]:
    import tensorflow as tf

    graph: Any = tf.function(
        lambda x: _finest(model(tf.cast(x, tf.float32), training=False)), reduce_retracing=True
    )
    return lambda x: graph(tf.constant(x)).numpy(), tf.errors.ResourceExhaustedError


def _on_jax(model: Any) -> tuple[Forward, type[Exception]]:
    import jax

    weights = [
        [v.value for v in group] for group in (model.trainable_variables, model.non_trainable_variables)
    ]
    pure: Any = jax.jit(
        lambda w, x: _finest(model.stateless_call(*w, x.astype("float32"), training=False)[0])
    )
    return lambda x: np.asarray(pure(weights, x), np.float32), jax.errors.JaxRuntimeError


def _on_torch(model: Any) -> tuple[Forward, type[Exception]]:
    import torch

    def forward(x: NDArray[Any]) -> NDArray[Any]:
        with torch.inference_mode():
            answer = _finest(model(x.astype(np.float32), training=False))
            return np.asarray(answer.cpu().numpy(), np.float32)

    return forward, torch.OutOfMemoryError
