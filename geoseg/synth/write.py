"""A scene as files: GeoTIFF, mask and the truth as GeoJSON."""

from pathlib import Path

import geopandas
import numpy as np
import numpy.typing as npt
import rasterio
from rasterio.enums import ColorInterp
from rasterio.errors import CRSError
from rasterio.transform import Affine
from shapely import Polygon
from shapely.affinity import affine_transform

from geoseg.errors import OutputError
from geoseg.staging import staged
from geoseg.synth.scene import NODATA, SyntheticScene
from geoseg.vector import ogr  # noqa: F401 - before geopandas has pyogrio write

_COLOURS = {0: (0, 0, 0), 1: (214, 69, 65), 2: (46, 139, 87), NODATA: (255, 255, 255)}


def names(path: str | Path) -> tuple[Path, Path, Path]:
    """The files of a scene: ``NAME.tif``, ``NAME_mask.tif`` and ``NAME_truth.geojson``."""
    image = Path(path)
    return image, image.with_name(f"{image.stem}_mask.tif"), image.with_name(f"{image.stem}_truth.geojson")


def write_scene(
    scene: SyntheticScene,
    path: str | Path,
    *,
    crs: str = "EPSG:32611",
    origin: tuple[float, float] = (452000.0, 3770000.0),
    lossless: bool = False,
    mask: bool = True,
    overwrite: bool = False,
) -> tuple[Path, ...]:
    """Write a scene and its truth.

    Args:
        scene: what to write.
        path: the image, ``NAME.tif``; ``NAME_mask.tif`` and ``NAME_truth.geojson`` are written beside it.
        crs: projected coordinate system in metres, as rasterio understands it.
        origin: x, y of the outer corner of the first pixel, in ``crs``.
        lossless: True compresses with DEFLATE, False with JPEG of quality 85. A scene with missing data must
            be lossless, so that its nodata value 0 is exact.
        mask: False leaves the mask out.
        overwrite: True replaces existing files.

    Returns:
        The files written.

    Raises:
        OutputError: if a file exists, the folder cannot be written, or the options do not fit the scene.
    """
    image, classes, truth = names(path)
    outputs = (image, classes, truth) if mask else (image, truth)
    check(scene, image, crs, lossless=lossless)
    size = scene.spec.pixel_size_m
    transform = Affine(size, 0, origin[0], 0, -size, origin[1])
    try:
        with staged(*outputs, overwrite=overwrite) as drafts:
            write_image(scene, drafts[0], crs, transform, lossless=lossless)
            if mask:
                write_mask(scene.mask, drafts[1], crs, transform)
            frame(scene, crs, transform).to_file(
                drafts[-1],
                driver="GeoJSON",
                engine="pyogrio",
                RFC7946="YES",
                COORDINATE_PRECISION=7,
                WRITE_NAME="NO",
            )
    except OutputError:
        raise
    except (OSError, rasterio.errors.RasterioError) as error:
        raise OutputError(
            f"cannot write {image}: {error}; check that the folder exists and has room"
        ) from error
    return outputs


def check(scene: SyntheticScene, image: Path, crs: str, *, lossless: bool) -> None:
    """Refuse what cannot be written well, before anything is written."""
    if image.suffix.lower() not in (".tif", ".tiff"):
        raise OutputError(f"{image.name} is not a GeoTIFF name; choose one that ends in .tif")
    if not scene.valid.all() and not lossless:
        raise OutputError("the scene has missing data, which JPEG would smear; pass lossless=True")
    try:
        metric = rasterio.CRS.from_user_input(crs)
    except CRSError as error:
        raise OutputError(f"crs {crs!r} is not understood; give one like EPSG:32611") from error
    if not metric.is_projected or metric.linear_units_factor[1] != 1.0:
        raise OutputError(f"crs {crs} is not projected in metres; give one like EPSG:32611")


def write_image(scene: SyntheticScene, path: Path, crs: str, transform: Affine, *, lossless: bool) -> None:
    """Write the pixels as a tiled RGB GeoTIFF; nodata is 0 where data are missing."""
    height, width = scene.mask.shape
    packing = {"compress": "deflate", "predictor": 2, "zlevel": 9}
    if not lossless:
        packing = {"compress": "jpeg", "photometric": "ycbcr", "jpeg_quality": 85}
    nodata = None if scene.valid.all() else 0
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 3,
        "height": height,
        "width": width,
        "nodata": nodata,
    }
    tiles = {"tiled": True, "blockxsize": 256, "blockysize": 256, "interleave": "pixel"}
    with rasterio.open(path, "w", crs=crs, transform=transform, **profile, **tiles, **packing) as out:
        out.colorinterp = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
        out.write(np.moveaxis(scene.pixels, 2, 0))


def write_mask(mask: npt.NDArray[np.uint8], path: Path, crs: str, transform: Affine) -> None:
    """Write the class mask as a GeoTIFF with a colour table; nodata is 255."""
    height, width = mask.shape
    profile = {
        "driver": "GTiff",
        "dtype": "uint8",
        "count": 1,
        "height": height,
        "width": width,
        "nodata": NODATA,
    }
    with rasterio.open(
        path, "w", crs=crs, transform=transform, compress="deflate", tiled=True, **profile
    ) as out:
        out.write(mask, 1)
        out.write_colormap(1, _COLOURS)


def frame(scene: SyntheticScene, crs: str, transform: Affine) -> geopandas.GeoDataFrame:
    """Buildings and trees with a ``class`` attribute, in WGS84."""
    shapes = [mapped(each, transform) for each in (*scene.buildings, *scene.trees)]
    classes = ["building"] * len(scene.buildings) + ["tree"] * len(scene.trees)
    return geopandas.GeoDataFrame({"class": classes}, geometry=shapes, crs=crs).to_crs("EPSG:4326")


def mapped(polygon: Polygon, transform: Affine) -> Polygon:
    """A polygon from pixels to map coordinates."""
    a, b, c, d, e, f = transform[:6]
    placed: Polygon = affine_transform(polygon, [a, b, d, e, c, f])
    return placed
