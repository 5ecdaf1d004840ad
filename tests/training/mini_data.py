"""Miniature data sets with the folder layouts of shared/data: coloured shapes that a tiny network learns."""

import csv

import cv2
import geopandas
import numpy as np
import rasterio
from affine import Affine
from shapely.geometry import box

GROUND, ROOF, CANOPY = (150, 140, 120), (210, 90, 60), (30, 90, 40)
SIDE = 64  # of a tile, pixels
WEB_MERCATOR = "EPSG:3857"


def make_mini_data(root):
    """Write every set under `root`, in about a second."""
    makers = (camvid, pets, banepa, accra, kampala, dubai, naip)
    for seed, make in enumerate(makers):
        make(root, np.random.default_rng(seed))
    return root


def textured(labels, colors, rng):
    """RGB pixels of class numbers: each class has its colour, with noise."""
    plain = np.array(colors, np.float32)[labels]
    return np.clip(plain + rng.normal(0, 8, (*labels.shape, 1)), 0, 255).astype(np.uint8)


def draw(labels, value, rng, count, round_=False):
    """Draw shapes into (h, w) labels, each a fifth of the image wide; returns their boxes or centres."""
    height, width = labels.shape
    places = []
    for _ in range(count):
        side = int(rng.integers(min(height, width) // 8, min(height, width) // 4))
        row, col = (int(rng.integers(side, n - side)) for n in (height, width))
        if round_:
            cv2.circle(labels, (col, row), side // 2 + 1, value, -1)
            places.append((col, row))
        else:
            labels[row : row + side, col : col + side] = value
            places.append((col, row, col + side, row + side))
    return places


def save(path, pixels):
    """Write RGB or single-band pixels as PNG or JPEG; a JPEG may be called .tif, as Banepa's tiles are."""
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = ".png" if path.suffix == ".png" else ".jpg"
    good, coded = cv2.imencode(kind, pixels[..., ::-1] if pixels.ndim == 3 else pixels)
    assert good
    path.write_bytes(coded.tobytes())


def save_tif(path, pixels, transform, crs):
    """Write (h, w) or (h, w, bands) pixels as a GeoTIFF."""
    path.parent.mkdir(parents=True, exist_ok=True)
    planes = np.atleast_3d(pixels).transpose(2, 0, 1)
    profile = dict(driver="GTiff", height=planes.shape[1], width=planes.shape[2], count=len(planes))
    with rasterio.open(path, "w", dtype="uint8", crs=crs, transform=transform, **profile) as file:
        file.write(planes)


def town(shape, rng, count):
    """Roofs on the ground: pixels, mask of 0 and 255, boxes of the roofs."""
    mask = np.zeros(shape, np.uint8)
    boxes = draw(mask, 1, rng, count)
    return textured(mask, (GROUND, ROOF), rng), mask * 255, boxes


def save_polygons(path, boxes, transform):
    """Write boxes of pixels (left, top, right, bottom) of a Web Mercator plane as GeoJSON."""
    shapes = [box(*(transform * pixel[:2]), *(transform * pixel[2:])) for pixel in boxes]
    frame = geopandas.GeoDataFrame({"osm_id": range(len(shapes))}, geometry=shapes, crs=WEB_MERCATOR)
    path.parent.mkdir(parents=True, exist_ok=True)
    frame.to_crs("EPSG:4326").to_file(path, driver="GeoJSON")


def camvid(root, rng):
    """Streets: 12 training and 6 validation frames of 72 × 96 px, all twelve values."""
    colors = [(120, 180, 230), (150, 60, 50), (200, 200, 60), (90, 90, 90), (190, 150, 190), (30, 110, 30),
              (240, 240, 240), (120, 70, 20), (30, 30, 180), (240, 130, 160), (20, 200, 200),
              (0, 0, 0)]  # fmt: skip
    for part, run, count in (("train", "0006R0", 6), ("train", "0016E5", 6), ("val", "0016E5", 6)):
        for k in range(count):
            labels = np.zeros((72, 96), np.uint8)
            labels[24:48], labels[48:], labels[66:] = 1, 3, 4
            for value in (5, 8, 2, 6, 7, 9, 10, 11):
                draw(labels, value, rng, 1, round_=value in (5, 9))
            name = f"{run}_{'val' if part == 'val' else 'f'}{k:05d}.png"
            save(root / "camvid" / part / name.replace(".png", ".jpg"), textured(labels, colors, rng))
            save(root / "camvid" / f"{part}annot" / name, labels)


def pets(root, rng):
    """30 pets of 3 breeds on 48 × 64 px or upright, with trimaps: 1 pet, 2 background, 3 border."""
    for k in range(30):
        breed = ("Abyssinian", "Bengal", "american_bulldog")[k % 3]
        trimap = np.full((48, 64) if k % 2 else (64, 48), 2, np.uint8)
        height, width = trimap.shape
        centre = (int(rng.integers(18, width - 18)), int(rng.integers(18, height - 18)))
        cv2.circle(trimap, centre, 15, 3, -1)
        cv2.circle(trimap, centre, 12, 1, -1)
        pixels = textured(trimap, [(0, 0, 0), ROOF, CANOPY, (230, 220, 200)], rng)
        save(root / f"pets/images/{breed}_{k}.jpg", pixels)
        save(root / f"pets/trimaps/{breed}_{k}.png", trimap)


def banepa(root, rng):
    """14 rows of 3 tiles, JPEGs called .tif without georeference, their mosaic as a scene, and polygons."""
    folder, rows, cols = root / "buildings_banepa", range(220235, 220249), range(386690, 386693)
    pixels, mask, boxes = town((len(rows) * SIDE, len(cols) * SIDE), rng, 80)
    for i, row in enumerate(rows):
        for j, col in enumerate(cols):
            part = np.s_[i * SIDE : (i + 1) * SIDE, j * SIDE : (j + 1) * SIDE]
            save(folder / f"images/OAM-{col}-{row}-19.tif", pixels[part])
            save(folder / f"masks/OAM-{col}-{row}-19.png", mask[part])
    plane = Affine(0.1492910708693671, 0, 9519926.125, 0, -0.1492910708693671, 3203399.418)
    save_tif(folder / "scene/banepa_labelled_3072x7168.tif", pixels, plane, WEB_MERCATOR)
    save_tif(folder / "scene/banepa_labelled_mask.tif", mask // 255, plane, WEB_MERCATOR)
    save_polygons(folder / "buildings.geojson", boxes, plane)


def accra(root, rng):
    """24 JPEG tiles of 73 px in a grid, black where there is no data, and the table of their shares."""
    folder, lines = root / "buildings_accra", []
    for k in range(24):
        pixels, mask, _ = town((73, 73), rng, 4)
        pixels[: k % 5], mask[: k % 5] = 0, 0
        name = f"d41d81_{k // 6 * 1024}_{k % 6 * 1024}"
        save(folder / f"images/{name}.jpg", pixels)
        save(folder / f"masks/{name}.png", mask)
        lines.append((name, f"{1 - k % 5 / 73:.3f}", f"{(mask > 0).mean():.4f}"))
    with (folder / "tiles.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("tile", "valid_frac", "building_frac"), *lines])


def kampala(root, rng):
    """The same ground at zooms 21, 20 and 19, in GeoTIFF tiles of 64 px, with polygons."""
    folder, size = root / "buildings_kampala", 0.07464553543832153
    left, top, x, y = 3628312.8586407453, 39116.64922494069, 1238424, 1046544
    pixels, mask, boxes = town((4 * SIDE, 4 * SIDE), rng, 20)
    for zoom, factor in ((21, 1), (20, 2), (19, 4)):
        ground = cv2.resize(pixels, None, fx=1 / factor, fy=1 / factor, interpolation=cv2.INTER_AREA)
        coarse = mask[factor // 2 :: factor, factor // 2 :: factor]
        step = size * factor
        for i in range(4 // factor):
            for j in range(4 // factor):
                name = f"OAM-{x // factor + j}-{y // factor + i}-{zoom}"
                part = np.s_[i * SIDE : (i + 1) * SIDE, j * SIDE : (j + 1) * SIDE]
                plane = Affine(step, 0, left + j * SIDE * step, 0, -step, top - i * SIDE * step)
                save_tif(folder / f"images/{name}.tif", ground[part], plane, WEB_MERCATOR)
                save(folder / f"masks/{name}.png", coarse[part])
    save_polygons(folder / "labels.geojson", boxes, Affine(size, 0, left, 0, -size, top))


def dubai(root, rng):
    """24 JPEGs of 8 tiles with index masks: 0 unlabelled, building, land, road, vegetation, 5 water."""
    colors = [(0, 0, 0), ROOF, GROUND, (90, 90, 90), CANOPY, (40, 80, 160)]
    for tile in range(1, 9):
        for k in range(1, 4):
            labels = np.full((70 + tile, 80), 2, np.uint8)
            labels[30:36] = 3
            for value in (1, 1, 4, 5):
                draw(labels, value, rng, 1, round_=value == 4)
            labels[:2] = 0
            save(root / f"landcover_dubai/images/tile{tile}_{k:03d}.jpg", textured(labels, colors, rng))
            save(root / f"landcover_dubai/masks/tile{tile}_{k:03d}.png", labels)


def naip(root, rng):
    """24 crops of 0.6 m with weak masks (1 tree, 255 ignore) and tree points, and lists by place."""
    folder, points = root / "trees_naip", [("image", "x", "y")]
    lists = {"train": [], "val": [], "test": []}
    for k in range(24):
        city = ("bishop", "chico", "claremont")[k % 3]
        name = f"{city}_2018_{k}"
        labels = np.zeros((SIDE, SIDE), np.uint8)
        points += [(name, col, row) for col, row in draw(labels, 1, rng, 6, round_=True)]
        mask = labels.copy()
        mask[cv2.dilate(labels, np.ones((3, 3), np.uint8)) != labels] = 255
        plane = Affine(0.6, 0, 430000 + 100 * k, 0, -0.6, 3771240)
        save_tif(folder / f"images/{name}.tif", textured(labels, (GROUND, CANOPY), rng), plane, "EPSG:26911")
        save(folder / f"masks/{name}.png", mask)
        lists["train" if k < 14 else "val" if k < 19 else "test"].append(name)
    for part, names in lists.items():
        (folder / f"{part}_by_place.txt").write_text("\n".join(names) + "\n")
    with (folder / "points.csv").open("w", newline="") as file:
        csv.writer(file).writerows(points)
