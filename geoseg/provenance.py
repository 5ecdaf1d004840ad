"""Where an output came from: the tags that travel with its file."""

from __future__ import annotations

from collections.abc import Mapping

import geoseg
from geoseg.core.window import Window
from geoseg.models.bundle import Bundle
from geoseg.runtime.engine import Engine
from geoseg.settings import Settings

Tags = Mapping[str, str]


def engine_tags(engine: Engine) -> dict[str, str]:
    """What ran the network, and in which precision: other ones give other last digits."""
    return {"GEOSEG_ENGINE": engine.name, "GEOSEG_PRECISION": engine.precision}


def grid_tags(settings: Settings, scene_shape: tuple[int, int], area: Window) -> dict[str, str]:
    """Where the patches lay: what it takes to look for their seams."""
    grid = settings.grid(scene_shape)
    return {
        "GEOSEG_STITCH": settings.stitch,
        "GEOSEG_PATCH_SIZE": str(grid.size),
        "GEOSEG_OVERLAP": str(grid.overlap),
        "GEOSEG_STRIDE": str(grid.stride),
        "GEOSEG_GRID_ORIGIN": f"{-area.row} {-area.col}",
    }


def model_tags(bundle: Bundle, settings: Settings, made_by: Tags) -> dict[str, str]:
    """What made the pixels: program, model and options, whom to credit, and what `made_by` adds to it."""
    return {
        "GEOSEG_VERSION": geoseg.__version__,
        "GEOSEG_MODEL": bundle.card.name,
        "GEOSEG_MODEL_LEVEL": "" if bundle.level is None else f"L{bundle.level}",
        "GEOSEG_MODEL_SHA256": " ".join(bundle.card.files.values()),
        "GEOSEG_OPTIONS": settings.digest,
        "GEOSEG_CLASSES": " ".join(spec.name for spec in bundle.card.classes),
        "GEOSEG_COLORS": " ".join(spec.color for spec in bundle.card.classes),
        "GEOSEG_PROFILES": " ".join(spec.profile for spec in bundle.card.classes),
        "GEOSEG_ACTIVATION": bundle.card.activation,
        "GEOSEG_ATTRIBUTION": "; ".join(bundle.card.attribution),
        **made_by,
    }
