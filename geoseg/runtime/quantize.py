"""Post-training quantization: a bundle's network in bytes, kept only if its masks stay what they were.

NNCF (Neural Network Compression Framework, OpenVINO toolkit) finds the range of every activation on
calibration patches, corrects biases and writes the network as ONNX with pairs of QuantizeLinear and
DequantizeLinear (QDQ), which OpenVINO and ONNX Runtime turn into integer arithmetic.
"""

from __future__ import annotations

import importlib.util
import io
import logging
import math
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import ModelProto

from geoseg.errors import EngineError, ModelError, in_a_line
from geoseg.models.bundle import CARD_FILE, INT8_FILE, ONNX_FILE, Bundle, sha256
from geoseg.models.onnx_parts import Nodes, kept_choices, widened
from geoseg.runtime import available
from geoseg.runtime.choose import load_engine
from geoseg.runtime.mask_change import MaskChange, Masks, Samples, class_masks, mask_change
from geoseg.staging import staged

LEAST_AGREEMENT = 0.995  # share of valid pixels that keep their class
MOST_IOU_LOSS = 0.005  # of any class
INPUT = "pixels"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Trial:
    """One way to quantize a network, tried by one engine.

    Attributes:
        kept: what stays in float32.
        engine: what ran it.
        change: its masks beside those of the same engine in float32.
    """

    kept: str
    engine: str
    change: MaskChange

    @property
    def holds(self) -> bool:
        """Whether it is within the limits. Without labels nothing is known of a loss."""
        return self.change.agreement >= LEAST_AGREEMENT and not self.change.iou_loss > MOST_IOU_LOSS

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON, None for what is not known."""
        before, after = ([None if math.isnan(iou) else iou for iou in found]
                         for found in (self.change.iou_before, self.change.iou_after))  # fmt: skip
        return {"in_float32": self.kept, "engine": self.engine, "agreement": self.change.agreement,
                "iou_float32": before, "iou_int8": after}  # fmt: skip

    def __str__(self) -> str:
        loss = self.change.iou_loss
        labels = "" if math.isnan(loss) else f" and loses {100 * loss:.2f} points of IoU"
        return (f"with {self.kept} in float32, {self.engine} agrees on "
                f"{100 * self.change.agreement:.2f} % of the pixels{labels}")  # fmt: skip


def quantize(bundle: Bundle, calibration: Samples, held_out: Samples) -> tuple[Bundle, list[Trial]]:
    """Write `model.int8.onnx` into a bundle and allow it in its card, if the masks stay what they were.

    As much as possible is quantized: more layers are kept in float32 only where less will not do (see
    `models.onnx_parts.kept_choices`). Every engine of this machine that reads the file has to agree.

    Args:
        bundle: the model, with `model.onnx`.
        calibration: patches on which the ranges are found; their targets are not used.
        held_out: other patches, on which float32 and int8 are compared.

    Returns:
        The bundle, and what was tried, the last of it kept.

    Raises:
        EngineError: NNCF or an engine is missing, or the processor has no instructions for bytes.
        ModelError: no choice holds both limits; the bundle is as it was.
        OutputError: the folder cannot be written to.
    """
    _check(bundle, calibration, held_out)
    wide = widened(onnx.load(bundle.file(ONNX_FILE)))
    names = [name for name in ("openvino", "onnx") if available.installed(name)]
    before = {name: _masks(bundle, name, "float32", held_out) for name in names}
    trials: list[Trial] = []
    for kept, nodes in kept_choices(wide):
        content = quantized(wide, calibration, nodes).SerializeToString()
        for name, after in _tried(bundle, content, names, held_out):
            trials.append(Trial(kept, name, mask_change(before[name], after, held_out, bundle.card)))
            log.info("%s", trials[-1])
            if not trials[-1].holds:
                break
        else:
            return _written(bundle, content), trials
    raise ModelError(f"model {bundle.card.name} changes too much in int8: "
                     f"{'; '.join(map(str, trials))}; it takes {100 * LEAST_AGREEMENT:g} % and at most "
                     f"{100 * MOST_IOU_LOSS:g} points; the bundle was left as it is")  # fmt: skip


def quantized(wide: ModelProto, calibration: Samples, kept: Nodes) -> ModelProto:
    """A network in bytes but for some nodes.

    Signed activations get ranges symmetric about 0: zero points, which NNCF calls `mixed`, changed more mask
    pixels of the bundled network, not fewer (0.93 % instead of 0.51 %, delicate layers in float32).

    Args:
        wide: a network of ours, weights in float32.
        calibration: patches.
        kept: names of the nodes that stay in float32.
    """
    nncf = _nncf()
    data = nncf.Dataset(calibration.pixels, lambda patch: {INPUT: patch[None].astype(np.float32)})
    with redirect_stdout(io.StringIO()):  # its bars
        try:
            small: ModelProto = nncf.quantize(
                wide, data, subset_size=len(calibration), preset=nncf.QuantizationPreset.PERFORMANCE,
                ignored_scope=nncf.IgnoredScope(names=sorted(kept)),
            )  # fmt: skip
        except Exception as error:
            reason = in_a_line(error)
            raise ModelError(f"NNCF cannot quantize this network: {reason}") from error
    return small


def _check(bundle: Bundle, *samples: Samples) -> None:
    if importlib.util.find_spec("nncf") is None or not available.installed("onnx"):
        raise EngineError("quantizing needs NNCF and ONNX Runtime; pip install geoseg[quantize]")
    if not available.multiplies_bytes():
        raise EngineError("this processor has no instructions for int8 (VNNI, AMX) that could be checked; "
                          "quantize on one that has")  # fmt: skip
    if bundle.level is not None:
        raise ModelError(f"a network cut off at L{bundle.level} cannot be quantized; give the whole model")
    if not all(map(len, samples)):
        raise ModelError("quantizing needs patches to calibrate on and others to check on, and one of these "
                         "is missing; give larger scenes, or more of them")  # fmt: skip


def _tried(
    bundle: Bundle, content: bytes, names: Sequence[str], held: Samples
) -> Iterator[tuple[str, Masks]]:
    """The masks of a quantized network by each engine, from a bundle that goes away again."""
    with tempfile.TemporaryDirectory(prefix="geoseg-") as folder:
        (file := Path(folder, INT8_FILE)).write_bytes(content)
        files = {**bundle.card.files, INT8_FILE: sha256(file)}
        card = replace(bundle.card, precisions=("float32", "int8"), files=files)
        for name in names:
            yield name, _masks(Bundle(Path(folder), card), name, "int8", held)


def _masks(bundle: Bundle, name: str, precision: str, samples: Samples) -> Masks:
    engine = load_engine(bundle, name, precision=precision, patch_size=samples.pixels.shape[1])
    return class_masks(engine, samples, bundle.card)


def _written(bundle: Bundle, content: bytes) -> Bundle:
    targets = (bundle.folder / INT8_FILE, bundle.folder / CARD_FILE)
    with staged(*targets, overwrite=True) as (file, card_file):
        file.write_bytes(content)
        card = replace(
            bundle.card,
            precisions=tuple(dict.fromkeys((*bundle.card.precisions, "int8"))),
            files={**bundle.card.files, INT8_FILE: sha256(file)},
        )
        card_file.write_text(card.to_toml(), encoding="utf-8")
    return replace(bundle, card=card)


def _nncf() -> Any:
    """NNCF, quiet, and without the report of its use that it would send to its makers."""
    os.environ.setdefault("NNCF_CI", "1")
    with redirect_stdout(io.StringIO()):  # where its log handler writes for good
        import nncf
    nncf.set_log_level(logging.ERROR)
    return nncf
