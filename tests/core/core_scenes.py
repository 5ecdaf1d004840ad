"""Small scenes, grids, engines and a dense stitcher, from which the tests of the core are made."""

import numpy as np
from hypothesis import strategies as st
from scipy import ndimage
from scipy.special import expit

from geoseg.core.filters import fill_invalid, median_blur
from geoseg.core.grid import Grid
from geoseg.core.taper import axis_weights
from geoseg.core.window import Window, whole
from geoseg.pipeline import segment

LENGTHS = st.integers(1, 150)
SHAPES = st.tuples(LENGTHS, LENGTHS)
SEEDS = st.integers(0, 2**32 - 1)


@st.composite
def grids(draw, shapes=SHAPES, cropped=None, max_size=48):
    """A valid grid: blended with any overlap (more than half a patch too), or cropped by any halo."""
    shape, stride = draw(shapes), draw(st.sampled_from([1, 2, 4, 8]))
    size = stride * draw(st.integers(1, max_size // stride))
    step = stride * draw(st.integers(max(1, size // stride // 8), size // stride))
    if (draw(st.booleans()) if cropped is None else cropped) and (size - step) % (2 * stride) == 0:
        return Grid.cropped(shape, size, (size - step) // 2, stride)
    return Grid(shape, size, size - step, stride)


@st.composite
def windows(draw, shape):
    """A window of at least one pixel inside a scene."""
    row, col = draw(st.integers(0, shape[0] - 1)), draw(st.integers(0, shape[1] - 1))
    return Window(row, col, draw(st.integers(1, shape[0] - row)), draw(st.integers(1, shape[1] - col)))


def random_pixels(rng, shape, bands=1, dtype="uint8"):
    """Noise over the whole range of a dtype (within ±1 for floats)."""
    if np.issubdtype(dtype, np.floating):
        return rng.uniform(-1, 1, (*shape, bands)).astype(dtype)
    limits = np.iinfo(dtype)
    return rng.integers(limits.min, limits.max, (*shape, bands), dtype, endpoint=True)


def random_mask(rng, shape):
    """Validity: full, speckled, with holes and frames of any width, or a few lone pixels."""
    kind = rng.integers(5)
    mask = np.full(shape, kind != 4)
    if kind == 1:
        mask = rng.random(shape) < rng.choice([0.02, 0.5, 0.98])
    if kind == 2:
        for _ in range(rng.integers(1, 5)):
            row, col = rng.integers(shape[0]), rng.integers(shape[1])
            mask[row : row + rng.integers(1, 200), col : col + rng.integers(1, 200)] = False
    if kind == 3:
        rows, cols = np.indices(shape)
        mask = (rows * rng.normal() + cols * rng.normal()) > rng.normal() * 50
    if kind == 4:
        for _ in range(3):
            mask[rng.integers(shape[0]), rng.integers(shape[1])] = True
    return mask


class LocalEngine:
    """A convolution with zero padding, and a wave over the patch: the answer depends on the patch's place."""

    name, stride, halo = "local", 1, 4

    def __init__(self, bands=1, classes=2, batch_size=3, wave=1.0, streams=1):
        self.classes, self.batch_size, self.wave, self.streams = classes, batch_size, wave, streams
        self.kernels = np.random.default_rng(7).normal(size=(classes, bands, 9, 9)) / 4

    def __call__(self, batch):
        return np.stack([self.answer(patch) for patch in batch])

    def answer(self, patch):
        """Probabilities (h, w, classes) of one image (h, w, bands)."""
        bands = np.moveaxis(patch.astype(np.float64) / 255, -1, 0)
        planes = [
            sum(
                ndimage.correlate(band, kernel, mode="constant")
                for band, kernel in zip(bands, each, strict=True)
            )
            for each in self.kernels
        ]
        rows, cols = np.indices(patch.shape[:2])
        wave = self.wave * np.sin(0.3 * rows + 0.7 * cols)
        return expit(np.stack(planes, -1) + wave[..., None]).astype(np.float32)


class IdentityEngine:
    """Says of every pixel what it is, one class per band."""

    name, stride, halo = "identity", 1, 0

    def __init__(self, bands=1, batch_size=4, streams=1):
        self.classes, self.batch_size, self.streams = bands, batch_size, streams

    def __call__(self, batch):
        return batch.astype(np.float32) / 255


def dense(pixels, mask, grid, engine, kernel=0, neutral=0):
    """The whole scene at once: fill, blur, pad, cut every patch, add all of them up."""
    clean = fill_invalid(pixels, mask, neutral)
    if kernel:
        clean = ndimage.median_filter(clean, (kernel, kernel, 1), mode="nearest")
    padded, known = reflected(clean, grid), reflected(mask, grid)
    weights = axis_weights(grid.rows), axis_weights(grid.cols)
    sums = np.zeros((*mask.shape, engine.classes), np.float32)
    core = slice(grid.lead, grid.size - grid.lead)
    for i, j in np.ndindex(grid.shape):
        cell = np.s_[i * grid.step : i * grid.step + grid.size, j * grid.step : j * grid.step + grid.size]
        target = sums[i * grid.step :, j * grid.step :][: core.stop - core.start, : core.stop - core.start]
        height, width = target.shape[:2]
        if known[cell][core, core][:height, :width].any():
            plane = weights[0][i][core, None] * weights[1][j][None, core]
            target += (plane[..., None] * engine.answer(padded[cell])[core, core])[:height, :width]
    return sums


def reflected(array, grid):
    """The scene reflected as far as the grid's patches reach, by numpy."""
    after = [
        (count - 1) * grid.step + grid.size - grid.lead - length
        for count, length in zip(grid.shape, grid.scene_shape, strict=True)
    ]
    widths = [(grid.lead, max(0, n)) for n in after] + [(0, 0)] * (array.ndim - 2)
    return np.pad(array, widths, mode="reflect")


def run(source, engine, grid, area=None, kernel=0, **options):
    """Probabilities and validity of a scene or an area, through the pipeline."""
    strips = segment(source, engine, grid, area=area, filter_=median_blur(kernel), **options)
    return assembled(strips, area or whole(grid.scene_shape))


def assembled(strips, area):
    """Join strips, and make sure that they follow each other from the top of the area to its bottom."""
    strips = list(strips)
    top = area.row
    for strip in strips:
        assert strip.window == Window(top, area.col, strip.window.height, area.width)
        assert strip.window.height > 0
        assert strip.probabilities.shape[:2] == strip.valid.shape == strip.window.shape
        top = strip.window.stop_row
    assert top == area.stop_row
    return np.concatenate([s.probabilities for s in strips]), np.concatenate([s.valid for s in strips])
