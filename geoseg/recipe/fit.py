"""What a recipe says of training: network, loss, optimizer, schedule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from geoseg.errors import RecipeError


@dataclass(frozen=True, slots=True)
class Network:
    """The network.

    Attributes:
        architecture: a name of `models.registry`; left out, the network of `initial` as it is.
        activation: `sigmoid` for classes that may overlap, `softmax` for classes that exclude each other.
        bands: names of the input bands.
        weights: file of the encoder's pre-trained weights, starting at `root`, or `imagenet`; none when
            empty.
        initial: a bundle (name, or folder starting at `root`) whose weights training starts from;
            layers that it has in other shapes, or not at all, start anew (a head of other classes, a decoder
            of another width).
        options: other arguments of the architecture's `build_…` function.
    """

    architecture: str = ""
    activation: Literal["sigmoid", "softmax"] = "sigmoid"
    bands: tuple[str, ...] = ("red", "green", "blue")
    weights: str = ""
    initial: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.architecture and (not self.initial or self.weights or self.options):
            raise RecipeError("network needs an architecture, or an initial and neither weights nor options")


@dataclass(frozen=True, slots=True)
class Loss:
    """What training minimizes; pixels that are ignored (255) never count.

    Attributes:
        name: a name of `training.losses`.
        options: its other arguments.
        class_weights: by class name; 1 for those not named.
    """

    name: str = "focal_plus_dice"
    options: Mapping[str, Any] = field(default_factory=dict)
    class_weights: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Teacher:
    """Other networks, whose word is learnt beside the labels (Hinton et al. 2015, arXiv:1503.02531).

    A network says another thing of a patch than of the same patch turned or mirrored, and the mean over all
    views is better than any of them (`--tta d4`). To learn what is said of views drawn at random is to learn
    that mean: the network learns to say at once what its teacher says in eight times the time. So it is with
    several teachers.

    Attributes:
        models: sigmoid bundles (names, or folders starting at `root`) of the same bands and classes, the mean
            of whose answers counts; no teacher when there are none.
        share: of their word in what is learnt where labels say something, 0 … 1; elsewhere there is no other.
        views: how many of the eight views of each patch each of them is asked about.
    """

    models: tuple[str, ...] = ()
    share: float = 0.5
    views: int = 2

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise RecipeError(f"teacher.share is from 0 to 1, got {self.share}")
        if not 1 <= self.views <= 8:
            raise RecipeError(f"teacher.views is from 1 to 8, got {self.views}")


@dataclass(frozen=True, slots=True)
class Fit:
    """How training goes.

    Attributes:
        epochs: at most.
        batch_size: patches a step.
        learning_rate: of Adam, at the start (after `warmup_epochs`).
        weight_decay: decoupled (AdamW); 0 for none.
        clip_norm: largest norm of the gradient; 0 for any.
        schedule: `constant`, `plateau` (multiply by `factor` after `patience_lr` epochs without gain) or
            `cosine` down to `learning_rate · final`.
        factor: of `plateau`.
        patience_lr: of `plateau`, epochs.
        final: of `cosine`.
        warmup_epochs: epochs of linear rise.
        patience: stop after so many epochs without gain; 0 never.
        monitor: what a gain is measured by on validation data: `iou` (mean over classes), `accuracy`
            (both higher is better) or `loss`. The best epoch is kept; with `last` it is the last one, for
            schedules that end low and targets that the labels of the validation data are no measure of.
        frozen_epochs: epochs during which a pre-trained encoder stays as it is.
        ema: momentum of the moving average of weights that is validated and kept; 0 for none.
        precision: `auto` takes bfloat16 where the processor multiplies it fast, float16 on older GPUs.
        workers: threads that load patches; 0 for one per core.
        cache_mb: decoded images are kept in memory up to this size.
    """

    epochs: int = 50
    batch_size: int = 8
    learning_rate: float = 1e-3
    weight_decay: float = 0.0
    clip_norm: float = 0.0
    schedule: Literal["constant", "plateau", "cosine"] = "constant"
    factor: float = 0.7
    patience_lr: int = 2
    final: float = 0.01
    warmup_epochs: int = 0
    patience: int = 0
    monitor: Literal["iou", "accuracy", "loss", "last"] = "iou"
    frozen_epochs: int = 0
    ema: float = 0.0
    precision: Literal["auto", "float32", "bfloat16", "float16"] = "auto"
    workers: int = 0
    cache_mb: int = 2048

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise RecipeError(f"{name} is above 0, got {getattr(self, name)}")
        for name in ("ema", "final", "factor"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(f"{name} is from 0 to 1, got {getattr(self, name)}")
        if self.monitor == "last" and (self.patience or self.schedule == "plateau"):
            raise RecipeError("monitor last sees no gain to be patient for; use iou, accuracy or loss")


@dataclass(frozen=True, slots=True)
class Publish:
    """What the bundle's card says beyond what is measured.

    Attributes:
        summary: one sentence.
        licence: of the weights (SPDX identifier).
        attribution: whom to name.
        training: data sets with their licences.
        limits: known failures, one sentence each.
        overlap: pixels shared by neighbouring patches at prediction; None for a quarter of the patch.
        patch_size: at prediction, pixels; None for the training patch.
        calibrate: choose each sigmoid class's threshold on the validation data. A class that is not
            in it keeps that of `network.initial`, or its own.
        initial_share: share of the weights of `network.initial` in the bundle's, 0 … 1; the trained ones are
            the rest. Half keeps what the first network knew beyond the new data and often beats both
            (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models", arXiv:2109.01903).
    """

    summary: str = ""
    licence: str = "not for publication"
    attribution: tuple[str, ...] = ()
    training: tuple[Mapping[str, str], ...] = ()
    limits: tuple[str, ...] = ()
    overlap: int | None = None
    patch_size: int | None = None
    calibrate: bool = False
    initial_share: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.initial_share <= 1:
            raise RecipeError(f"initial_share is from 0 to 1, got {self.initial_share}")
