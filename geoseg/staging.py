"""Outputs appear whole or not at all.

Everything is written under a hidden temporary name in the target's own folder, flushed to the disk,
then renamed. A run that fails or is killed leaves nothing that looks finished.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from geoseg.errors import OutputError

GDAL_SIDES = (".aux.xml", ".msk", ".ovr")


@contextmanager
def staged(*targets: Path, overwrite: bool = False) -> Iterator[tuple[Path, ...]]:
    """Give temporary paths to write to; rename all of them when the `with` block ends well.

    GDAL's side files of a temporary path (`x.tif.aux.xml` beside `x.tif`) are renamed with it. When the
    block fails, every file it made is removed.

    Args:
        targets: the final paths.
        overwrite: replace what is there.

    Raises:
        OutputError: when a target exists, is given twice, or cannot be written.
    """
    _check(targets, overwrite)
    token = f".geoseg-{uuid.uuid4().hex[:12]}-"
    drafts = tuple(target.with_name(token + target.name) for target in targets)
    try:
        yield drafts
        for draft in drafts:
            _flush(draft)
        for draft, target in zip(drafts, targets, strict=True):
            _publish(draft, target)
    finally:
        for target in targets:
            for leftover in target.parent.glob(token + "*"):
                leftover.unlink(missing_ok=True)


def check_absent(targets: tuple[Path, ...] | list[Path], overwrite: bool) -> None:
    """Refuse targets that exist already, before any work is done for them."""
    for target in targets:
        if target.exists() and not overwrite:
            raise OutputError(f"{target} exists already; choose another name or add --overwrite")
        if target.is_dir():
            raise OutputError(f"{target} is a folder; give the name of a file")


def _check(targets: tuple[Path, ...], overwrite: bool) -> None:
    check_absent(targets, overwrite)
    if len({target.resolve() for target in targets}) < len(targets):
        raise OutputError(f"two outputs have one name, {targets[0]}; give each its own")
    for folder in {target.parent for target in targets}:
        if not folder.is_dir():
            raise OutputError(f"there is no folder {folder} to write to; make it first")
        if not os.access(folder, os.W_OK):
            raise OutputError(f"the folder {folder} cannot be written to; choose another with -o")


def _flush(draft: Path) -> None:
    if not draft.exists():
        raise OutputError(f"nothing was written for {draft.name}; see the messages above")
    with draft.open("rb+") as file:
        os.fsync(file.fileno())


def _publish(draft: Path, target: Path) -> None:
    """Rename side files first, so that the main file never comes without them; drop an old file's."""
    for ending in GDAL_SIDES:
        side, old = (path.with_name(path.name + ending) for path in (draft, target))
        if side.exists():
            side.replace(old)
        else:
            old.unlink(missing_ok=True)
    draft.replace(target)


@contextmanager
def staged_folder(target: Path, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder to fill; rename it to `target` when the `with` block ends well.

    Args:
        target: the final folder.
        overwrite: replace the folder that is there.

    Raises:
        OutputError: when it exists and is not empty, or cannot be written.
    """
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise OutputError(f"the folder {target} is not empty; choose another or add --overwrite")
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file; give the name of a folder")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".geoseg-", suffix=f"-{target.name}", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write to {target.parent}: {error.strerror}; choose another folder"
        ) from error
    aside = draft.with_name(draft.name + "-old")
    try:
        yield draft
        draft.chmod(0o777 & ~_umask())
        if target.exists():
            target.replace(aside)
        draft.replace(target)
    finally:
        if aside.exists() and not target.exists():
            aside.replace(target)
        for leftover in (draft, aside):
            shutil.rmtree(leftover, ignore_errors=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
