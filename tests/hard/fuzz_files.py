# ruff: noqa: E402, T201 - a script, which finds its neighbours and prints what it found
"""Damaged files of every kind that geoseg reads: a result, or one line and exit code 1; nothing else.

    python tests/hard/fuzz_files.py --cases 20000              # all kinds, two processes
    python tests/hard/fuzz_files.py --cases 500 --only tiff    # one kind
    python tests/hard/fuzz_files.py --only tiff --case 1234    # cases again

Small files of each kind are made in code, then bits are flipped, bytes overwritten, pieces cut out, doubled
or exchanged, ends cut off. Case n of a kind is always the same file. Cases run in forked processes with a
limit on memory and on time, so that a crash of a native library, a hang and a runaway allocation are seen for
what they are, and cost one process.

A `.keras` or `.onnx` file that does not have the sum its card says is not opened at all; so three quarters of
these cases write the sum of the damaged file into the card, which is what an attacker would do.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import signal
import struct
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[1])]

import numpy as np
from thresholds import CARD, complaint, emptied, run, thresholds_for_networks, write_card

SECONDS = 60  # for one case, on a machine that does other things too
ROOM = 3 * 2**30  # bytes that a case may take beyond what the process has when it starts
SHARES = {"tiff": 24, "geojson": 15, "gpkg": 13, "card": 18, "keras": 12, "onnx": 18}
BATCH = 2500  # cases of a process, which then makes way for a fresh one


@dataclass(frozen=True)
class Finding:
    """A case that went wrong."""

    kind: str
    case: int
    words: str


# Damage ----------------------------------------------------------------------------------------------------


def flipped(data: bytearray, rng: random.Random) -> None:
    """A few bits, rather at the ends, where headers are."""
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        data[_place(data, rng)] ^= 1 << rng.randrange(8)


def overwritten(data: bytearray, rng: random.Random) -> None:
    """Numbers that programs trip over."""
    for _ in range(rng.choice((1, 2, 3))):
        at = _place(data, rng)
        new = rng.choice((b"\0", b"\xff", b"\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f",
                          b"\0\0\0\x80", struct.pack("<Q", 2**63 - 1), struct.pack("<H", 65535),
                          struct.pack("<I", rng.getrandbits(32))))  # fmt: skip
        data[at : at + len(new)] = new


def truncated(data: bytearray, rng: random.Random) -> None:
    """The end is missing."""
    del data[rng.choice((rng.randrange(len(data)), _place(data, rng))) :]


def cut(data: bytearray, rng: random.Random) -> None:
    """A piece is missing."""
    at = _place(data, rng)
    del data[at : at + rng.choice((1, 2, 4, 64, 1000))]


def doubled(data: bytearray, rng: random.Random) -> None:
    """A piece is there twice."""
    at = _place(data, rng)
    data[at:at] = data[at : at + rng.choice((1, 4, 64, 1000))]


def zeroed(data: bytearray, rng: random.Random) -> None:
    """A disk block was never written."""
    at, size = _place(data, rng), rng.choice((16, 512, 4096))
    piece = data[at : at + size]
    data[at : at + size] = bytes(len(piece))


def shuffled(data: bytearray, rng: random.Random) -> None:
    """Two pieces have changed places."""
    size = rng.choice((4, 16, 256))
    one, two = _place(data, rng), _place(data, rng)
    data[one : one + size], data[two : two + size] = data[two : two + size], data[one : one + size]


def _place(data: bytearray, rng: random.Random) -> int:
    last = max(len(data) - 1, 0)
    return min(
        last, rng.choice((rng.randrange(512), last - min(last, rng.randrange(512)), rng.randint(0, last)))
    )


DAMAGE = (flipped, flipped, flipped, overwritten, overwritten, truncated, cut, doubled, zeroed, shuffled)


def damaged(data: bytes, rng: random.Random) -> bytes:
    """A copy with one kind of damage, sometimes two."""
    result = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2))):
        if result:
            rng.choice(DAMAGE)(result, rng)
    return bytes(result)


# Files to damage -------------------------------------------------------------------------------------------


def seed_rasters(folder: Path) -> list[Path]:
    """Small TIFFs of many makes."""
    from conftest import coded, write_raster

    hole = np.ones((70, 90), bool)
    hole[10:30, 20:60] = False
    makes = {
        "strips": dict(),
        "deflate": dict(compress="deflate", predictor=2),
        "tiles": dict(tiled=True, blockxsize=32, blockysize=32, compress="lzw", interleave="pixel"),
        "jpeg": dict(compress="jpeg", photometric="ycbcr", tiled=True, blockxsize=32, blockysize=32,
                     interleave="pixel"),
        "masked": dict(mask=hole, compress="deflate"),
        "alpha": dict(mask=hole, mask_kind="alpha", compress="packbits"),
        "big": dict(BIGTIFF="YES", compress="zstd", nodata=20),
        "named": dict(names=("red", "green", "blue"), nodata=0, compress="lzma"),
    }  # fmt: skip
    paths = [write_raster(folder / f"{name}.tif", coded((70, 90)), **make) for name, make in makes.items()]
    floats = coded((50, 40), dtype="float32") / np.float32(255)
    floats[5:9, 7:20] = np.nan
    paths.append(write_raster(folder / "floats.tif", floats, compress="deflate", predictor=3, nodata=np.nan))
    paths.append(write_raster(folder / "words.tif", coded((50, 40), dtype="uint16") * 200, nodata=65535))
    made = run(
        "predict",
        paths[0],
        "-m",
        folder / "bundle",
        "-o",
        folder / "mask.tif",
        "--probabilities",
        folder / "p.tif",
        "--polygons",
        folder / "polygons.geojson",
        "--no-quicklook",
        "--no-styles",
    )
    assert made.exit_code == 0, made.output
    return [*paths, folder / "mask.tif", folder / "p.tif"]


def seed_networks(folder: Path) -> Path:
    """A bundle of a small U-Net without training."""
    import keras

    from geoseg.models.bundle import save_bundle

    layers = keras.layers
    pixels = keras.Input((None, None, 3))
    wide = layers.Conv2D(4, 3, padding="same", use_bias=False)(layers.Rescaling(1 / 255)(pixels))
    wide = layers.ReLU()(layers.BatchNormalization()(wide))
    deep = layers.Conv2D(6, 3, padding="same", activation="relu")(layers.MaxPooling2D(2)(wide))
    joined = layers.Concatenate()([wide, layers.UpSampling2D(2)(deep)])
    model = keras.Model(pixels, layers.Conv2D(2, 1, activation="sigmoid")(joined))
    return save_bundle(model, CARD, folder / "network").folder


# Reading them ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """Where a process works: the seeds, read only, and a folder of its own."""

    seeds: Path
    own: Path


def outputs(command: str, place: Place, *words: object) -> str | None:
    """Run a command whose outputs go to an empty folder; what is wrong with how it ended."""
    folder = emptied(place.own / "out")
    result = run(command, *(str(word).replace("OUT", str(folder)) for word in words))
    return complaint(result, folder) or (_unreadable(folder) if result.exit_code == 0 else None)


def _unreadable(folder: Path) -> str | None:
    """Outputs of a success are whole."""
    import rasterio

    for path in folder.glob("*.tif"):
        with rasterio.open(path) as file:
            file.read()
            if file.tags().get("GEOSEG_CLASSES") is None:
                return f"{path.name} has lost its tags"
    return None


def try_tiff(place: Place, seed: Path, data: bytes, rng: random.Random) -> str | None:
    path = place.own / "scene.tif"
    path.write_bytes(data)
    if seed.name in ("mask.tif", "p.tif"):
        if rng.random() < 0.3:
            return outputs("evaluate", place, path, place.seeds / "mask.tif", "-o", "OUT/report")
        return outputs("vectorize", place, path, "-o", "OUT/x.gpkg")
    extra = rng.choice(
        ([], ["--polygons", "OUT/x.fgb"], ["--res", "native"], ["--probabilities", "OUT/p.tif"])
    )
    if rng.random() < 0.95:  # it takes ten times as long as all else
        extra = [*extra, "--no-quicklook"]
    return outputs("predict", place, path, "-m", place.seeds / "bundle", "-o", "OUT/mask.tif", *extra)


def try_vector(place: Place, seed: Path, data: bytes, rng: random.Random) -> str | None:
    path = place.own / f"polygons{seed.suffix}"
    path.write_bytes(data)
    kind = rng.randrange(3)
    if kind == 0:
        return outputs("predict", place, place.seeds / "strips.tif", "-m", place.seeds / "bundle", "-o",
                       "OUT/mask.tif", "--cutline", path, "--no-quicklook", "--no-styles")  # fmt: skip
    if kind == 1:
        return outputs("evaluate", place, place.seeds / "mask.tif", path, "-o", "OUT/report")
    return outputs("web", place, path, "-o", "OUT/x.pmtiles", "--max-zoom", "13")


def try_card(place: Place, seed: Path, data: bytes, rng: random.Random) -> str | None:
    folder = emptied(place.own / "card")
    (folder / "card.toml").write_bytes(data)
    if rng.random() < 0.3:
        return outputs("model", place, "show", folder)
    return outputs("predict", place, place.seeds / "strips.tif", "-m", folder, "-o", "OUT/mask.tif",
                   "--polygons", "OUT/x.geojson", "--no-quicklook")  # fmt: skip


def try_network(place: Place, seed: Path, data: bytes, rng: random.Random) -> str | None:
    """Load a bundle, its sum mended in half of the cases, and run it once."""
    from geoseg.errors import GeosegError
    from geoseg.models.bundle import Bundle, sha256
    from geoseg.models.card import read_card

    path = place.own / seed.name
    path.write_bytes(data)
    card = read_card(seed.parent / "card.toml")
    if rng.random() < 0.75:
        card = replace(card, files=dict(card.files) | {path.name: sha256(path)})
    bundle = Bundle(place.own, card)
    try:
        if path.suffix == ".keras":
            bundle.load_keras()
        else:
            _run_once(bundle, rng.choice(("openvino", "onnx")))
    except GeosegError as error:
        return "an error without words" if not str(error) else None
    return None


def _run_once(bundle: object, engine: str) -> None:
    from geoseg.runtime.choose import load_engine

    load_engine(bundle, engine, precision="float32", batch_size=1)(np.full((1, 64, 64, 3), 99, np.uint8))


def damaged_keras(seed: Path, rng: random.Random) -> bytes:
    """Damage to the archive, or to a member of it, with sums that fit."""
    if rng.random() < 0.3:
        return damaged(seed.read_bytes(), rng)
    target = Path(tempfile.mkstemp(suffix=".keras")[1])
    with zipfile.ZipFile(seed) as source:
        parts = {name: source.read(name) for name in source.namelist()}
    name = rng.choice(sorted(parts))
    parts[name] = damaged(parts[name], rng)
    with zipfile.ZipFile(target, "w") as file:
        for name, content in parts.items():
            file.writestr(name, content)
    data = target.read_bytes()
    target.unlink()
    return data


@dataclass(frozen=True)
class Kind:
    """How files of a kind are damaged and read."""

    seeds: Callable[[Path], list[Path]]
    attempt: Callable[[Place, Path, bytes, random.Random], str | None]
    damage: Callable[[Path, random.Random], bytes] = lambda seed, rng: damaged(seed.read_bytes(), rng)


KINDS = {
    "tiff": Kind(lambda folder: sorted(folder.glob("*.tif")), try_tiff),
    "geojson": Kind(lambda folder: [folder / "polygons.geojson"], try_vector),
    "gpkg": Kind(lambda folder: [folder / "polygons.gpkg"], try_vector),
    "card": Kind(
        lambda folder: [folder / "bundle" / "card.toml", *folder.glob("network/card.toml")], try_card
    ),
    "keras": Kind(lambda folder: [folder / "network" / "model.keras"], try_network, damaged_keras),
    "onnx": Kind(lambda folder: [folder / "network" / "model.onnx"], try_network),
}


def make_seeds(folder: Path, networks: bool = True) -> None:
    """Everything that is damaged later."""
    write_card(folder / "bundle")
    with thresholds_for_networks():
        seed_rasters(folder)
        made = run("vectorize", folder / "mask.tif", "-o", folder / "polygons.gpkg")
        assert made.exit_code == 0, made.output
    if networks:
        seed_networks(folder)


# Processes -------------------------------------------------------------------------------------------------


def try_case(kind: str, case: int, place: Place) -> str | None:
    """What is wrong with a case; None when nothing is."""
    rng = random.Random(f"{kind} {case}")
    about = KINDS[kind]
    seed = rng.choice(about.seeds(place.seeds))
    return about.attempt(place, seed, about.damage(seed, rng), rng)


def _worker(kind: str, cases: range, place: Place, pipe: object) -> None:
    """Run cases one by one, and say so before and after each."""
    _quiet()
    if kind == "keras":
        from geoseg.runtime.keras_engine import start_keras

        start_keras()
    room = _mapped() + ROOM
    resource.setrlimit(resource.RLIMIT_AS, (room, room))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with thresholds_for_networks():
        for case in cases:
            pipe.send((case, "begins"))
            signal.alarm(SECONDS)
            try:
                words = try_case(kind, case, place)
            except BaseException as error:
                words = f"raised {type(error).__name__}: {error}"[:300]
            signal.alarm(0)
            pipe.send((case, words))
    pipe.close()
    os._exit(0)


def _quiet() -> None:
    """What native libraries say of damaged files is of no interest."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _mapped() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")


