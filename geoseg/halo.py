"""How much context a model needs: the error that each halo leaves, measured on real scenes.

`--tolerance` is decided here, for a scene and for a batch alike.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from decimal import ROUND_UP, Context
from functools import partial, reduce
from itertools import islice
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.filters import Valid
from geoseg.core.grid import Grid
from geoseg.core.halo import HaloErrors, halo_errors
from geoseg.core.mask import classify
from geoseg.core.patches import read_reflected
from geoseg.core.sampling import inside, scattered
from geoseg.errors import GridError, SceneError
from geoseg.geo.gdal import session
from geoseg.jobs import SceneJob, open_job
from geoseg.models.bundle import CARD_FILE, Bundle
from geoseg.models.card import Card
from geoseg.models.halo_curve import HaloCurve
from geoseg.runtime.choose import load_engine
from geoseg.runtime.engine import Engine
from geoseg.settings import Settings, resolve
from geoseg.staging import staged

Piece = tuple[NDArray[Any], Valid]

PLACES = 8  # patches of a scene
TRIES = 100  # places of a scene that are looked at for data

log = logging.getLogger(__name__)


def settle(
    bundle: Bundle, example: SceneJob | None, *, tolerance: float = 1e-3, engine: str = "auto", **choices: Any
) -> Settings:
    """Settings from a bundle's card and the user's choices; for `crop` with the smallest halo that will do.

    That is the smallest whose error on the card's curve is at most `tolerance` (see `HaloCurve` for what an
    error is). The curve of a card without one is measured on `example`. Where no halo keeps the tolerance, or
    nothing can be measured, it is the network's own, whose result is exact.

    Args:
        bundle: the model.
        example: a scene of the run; None for none.
        tolerance: largest error of a probability, 0 … 1.
        engine: what measures.
        **choices: as for `settings.resolve`.

    Raises:
        GridError: a value that is out of range.
    """
    settings, card = resolve(bundle.card, **choices), bundle.card
    if settings.stitch != "crop":
        return settings
    if not 0 <= tolerance <= 1:
        raise GridError(f"a tolerance is an error of a probability, from 0 to 1, got {tolerance}; e.g. 1e-3")
    curve = card.halo_curve
    if not curve and card.halo and example is not None:
        curve = measured(bundle, settings, [example], engine=engine)
        log.info("the card of %s has no halo curve (see geoseg model measure-halo); measured on %s",
                 card.name, curve.measured_on or "nothing: no data was found")  # fmt: skip
    halo = curve.smallest(tolerance, card.halo)
    log.info("a halo of %d px of %d, for an error of at most %g", halo, card.halo, tolerance)
    return resolve(card, halo=halo, **choices)


def measure_halo(
    bundle: Bundle, scenes: Sequence[str], *, engine: str = "auto", places: int = PLACES, **reading: Any
) -> Bundle:
    """Measure a bundle's halo curve on real scenes, and write it into its card.

    Args:
        bundle: the model.
        scenes: anything GDAL opens, best such as it was not trained on.
        engine: what measures, in float32.
        places: patches of each scene to measure on.
        **reading: `bidx` and `nodata`, as in `SceneJob`.

    Raises:
        SceneError: a scene cannot be read, or none has any data.
        OutputError: the card cannot be written.
    """
    jobs = [SceneJob(scene, Path(), **reading) for scene in scenes]
    curve = measured(bundle, resolve(bundle.card), jobs, engine=engine, places=places)
    if not curve:
        raise SceneError(f"no data was found in {', '.join(scenes)}; give scenes with more of it")
    card = replace(bundle.card, halo_curve=curve)
    with staged(bundle.folder / CARD_FILE, overwrite=True) as (draft,):
        draft.write_text(card.to_toml(), encoding="utf-8")
    return replace(bundle, card=card)


def measured(
    bundle: Bundle,
    settings: Settings,
    jobs: Sequence[SceneJob],
    *,
    engine: str = "auto",
    places: int = PLACES,
) -> HaloCurve:
    """The halo curve of a model on some scenes; empty when no data was found in them.

    Patches are so large that a pixel within reach of one edge is out of reach of the opposite one.

    Args:
        bundle: the model.
        settings: how scenes are read.
        jobs: the scenes.
        engine: what measures, in float32.
        places: patches of each scene, spread over it at random, the same each time.
    """
    card = bundle.card
    wide, narrow = (load_engine(bundle, engine, precision="float32", batch_size=1) for _ in range(2))
    pieces = (piece for job in jobs for piece in islice(_pieces(job, bundle, settings), places))
    found: list[HaloErrors] = []
    with ThreadPoolExecutor(wide.streams) as pool:
        while group := list(islice(pieces, wide.streams)):  # few at a time: they are large
            found += pool.map(partial(_compare, wide, narrow, card), group)
    if not found:
        return HaloCurve()
    total = reduce(add, found)
    kept = np.flatnonzero(total.pixels)
    names = ", ".join(Path(job.scene).stem for job in jobs)
    return HaloCurve(
        f"{names}: {len(found)} patches of {_side(card)} px, {total.pixels[0] / 1e6:.2f} Mpx with data",
        tuple((kept * card.stride).tolist()),
        tuple(map(_rounded_up, total.largest[kept])),
        tuple(map(_rounded_up, total.flipped[kept] / total.pixels[kept])),
    )


def _side(card: Card) -> int:
    return 2 * (card.halo + card.stride)


def _pieces(job: SceneJob, bundle: Bundle, settings: Settings) -> Iterator[Piece]:
    """Patches with all the context that the network can see, 0 … 255, from places with data."""
    halo, side = bundle.card.halo, _side(bundle.card)
    with session(), open_job(job, bundle, settings) as (scene, area):
        grid, scaling = Grid(scene.shape, side, 0, bundle.card.stride), scene.scaling()
        for window in scattered(grid, area, TRIES):
            outer = window.expand(halo)
            pixels, valid = read_reflected(scene, outer, settings.filter, scaling.neutral)
            seen = inside(window, scene.shape) & valid[window.within(outer)]
            if seen.any():
                yield scaling(pixels), seen


def _compare(wide: Engine, narrow: Engine, card: Card, piece: Piece) -> HaloErrors:
    pixels, valid = piece
    inner = np.s_[card.halo : len(pixels) - card.halo]
    exact = wide(pixels[None])[0][inner, inner]
    patch = narrow(pixels[None, inner, inner])[0]
    masks = [classify(each, valid, card.thresholds, card.activation) for each in (exact, patch)]
    return halo_errors(patch, exact, valid, masks[0] != masks[1], card.stride)


def _rounded_up(error: float) -> float:
    """To three digits, so that no bound is written that was not kept."""
    return float(Context(prec=3, rounding=ROUND_UP).create_decimal_from_float(float(error)))
