"""Patches of real scenes on which a model is quantized, and others on which the result is checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geoseg.core.grid import Grid
from geoseg.core.mask import NODATA
from geoseg.core.patches import read_reflected
from geoseg.core.sampling import inside, scattered
from geoseg.core.window import Window
from geoseg.errors import SceneError
from geoseg.geo.gdal import session
from geoseg.geo.labels import Labels, open_labels
from geoseg.geo.scene import Scene
from geoseg.jobs import SceneJob, open_job
from geoseg.models.bundle import Bundle
from geoseg.runtime.mask_change import IGNORE, Samples
from geoseg.runtime.quantize import Trial, quantize
from geoseg.settings import resolve

PATCHES = 32  # to calibrate on; twice as many to check on. 10 did as well as 28
TRIES = 4  # patches that are read of a scene for one that has data, at most

Piece = tuple[NDArray[Any], NDArray[np.bool_], NDArray[np.uint8]]


def quantize_on(
    bundle: Bundle,
    scenes: Sequence[str],
    check: Sequence[str] = (),
    labels: Sequence[Path] = (),
    *,
    patches: int = PATCHES,
    **reading: Any,
) -> tuple[Bundle, list[Trial]]:
    """Quantize a bundle on scenes; see `runtime.quantize.quantize`.

    Args:
        bundle: the model.
        scenes: anything GDAL opens; patches all over them calibrate.
        check: scenes to check on; when none, other patches of `scenes`, which share no pixel with the first.
        labels: a raster of class numbers in the card's order (255 unknown) or polygons for each scene that
            is checked on; or one folder with such files by the scenes' stems. Without them only masks are
            compared.
        patches: how many calibrate; twice as many check.
        **reading: `bidx` and `nodata`, as in `SceneJob`.

    Raises:
        GeosegError: scenes or labels that cannot be read, and as `quantize`.
    """
    truths = labels_of(check or scenes, labels)
    if check:
        return quantize(bundle, samples(bundle, scenes, patches, **reading),
                        samples(bundle, check, 2 * patches, truths, **reading))  # fmt: skip
    found = samples(bundle, scenes, 3 * patches, truths, **reading)
    third = np.arange(len(found)) % 3 == 0
    return quantize(bundle, _part(found, third), _part(found, ~third))


def samples(
    bundle: Bundle, scenes: Sequence[str], most: int, labels: Sequence[Path | None] = (), **reading: Any
) -> Samples:
    """Patches of scenes as prediction would cut them, spread at random, the same each time.

    They do not overlap; patches of the scenes take turns. What lies outside a scene is not valid.

    Args:
        bundle: the model.
        scenes: anything GDAL opens.
        most: how many patches.
        labels: one for each scene, None for none.
        **reading: `bidx` and `nodata`, as in `SceneJob`.

    Raises:
        SceneError: a scene or labels cannot be read, or no scene has data.
    """
    truths = list(labels) or [None] * len(scenes)
    each = -(-most // len(scenes))
    jobs = [SceneJob(scene, Path(), **reading) for scene in scenes]
    found = [list(islice(_pieces(job, bundle, truth, each), each))
             for job, truth in zip(jobs, truths, strict=True)]  # fmt: skip
    turns = [pieces[turn] for turn in range(each) for pieces in found if turn < len(pieces)][:most]
    if not turns:
        raise SceneError(f"no data was found in {', '.join(scenes)}; give scenes with more of it")
    pixels, valid, targets = map(np.stack, zip(*turns, strict=True))
    return Samples(pixels, valid, targets if any(truths) else None)


def labels_of(scenes: Sequence[str], given: Sequence[Path]) -> list[Path | None]:
    """The labels of each scene: those given, in order, or those of its stem in the one folder that is given.

    Raises:
        SceneError: there are more or fewer than scenes, or a folder has none or several for a scene.
    """
    if not given:
        return [None] * len(scenes)
    if len(given) == 1 and given[0].is_dir():
        return [_in_folder(given[0], Path(scene).stem) for scene in scenes]
    if len(given) != len(scenes):
        raise SceneError(
            f"each scene that is checked on needs its labels, got {len(given)} for {len(scenes)} scenes; "
            "give as many, or a folder of files by their names"
        )
    return list(given)


def _in_folder(folder: Path, stem: str) -> Path:
    found = [path for path in sorted(folder.iterdir()) if path.stem == stem]
    if len(found) != 1:
        raise SceneError(f"{folder} has {len(found)} files called {stem}; labels need one for each scene")
    return found[0]


def _pieces(job: SceneJob, bundle: Bundle, labels: Path | None, wanted: int) -> Iterator[Piece]:
    """Patches with data, what of them is valid, and what is known of them."""
    card = bundle.card
    settings = resolve(card)
    with ExitStack() as stack:
        stack.enter_context(session())
        scene, area = stack.enter_context(open_job(job, bundle, settings))
        truth = stack.enter_context(open_labels(labels, scene.geobox)) if labels else None
        grid, scaling = Grid(scene.shape, card.patch_size, 0, card.stride), scene.scaling()
        for window in scattered(grid, area, TRIES * wanted):
            pixels, valid = read_reflected(scene, window, settings.filter, scaling.neutral)
            valid = valid & inside(window, scene.shape)
            if valid.any():
                yield scaling(pixels), valid, _targets(truth, window, scene, len(card.classes))


def _targets(truth: Labels | None, window: Window, scene: Scene, classes: int) -> NDArray[np.uint8]:
    """(height, width, classes): 1 yes, 0 no, 255 unknown."""
    numbers = np.full(window.shape, NODATA, np.uint8)
    if truth is not None:
        seen = window.clip(scene.shape)
        numbers[seen.within(window)] = truth(seen)
    known = (numbers != NODATA)[..., None]
    return np.where(known, numbers[..., None] == np.arange(1, classes + 1), IGNORE).astype(np.uint8)


def _part(found: Samples, chosen: NDArray[np.bool_]) -> Samples:
    targets = None if found.targets is None else found.targets[chosen]
    return Samples(found.pixels[chosen], found.valid[chosen], targets)
