"""What this machine multiplies fast, and what it is called in records."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from geoseg.core.prefetch import cores
from geoseg.runtime.keras_engine import device

CPUINFO = Path("/proc/cpuinfo")
AMPERE = 8  # compute capability of the first NVIDIA GPUs that know bfloat16


def fast_precision(backend: str) -> str:
    """`bfloat16` where it trains faster, `float16` on older GPUs, else `float32`.

    XLA's CPU code does not use the processor's bfloat16 instructions, TensorFlow's oneDNN does.
    """
    if device(backend) == "CPU":
        fast = re.search(r"\b(amx_bf16|avx512_bf16)\b", _cpuinfo())
        return "bfloat16" if backend == "tensorflow" and fast else "float32"
    capability = _capability(backend)
    return "float16" if capability and capability < AMPERE else "bfloat16"


def has_int8() -> bool:
    """Whether the processor has dot products of bytes (VNNI, AMX, Arm's), as Linux names them."""
    return bool(re.search(r"\b(avx512_vnni|avx_vnni|amx_int8|asimddp)\b", _cpuinfo()))


def machine(backend: str) -> str:
    """Processor, cores, device and backend in one line; nothing that tells whose machine it is."""
    model = re.search(r"model name\s*:\s*(.+)", _cpuinfo())
    where = "" if device(backend) == "CPU" else f", {_accelerator(backend)}"
    version = sys.modules[backend].__version__
    return f"{cores()} cores of {model[1] if model else 'a processor'}{where}, {backend} {version}"


def _cpuinfo() -> str:
    return CPUINFO.read_text(encoding="utf-8", errors="replace") if CPUINFO.is_file() else ""


def _capability(backend: str) -> float:
    """Compute capability of an NVIDIA GPU; 0 for other devices."""
    if backend == "tensorflow":
        found = ".".join(map(str, _gpu_details()["compute_capability"]))
    elif backend == "torch":
        import torch

        found = ".".join(map(str, torch.cuda.get_device_capability()))
    else:
        import jax

        found = getattr(jax.devices()[0], "compute_capability", "0")
    return float(found)


def _accelerator(backend: str) -> str:
    if backend == "tensorflow":
        return str(_gpu_details()["device_name"])
    if backend == "torch":
        import torch

        return str(torch.cuda.get_device_name())
    import jax

    return str(jax.devices()[0].device_kind)


def _gpu_details() -> dict[str, Any]:
    import tensorflow as tf

    gpu = tf.config.list_physical_devices("GPU")[0]
    found: dict[str, Any] = tf.config.experimental.get_device_details(gpu)
    return {"compute_capability": (0, 0), "device_name": "a GPU"} | found
