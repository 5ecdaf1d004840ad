"""A model of two thresholds, which costs milliseconds a scene, and the command line with it."""

import shutil
from contextlib import contextmanager

import numpy as np
from click.testing import CliRunner

from geoseg import api
from geoseg.cli import main
from geoseg.models.bundle import find_bundle
from geoseg.models.card import Card, ClassSpec
from geoseg.settings import resolve

CARD = Card(
    name="thresholds", summary="Thresholds.", licence="MIT", attribution=("nobody",), architecture="none",
    parameters=8, activation="sigmoid", bands=("red", "green", "blue"), pixel_sizes_m=(0.1, 1.0),
    patch_size=64, overlap=16, median_kernel=0, stride=1, halo=0,
    classes=(ClassSpec("bright", "#ff0000"), ClassSpec("dark", "#0000ff")),
)  # fmt: skip


class Thresholds:
    """`bright` from 128 up in band 1, `dark` up to 127 in band 1: every pixel is one of them."""

    name, precision = "thresholds", "float32"
    classes, stride, halo, batch_size, streams = 2, 1, 0, 4, 1

    def __init__(self, classes=2):
        self.classes = classes

    def __call__(self, batch):
        """(n, h, w, classes) probabilities of (n, h, w, bands) pixels."""
        logits = 0.05 * (batch[..., :1].astype(np.float32) - np.float32(127.5))
        shares = 1 / (1 + np.exp(np.concatenate([logits, -logits] * self.classes, -1)))
        return shares[..., 1 : self.classes + 1]


def write_card(folder):
    """A bundle of a card alone."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.toml").write_text(CARD.to_toml(), encoding="utf-8")
    return folder


def _load(model, *, stitch="blend", patch_size=None, overlap=None, median_blur=None, threshold=None,
          res="model", tta="none", **_):  # fmt: skip
    bundle = find_bundle(model)
    settings = resolve(
        bundle.card, stitch=stitch, patch_size=patch_size, overlap=overlap, median_kernel=median_blur,
        threshold=threshold, res=res, tta=tta,
    )  # fmt: skip
    return api.Loaded(bundle, settings, Thresholds(len(bundle.card.classes)))


@contextmanager
def thresholds_for_networks():
    """Let the command line run thresholds for any bundle: its card is read, its network is not."""
    kept, api.load = api.load, _load
    try:
        yield
    finally:
        api.load = kept


def run(*words):
    """`geoseg -q …` in this process."""
    return CliRunner().invoke(main, ["-q", *map(str, words)])


def left(folder):
    """Names in a folder, hidden ones too."""
    return sorted(path.name for path in folder.iterdir())


def complaint(result, folder):
    """What is wrong with how a command ended, which may succeed or refuse; None when nothing is."""
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        return f"traceback: {result.exception!r}"[:300]
    if result.exit_code == 0:
        hidden = [name for name in left(folder) if name.startswith(".")]
        return f"left {hidden}" if hidden else None
    if result.exit_code != 1:
        return f"exit {result.exit_code}: {result.stderr[-200:]!r}"
    lines = result.stderr.splitlines()
    if len(lines) != 1 or not lines[0].startswith("geoseg: error: "):
        return f"not one line: {result.stderr[:300]!r}"
    if len(lines[0]) > 1000:
        return f"a line of {len(lines[0])} characters"
    if result.stdout:
        return f"refused, yet printed {result.stdout[:100]!r}"
    return f"refused, yet left {left(folder)}" if left(folder) else None


def emptied(folder):
    """An empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