def fuzz(
    kind: str, cases: Sequence[int], folder: Path, until: float = float("inf")
) -> Iterator[tuple[int, str | None]]:
    """Run cases of a kind in forked processes; (case, what is wrong with it)."""
    context = get_context("fork")
    own = Path(tempfile.mkdtemp(prefix=f"fuzz-{kind}-", dir=folder))
    todo = list(cases)
    while todo and time.time() < until:
        ours, theirs = context.Pipe(duplex=False)
        part = todo[:BATCH]
        worker = context.Process(target=_worker, args=(kind, part, Place(folder, own), theirs))
        worker.start()
        theirs.close()
        at = None
        try:
            while True:
                at, words = ours.recv()
                if words != "begins":
                    yield at, words
                    at = None
                if time.time() > until and at is None:
                    worker.kill()
                    break
        except EOFError:
            pass
        worker.join()
        if at is not None:
            yield at, _death(worker.exitcode)
            todo = todo[todo.index(at) + 1 :]
        else:
            todo = todo[len(part) :]


def _death(code: int | None) -> str:
    if code == -signal.SIGALRM:
        return f"hang: no end after {SECONDS} s"
    return f"crash: {signal.Signals(-code).name}" if code and code < 0 else f"died with {code}"


def campaign(kind: str, cases: range, folder: Path, until: float) -> tuple[Counter[str], list[Finding]]:
    """Run cases of a kind; how many there were, and what went wrong."""
    counts, findings = Counter[str](), []
    for case, words in fuzz(kind, cases, folder, until):
        counts["cases"] += 1
        if words is not None:
            counts[words.split(":")[0]] += 1
            findings.append(Finding(kind, case, words))
            print(f"{kind} {case}: {words}", flush=True)
    return counts, findings


