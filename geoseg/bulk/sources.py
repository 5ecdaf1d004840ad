"""What the user calls a source, as named scenes that GDAL opens."""

from __future__ import annotations

import csv
import glob
import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath

from geoseg.errors import BatchError
from geoseg.geo.tile_search import TileChoices, find_tiles
from geoseg.geo.tiles import Tiles

ENDINGS = frozenset(
    (".tif", ".tiff", ".vrt", ".jp2", ".j2k", ".img", ".png", ".jpg", ".jpeg", ".webp", ".bil", ".bsq",
     ".ecw", ".sid", ".ntf", ".nitf", ".gti")
)  # fmt: skip
LISTS = (".txt", ".csv")
COLUMNS = ("scene", "source", "path", "file", "filename", "location", "url", "href")  # of a list's header
STORES = {
    "http": "/vsicurl/http://", "https": "/vsicurl/https://", "s3": "/vsis3/", "gs": "/vsigs/",
    "az": "/vsiaz/", "abfs": "/vsiadls/",
}  # fmt: skip

# GDAL forgets what it was told by a server, so that a job can be tried again
RETRIES = {"CPL_VSIL_CURL_NON_CACHED": "/vsicurl/:/vsis3/:/vsigs/:/vsiaz/:/vsiadls/"}


@dataclass(frozen=True, slots=True, order=True)
class Source:
    """A scene of a batch.

    Attributes:
        name: of its outputs, maybe with folders: `town/north` for `town/north_mask.tif`.
        dataset: what GDAL opens, files by their absolute path; map tiles by the text form of their `Tiles`.
    """

    name: str
    dataset: str


def expand(
    sources: Iterable[str | Path],
    *,
    without: Path | None = None,
    tiles: TileChoices | None = None,
    allow_remote: bool = False,
) -> list[Source]:
    """The scenes of files, folders, globs, lists, map tiles and names of GDAL's, in this order.

    A folder is searched with all below it, and its scenes keep their sub-folders in their names. A list is a
    .txt with a source a line (# for a remark), or a .csv whose column is called scene, path, file or url, or
    is the first one; what it names is looked for from the list's own folder. `s3://`, `gs://`, `az://` and
    `https://` become names of GDAL's, and what GDAL knows as `/vsi…` or `DRIVER:…` stays as it is.
    A folder of z/x/y files, an .mbtiles and an address with {z}, {x} and {y} are one scene each.

    Args:
        sources: in any mixture.
        without: a folder whose files are no scenes: that of the outputs, when it lies among the sources.
        tiles: which map tiles.
        allow_remote: take addresses and names of GDAL's from lists too: a list may come from elsewhere.

    Raises:
        BatchError: when there is nothing behind a source, or two scenes would have one name.
        SceneError: when there are no map tiles where they are wanted.
    """
    tiling = tiles or TileChoices()
    look = partial(_expand, without=without, tiling=tiling, allow_remote=allow_remote)
    found = [scene for source in sources for scene in look(str(source), Path())]
    _check_names(found)
    return found


def _expand(
    source: str, base: Path, without: Path | None, tiling: TileChoices, allow_remote: bool
) -> Iterator[Source]:
    path, look = base / source, partial(_expand, without=without, tiling=tiling, allow_remote=allow_remote)
    if tiles := _tiles(source, path, tiling):
        yield Source(tiles.name, str(tiles))
    elif remote := _remote(source, path):
        yield Source(_name(remote), remote)
    elif path.is_dir():
        yield from _folder(path, without)
    elif path.suffix.lower() in LISTS and path.is_file():
        for entry in _entries(path):
            if not allow_remote and _leads_away(entry, path.parent):
                raise BatchError(f"{path} lists {entry}, which is no file; --allow-remote trusts the list")
            yield from look(entry, path.parent)
    elif path.is_file():
        yield Source(_name(path.name), str(path.absolute()))
    elif matches := sorted(glob.glob(str(path), recursive=True)):  # noqa: PTH207 - Path takes no absolute one
        for match in matches:
            yield from look(match, Path())
    else:
        raise BatchError(f"there is nothing at {source}; give files, folders, globs, lists or GDAL's names")


def _tiles(source: str, path: Path, tiling: TileChoices) -> Tiles | None:
    """The map tiles behind an address or a path; None of other sources."""
    return find_tiles(source if "://" in source else path, tiling)


def _remote(source: str, path: Path) -> str | None:
    """A name that only GDAL can resolve, as GDAL wants it; None for files."""
    kind, separator, rest = source.partition("://")
    if separator and kind.lower() in STORES:
        return STORES[kind.lower()] + rest
    gdals = re.match(r"/vsi\w+/|[A-Za-z]\w+:", source) and not path.exists()
    return source if gdals else None


def _leads_away(entry: str, base: Path) -> bool:
    """Whether an entry of a list is not a path."""
    return bool(_remote(entry, base / entry)) or "://" in entry


def _folder(folder: Path, without: Path | None) -> Iterator[Source]:
    """The rasters in a folder and below, in alphabetical order; nothing hidden."""
    top, spared = folder.absolute(), without and without.absolute()
    paths = [path for path in _walk(top, spared) if path.suffix.lower() in ENDINGS]
    if not paths:
        raise BatchError(f"there is no raster in the folder {folder}; give another folder, or the files")
    for path in paths:
        name = path.relative_to(top)
        yield Source(str(PurePosixPath(*map(_clean, name.parent.parts), _name(name.name))), str(path))


def _walk(top: Path, without: Path | None) -> Iterator[Path]:
    for here, folders, files in os.walk(top):
        folders[:] = sorted(f for f in folders if not f.startswith(".") and Path(here, f) != without)
        yield from (Path(here, file) for file in sorted(files) if not file.startswith("."))


def _entries(path: Path) -> list[str]:
    """What a list names."""
    text = path.read_text(encoding="utf-8-sig")
    if path.suffix.lower() == ".txt":
        lines = (line.strip() for line in text.splitlines())
        return [line for line in lines if line and not line.startswith("#")]
    rows = [row for row in csv.reader(text.splitlines()) if row]
    head = [cell.strip().lower() for cell in rows[0]] if rows else []
    column = next((head.index(name) for name in COLUMNS if name in head), None)
    return [row[column or 0].strip() for row in rows[column is not None :]]


def _name(dataset: str) -> str:
    """The stem of a file's or an address's last part."""
    last = re.split(r"[/\\]", dataset.split("?")[0].rstrip("/"))[-1]
    return _clean(Path(last).stem)


def _clean(text: str) -> str:
    """Characters that any file system takes."""
    return re.sub(r"[^\w.\-+ ]+", "_", text)


def _check_names(scenes: list[Source]) -> None:
    if not scenes:
        raise BatchError("the sources name no scene; give files, folders, globs or lists")
    by_name = defaultdict[str, list[str]](list)
    for scene in scenes:
        by_name[scene.name.casefold()].append(scene.dataset)
    twice = next((datasets for datasets in by_name.values() if len(datasets) > 1), None)
    if twice is None:
        return
    if twice[0] == twice[1]:
        raise BatchError(f"{twice[0]} is given twice; give each scene once")
    raise BatchError(
        f"{twice[0]} and {twice[1]} would have outputs of one name; rename one, or give the folder above them"
    )
