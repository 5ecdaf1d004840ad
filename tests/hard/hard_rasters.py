# ruff: noqa: E402, T201 - a script, which finds its neighbours and prints what it found
"""Odd rasters through predict and vectorize: every valid pixel is classed once and lands in one polygon.

    python tests/hard/hard_rasters.py --cases 2000       # the long form; the suite runs a few

A raster is drawn by hypothesis: its size, bands, dtype, what marks missing pixels, layout in the file, place
on the Earth. The model is two thresholds, so that what must come out is known without geoseg: the oracles are
rasterio for pixels and places, shapely for polygons.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import numpy as np
import pyogrio
import rasterio
import shapely
from affine import Affine
from conftest import UTM, corner_points
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rasterio.enums import ColorInterp
from rasterio.features import rasterize
from thresholds import emptied, left, run, thresholds_for_networks, write_card

DTYPES = ("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "float64", "uint64", "int64")
LOCAL = 'LOCAL_CS["a mine",UNIT["metre",1]]'
PLACES = {
    "north up": (Affine(0.3, 0, 452310, 0, -0.3, 3771240), UTM),
    "rotated": (Affine.translation(452310, 3771240) * Affine.rotation(27) * Affine.scale(0.3, -0.3), UTM),
    "sheared": (Affine(0.3, 0.1, 452310, -0.05, -0.4, 3771240), UTM),
    "south up": (Affine(0.3, 0, 452310, 0, 0.3, 3771240), UTM),
    "mirrored": (Affine(-0.3, 0, 452310, 0, -0.3, 3771240), UTM),
    "oblong": (Affine(0.3, 0, 452310, 0, -0.9, 3771240), UTM),
    "degrees": (Affine(3e-6, 0, 85.52, 0, -3e-6, 27.63), "EPSG:4326"),
    "mercator": (Affine(0.3, 0, 9.5e6, 0, -0.3, 3.2e6), "EPSG:3857"),
    "antimeridian": (Affine(3e-6, 0, 179.9999, 0, -3e-6, -17), "EPSG:4326"),
    "feet": (Affine(1, 0, 6.1e6, 0, -1, 2.1e6), "EPSG:2227"),
    "south pole": (Affine(0.5, 0, -20, 0, -0.5, 20), "EPSG:3031"),
    "north pole": (Affine(0.5, 0, 1e5, 0, -0.5, 2e5), "EPSG:3413"),
    "no crs": (Affine(0.3, 0, 100, 0, -0.3, 200), None),
    "local": (Affine(0.3, 0, 100, 0, -0.3, 200), LOCAL),
    "moon": (Affine(0.5, 0, 1e5, 0, -0.5, 2e5), "IAU_2015:30110"),
    "nowhere": (None, None),
    "crs alone": (None, UTM),
    "points": (Affine(0.3, 0, 452310, 0, -0.3, 3771240), UTM),
}  # fmt: skip
UNITED = ("points",)  # placed by control points


@dataclass(frozen=True)
class Odd:
    """A raster to make.

    Attributes:
        shape: (height, width) in pixels.
        bands: data bands.
        dtype: of the pixels.
        nodata: `none`, or the value by name.
        hole: shares (top, left, bottom, right) of the raster that have no data; None for none.
        mask: how the hole is marked beside the nodata value: `none`, `internal`, `external`, `alpha`.
        layout: of the GeoTIFF.
        place: key of `PLACES`.
        texture: `noise`, `flat`, `steps` or `extremes`.
        scaled: whether it has scale and offset tags.
        seed: of the pixels.
    """

    shape: tuple[int, int]
    bands: int
    dtype: str
    nodata: str
    hole: tuple[float, float, float, float] | None
    mask: str
    layout: tuple[tuple[str, object], ...] = field(repr=True)
    place: str = "north up"
    texture: str = "noise"
    scaled: bool = False
    seed: int = 0


@st.composite
def layouts(draw, dtype, bands):
    """Creation options of a GeoTIFF that its driver takes for such pixels."""
    choices = {"compress": draw(st.sampled_from(["none", "deflate", "lzw", "packbits", "zstd", "lzma"]))}
    choices["interleave"] = draw(st.sampled_from(["pixel", "band"]))
    if draw(st.booleans()):
        side = st.sampled_from([16, 32, 64, 256])
        choices |= {"tiled": True, "blockxsize": draw(side), "blockysize": draw(side)}
    elif draw(st.booleans()):
        choices["blockysize"] = draw(st.integers(1, 40))
    if dtype == "uint8" and bands in (1, 3) and choices["interleave"] == "pixel" and draw(st.booleans()):
        choices["compress"] = "jpeg"
    if choices["compress"] in ("deflate", "lzw", "zstd") and "64" not in dtype:
        choices["predictor"] = (
            3 if dtype.startswith("float") and draw(st.booleans()) else draw(st.integers(1, 2))
        )
    if draw(st.booleans()):
        choices["bigtiff"] = "yes"
    if draw(st.integers(0, 5)) == 0:
        choices["sparse_ok"] = True
    return tuple(choices.items())


@st.composite
def odd_rasters(draw, largest=2000):
    """Any `Odd`; most are small."""
    side = st.one_of(
        st.sampled_from([1, 2, 3, 15, 16, 17, 48, 63, 64, 65, 112, 113]),
        st.integers(1, 130),
        st.integers(1, min(300, largest)),
        st.integers(1, largest) if draw(st.integers(0, 9)) == 0 else st.nothing(),
    )
    shape = draw(st.tuples(side, side))
    if shape[0] * shape[1] > 400_000:
        shape = (shape[0], max(1, 400_000 // shape[0]))
    bands, dtype = draw(st.integers(1, 8)), draw(st.sampled_from(DTYPES))
    shares = st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])
    hole = draw(st.one_of(st.none(), st.tuples(shares, shares, shares, shares)))
    layout = draw(layouts(dtype, bands))
    lossy = dict(layout)["compress"] == "jpeg"
    codes = ["none", "none", "zero", "largest", "odd"] + ["nan", "infinite"] * dtype.startswith("float")
    return Odd(
        shape,
        bands,
        dtype,
        "none" if lossy else draw(st.sampled_from(codes)),
        hole,
        draw(st.sampled_from(["none", "internal", "external"] + ["alpha"] * (not lossy and bands < 8))),
        layout,
        draw(st.sampled_from(sorted(PLACES))),
        draw(st.sampled_from(["noise", "noise", "flat", "steps", "extremes"])),
        draw(st.integers(0, 4)) == 0,
        draw(st.integers(0, 9)),
    )


def code_of(odd):
    """The nodata value as a number; None for none."""
    floats = odd.dtype.startswith("float")
    top = float(np.finfo(odd.dtype).max) if floats else int(np.iinfo(odd.dtype).max)
    values = {"none": None, "zero": 0, "largest": top, "nan": np.nan, "infinite": np.inf}
    odd_one = -9999 if floats or np.iinfo(odd.dtype).min <= -9999 else 77
    if odd.nodata == "largest" and "64" in odd.dtype and not floats:
        return 2**53  # what a double holds
    return odd_one if odd.nodata == "odd" else values[odd.nodata]


def pixels_of(odd):
    """(bands, h, w) pixels; none has the nodata value by chance in all bands."""
    rng = np.random.default_rng(odd.seed)
    size = (odd.bands, *odd.shape)
    if odd.texture == "flat":
        return np.full(size, 101, odd.dtype)
    if odd.texture == "steps":
        rows, cols = np.indices(odd.shape)
        return np.broadcast_to(40 + 60 * ((rows // 7 + cols // 11) % 2), size).astype(odd.dtype).copy()
    if odd.texture == "extremes" and not odd.dtype.startswith("float"):
        info = np.iinfo(odd.dtype)
        ends = np.array([max(info.min, -(2**52)), 1, min(info.max, 2**52)], odd.dtype)
        rows, cols = np.indices(odd.shape) // 9
        return np.broadcast_to(ends[(rows + 2 * cols + odd.seed) % 3], size).copy()
    top = 120 if odd.dtype == "int8" else 250
    grain = 1 + max(odd.shape) // 60  # pixels of a blot: single ones are a polygon each
    coarse = rng.integers(1, top, (odd.bands, *(-(-side // grain) for side in odd.shape)))
    return coarse.repeat(grain, 1).repeat(grain, 2)[:, : odd.shape[0], : odd.shape[1]].astype(odd.dtype)


def holes_of(odd):
    """(h, w) bool, True where the raster is to have no data."""
    absent = np.zeros(odd.shape, bool)
    if odd.hole is not None:
        height, width = odd.shape
        top, left, bottom, right = odd.hole
        absent[
            int(top * height) : int(np.ceil(bottom * height)), int(left * width) : int(np.ceil(right * width))
        ] = True
    return absent


def write(odd, path):
    """Write an odd raster; (h, w) bool, True where it has data by the book."""
    pixels, absent, code = pixels_of(odd), holes_of(odd), code_of(odd)
    if code is not None:
        pixels[:, absent] = code
    transform, crs = PLACES[odd.place]
    bands = odd.bands + (odd.mask == "alpha")
    profile = dict(driver="GTiff", height=odd.shape[0], width=odd.shape[1], count=bands, dtype=odd.dtype,
                   nodata=code, **dict(odd.layout))  # fmt: skip
    if odd.place in UNITED:
        profile |= {"gcps": corner_points(odd.shape, transform), "crs": crs}
    else:
        profile |= {"crs": crs} | ({"transform": transform} if transform is not None else {})
    with (
        rasterio.Env(GDAL_TIFF_INTERNAL_MASK=odd.mask == "internal"),
        rasterio.open(path, "w", **profile) as file,
    ):
        if odd.mask == "alpha":
            file.colorinterp = [*[ColorInterp.gray] * odd.bands, ColorInterp.alpha]
            top = 1 if odd.dtype.startswith("float") else np.iinfo(odd.dtype).max
            pixels = np.concatenate([pixels, np.where(absent, 0, top).astype(odd.dtype)[None]])
        file.write(pixels)
        if odd.scaled:
            file.scales, file.offsets = [0.01] * bands, [5.0] * bands
        if odd.mask in ("internal", "external"):
            file.write_mask(~absent)
    with rasterio.open(path) as file:
        return _valid(odd, file.read(used(odd)), absent, code)


def used(odd):
    """The bands that the model is given."""
    return [1, 2, 3] if odd.bands >= 3 else [1, 1, 1]


def _valid(odd, planes, absent, code):
    valid = ~absent if odd.mask != "none" else np.ones(odd.shape, bool)
    if code is not None:
        held = np.isnan(planes) if np.isnan(code) else planes == np.array(code, odd.dtype)
        valid &= ~held.all(0)
    if odd.dtype.startswith("float"):
        valid &= np.isfinite(planes).all(0)
    return valid


def check(odd, folder):
    """Run a raster through predict and vectorize; raises AssertionError for what is not as it must be."""
    out = emptied(folder / "out")
    path, bundle = out / "scene.tif", folder / "bundle"
    valid = write(odd, path)
    chosen = ["-b", ",".join(map(str, used(odd)))]
    done = run("predict", path, "-m", bundle, "-o", out / "mask.tif", "--res", "native", "--no-quicklook",
               "--no-styles", *chosen)  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    classes = _check_mask(path, out / "mask.tif", valid, odd)
    done = run("vectorize", out / "mask.tif", "-o", out / "polygons.gpkg", "--no-simplify", "--no-regularize",
               "--min-area", 0)  # fmt: skip
    assert done.exit_code == 0, (done.stderr, done.exception)
    _check_polygons(out / "mask.tif", out / "polygons.gpkg", classes)
    assert not [name for name in left(out) if name.startswith(".")]


def _check_mask(path, target, valid, odd):
    """Every valid pixel has one class, by one threshold for all; the rest has none. The place is kept."""
    with rasterio.open(path) as scene, rasterio.open(target) as mask:
        assert mask.shape == scene.shape
        assert mask.transform == scene.transform
        assert (mask.crs or mask.gcps[1]) == (scene.crs or scene.gcps[1])
        assert [(p.row, p.col, p.x, p.y) for p in mask.gcps[0]] == [
            (p.row, p.col, p.x, p.y) for p in scene.gcps[0]
        ]
        classes, band = mask.read(1), scene.read(1)
    assert ((classes != 255) == valid).all()
    assert set(np.unique(classes[valid])) <= {0, 1, 2}
    bright, dark = band[classes == 1], band[classes == 2]
    if (classes == 0).any():  # on the threshold itself, where neither is more probable
        assert odd.dtype != "uint8"
        assert np.unique(band[classes == 0]).size == 1
    if bright.size and dark.size:
        assert dark.max() < bright.min()
    if odd.dtype == "uint8":
        assert (bright > 127).all()
        assert (dark <= 127).all()
    return classes


def _check_polygons(mask, path, classes):
    """Valid polygons that cover the pixels of their classes, all of them, once."""
    meta, _, geometries, columns = pyogrio.raw.read(path)
    polygons = shapely.from_wkb(geometries)
    names = columns[list(meta["fields"]).index("class")] if len(polygons) else np.array([])
    assert shapely.is_valid(polygons).all()
    with rasterio.open(mask) as file:
        transform = file.transform if not file.gcps[0] else rasterio.transform.from_gcps(file.gcps[0])
    for value, name in ((1, "bright"), (2, "dark")):
        mine, wanted = polygons[names == name], classes == value
        assert bool(len(mine)) == bool(wanted.any())
        if not len(mine):
            continue
        area = wanted.sum() * abs(transform.determinant)
        assert shapely.area(mine).sum() == pytest_approx(area)
        in_pixels = shapely.transform(mine, lambda xy: np.column_stack(~transform * xy.T))
        corners = shapely.get_coordinates(in_pixels)
        assert np.abs(corners - np.round(corners)).max() < 0.05
        whole = shapely.transform(in_pixels, np.round)
        back = rasterize(((shape, 1) for shape in whole), out_shape=wanted.shape, transform=Affine.identity())
        assert (back == wanted).all()


def pytest_approx(value):
    """Equal to a millionth: coordinates have few digits left far from the origin."""
    import pytest

    return pytest.approx(value, rel=1e-5)


def main():
    """Draw and check many; hypothesis shrinks what fails and prints it."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=2000)
    options = parser.parse_args()
    start, seen = time.time(), Counter()
    with tempfile.TemporaryDirectory(prefix="geoseg-odd-") as name, thresholds_for_networks():
        folder = Path(name)
        write_card(folder / "bundle")

        @settings(
            max_examples=options.cases, deadline=None, database=None, suppress_health_check=list(HealthCheck)
        )
        @given(odd_rasters())
        def run_all(odd):
            seen["cases"] += 1
            seen[f"place {odd.place}"] += 1
            seen[f"dtype {odd.dtype}"] += 1
            seen[f"mask {odd.mask}"] += 1
            check(odd, folder)

        run_all()
    print(f"{seen['cases']} rasters in {time.time() - start:.0f} s, every one as it must be")
    print(", ".join(f"{name} {count}" for name, count in sorted(seen.items())))


if __name__ == "__main__":
    main()