def main() -> int:
    """Run all kinds, `--jobs` at a time, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=KINDS, nargs="*", default=list(KINDS))
    parser.add_argument("--case", type=int, nargs="+")
    parser.add_argument("--minutes", type=float, default=float("inf"))
    parser.add_argument("--output", type=Path, help="write the figures here, as JSON")
    options = parser.parse_args()
    start = time.time()
    import_all()
    with tempfile.TemporaryDirectory(prefix="geoseg-fuzz-") as name:
        folder = Path(name)
        make_seeds_apart(folder, bool({"keras", "onnx"} & set(options.only)))
        if options.case:
            again = [(kind, *one) for kind in options.only for one in fuzz(kind, options.case, folder)]
            for kind, case, words in again:
                print(f"{kind} {case}: {words or 'as it must be'}")
            return int(any(words for _, _, words in again))
        total = sum(SHARES[kind] for kind in options.only)
        table, findings = {}, []
        for kind in options.only:
            count = options.cases * SHARES[kind] // total
            until = start + options.minutes * 60
            begun = time.time()
            counts, found = campaign(kind, range(options.first, options.first + count), folder, until)
            table[kind] = dict(counts) | {"wanted": count, "seconds": round(time.time() - begun)}
            findings += found
            print(kind, table[kind], flush=True)
    seconds = round(time.time() - start)
    done = sum(counts.get("cases", 0) for counts in table.values())
    print(f"{done} cases in {seconds} s, {len(findings)} findings")
    if options.output:
        options.output.write_text(
            json.dumps({"kinds": table, "findings": [vars(f) for f in findings]}, indent=1)
        )
    return 1 if findings else 0


def import_all() -> None:
    """Import what commands import, once for all; no framework: its threads do not outlive a fork."""
    import geopandas  # noqa: F401

    import geoseg.bulk.web
    import geoseg.evaluation.report
    import geoseg.evaluation.run
    import geoseg.polygons
    import geoseg.prediction
    import geoseg.report.quicklook  # noqa: F401


def make_seeds_apart(folder: Path, networks: bool = True) -> None:
    """`make_seeds` in a process of its own: forks follow, which a started framework does not survive."""
    maker = get_context("fork").Process(target=make_seeds, args=(folder, networks))
    maker.start()
    maker.join()
    assert maker.exitcode == 0, maker.exitcode


if __name__ == "__main__":
    sys.exit(main())
