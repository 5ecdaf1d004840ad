"""What a country costs: hours, money and bytes, from measured rates.

    python pipelines/country_costs.py [--area-km2 300000] [--pixel-m 0.5] [--core-hour 0.04] [--gb-month 0.02]

Prices are assumptions, in any currency: give your own. Rates are those of benchmarks/RESULTS.md, sizes those
of the outputs of a real scene at 0.5 m (`--sizes PREFIX` takes them from PREFIX_mask.tif, PREFIX_p.tif,
PREFIX.gpkg and so on instead).
"""

from __future__ import annotations

import argparse
from pathlib import Path

CORES = 2  # of machine A, on which the network's rates were measured
# megapixels a second and core: "Pipeline efficiency with the trained model" (the scene's own pixels, patches
# of 512 px; reading, stitching and writing with it), and "Vectorizing, beside others", whose seconds are of a
# core
RATES = {
    "network in bfloat16 (OpenVINO)": 4.50 / CORES,
    "network in float32 (TensorFlow), instead": 2.23 / CORES,
    "tracing two classes": 135 / 2,
    "separating crowns": 27.0,
    "straightening walls": 8538 / 297,  # buildings a second, and of them in a megapixel of the town below
}
HANDS = 16  # cores for which to print the hours
# bytes of the outputs for Banepa at 0.5 m (`geoseg predict --res 0.5`), 2,292 × 2,982 px: a dense town
PIXELS = 2292 * 2982
SIZES = {
    "_mask.tif": ("class mask", 684_968),
    "_p.tif": ("probabilities of two classes (uint8)", 8_810_277),
    ".gpkg": ("polygons, GeoPackage", 2_195_456),
    ".parquet": ("polygons, GeoParquet", 725_457),
    ".mbtiles": ("web map of the mask, MBTiles", 494_592),
    ".pmtiles": ("web map of the polygons, PMTiles", 676_677),
}


def computing(pixels: float, core_hour: float) -> list[str]:
    """A line for each kind of work: rate of a core, core-hours, money, hours on some cores."""
    lines = []
    for work, rate in RATES.items():
        hours = pixels / (rate * 1e6) / 3600
        lines.append(
            f"| {work} | {rate:.2f} | {hours:,.0f} | {hours * core_hour:,.2f} | {hours / HANDS:,.1f} |"
        )
    return lines


def storing(pixels: float, gb_month: float, sizes: dict[str, int], measured: int) -> list[str]:
    """A line for each output: bytes of a gigapixel, of the country, and money a month."""
    lines = []
    for ending, (name, _) in SIZES.items():
        if ending not in sizes:
            continue
        each = sizes[ending] / measured * 1e9
        total = each * pixels / 1e9 / 1e9
        lines.append(f"| {name} | {each / 1e6:,.0f} | {total:,.0f} | {total * gb_month:,.2f} |")
    return lines


def taken(prefix: str) -> tuple[dict[str, int], int]:
    """Sizes of the files of a run by their endings, and the pixels of its mask."""
    import rasterio

    with rasterio.open(f"{prefix}_mask.tif") as mask:
        pixels = mask.height * mask.width
    there = {ending: Path(f"{prefix}{ending}") for ending in SIZES}
    return {ending: path.stat().st_size for ending, path in there.items() if path.exists()}, pixels


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--area-km2", type=float, default=300_000)
    parser.add_argument("--pixel-m", type=float, default=0.5)
    parser.add_argument("--core-hour", type=float, default=0.04, help="price of an hour of a core")
    parser.add_argument("--gb-month", type=float, default=0.02, help="price of keeping a GB for a month")
    parser.add_argument("--sizes", help="take sizes from the files of a run that begin so")
    asked = parser.parse_args()
    pixels = asked.area_km2 * 1e6 / asked.pixel_m**2
    given = {ending: size for ending, (_, size) in SIZES.items()}
    sizes, measured = taken(asked.sizes) if asked.sizes else (given, PIXELS)
    print(f"{asked.area_km2:,.0f} km² at {asked.pixel_m:g} m: {pixels / 1e9:,.0f} Gpx\n")
    print(f"| work | Mpx/s a core | core-hours | at {asked.core_hour:g} | hours on {HANDS} cores |")
    print("|---|---|---|---|---|", *computing(pixels, asked.core_hour), sep="\n")
    print(f"\n| output | MB a Gpx | GB | a month at {asked.gb_month:g} |\n|---|---|---|---|")
    print(*storing(pixels, asked.gb_month, sizes, measured), sep="\n")


if __name__ == "__main__":
    main()
