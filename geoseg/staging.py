"""Outputs appear whole or not at all.

Everything is written under a hidden temporary name in the target's own folder, flushed to the disk,
then renamed. A run that fails or is killed leaves nothing that looks finished.
"""

from __future__ import annotations

import errno
import glob
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from geoseg.errors import OutputError

GDAL_SIDES = (".aux.xml", ".msk", ".ovr")
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # what a disk without room says

_unfinished = dict[Path, None]()  # drafts, as patterns of names, and folders of this process


@contextmanager
def staged(*targets: Path, overwrite: bool = False) -> Iterator[tuple[Path, ...]]:
    """Give temporary paths to write to; rename all of them when the `with` block ends well.

    GDAL's side files of a temporary path (`x.tif.aux.xml` beside `x.tif`) are renamed with it. When the
    block fails, every file it made is removed. Of two processes that write the same targets, the one that
    ends first has them all, and the other is refused.

    Args:
        targets: the final paths.
        overwrite: replace what is there.

    Raises:
        OutputError: when a target exists, is given twice, or cannot be written.
    """
    _check(targets, overwrite)
    token = f".geoseg-{uuid.uuid4().hex[:12]}-"
    drafts = tuple(target.with_name(token + target.name) for target in targets)
    folders = {target.parent for target in targets}
    with _removed({folder / f"{token}*" for folder in folders}), room(targets):
        yield drafts
        for draft in drafts:
            _flush(draft)
        with _alone(folders):
            check_absent(targets, overwrite)
            for draft, target in zip(drafts, targets, strict=True):
                _publish(draft, target)


def discard() -> None:
    """Remove all that this process has not finished, before it ends without leaving its `with` blocks."""
    for draft in list(_unfinished):
        _remove(draft)


@contextmanager
def _removed(drafts: Iterable[Path]) -> Iterator[None]:
    """Whatever happens, leave no drafts; `discard` knows of them meanwhile."""
    drafts = list(drafts)
    _unfinished.update(dict.fromkeys(drafts))
    try:
        yield
    finally:
        for draft in drafts:
            _remove(draft)
            _unfinished.pop(draft, None)


def _remove(draft: Path) -> None:
    """Remove a folder, or the files that a pattern of names means."""
    for leftover in draft.parent.glob(draft.name):
        if leftover.is_dir():
            shutil.rmtree(leftover, ignore_errors=True)
        else:
            leftover.unlink(missing_ok=True)


@contextmanager
def room(targets: Iterable[Path]) -> Iterator[None]:
    """Say which files it was that a disk without room could not take.

    Raises:
        OutputError: instead of an OSError that says so.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in FULL:
            raise
        names = ", ".join(str(target) for target in targets)
        raise OutputError(f"cannot write {names}: {error.strerror}; make room and run it again") from error


@contextmanager
def _alone(folders: Iterable[Path]) -> Iterator[None]:
    """Keep other processes of geoseg from publishing in some folders, for as long as renaming takes."""
    try:
        import fcntl
    except ImportError:  # Windows
        yield
        return
    with ExitStack() as stack:
        for folder in sorted(folders):  # in one order for all, so that none waits for the other
            handle = os.open(folder, os.O_RDONLY)
            stack.callback(os.close, handle)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(handle, fcntl.LOCK_EX)
        yield


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
    _check_folder(target, overwrite)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=".geoseg-", suffix=f"-{target.name}", dir=target.parent))
    except OSError as error:
        raise OutputError(
            f"cannot write to {target.parent}: {error.strerror}; choose another folder"
        ) from error
    with _removed([draft.with_name(glob.escape(draft.name))]), room([target]):
        yield draft
        draft.chmod(0o777 & ~_umask())
        with _alone([target.parent]):
            _check_folder(target, overwrite)
            _replace_folder(draft, target)


def _check_folder(target: Path, overwrite: bool) -> None:
    if target.is_dir() and any(target.iterdir()) and not overwrite:
        raise OutputError(f"the folder {target} is not empty; choose another or add --overwrite")
    if target.exists() and not target.is_dir():
        raise OutputError(f"{target} is a file; give the name of a folder")


def _replace_folder(draft: Path, target: Path) -> None:
    """Rename a folder; the one that is there is set aside first, and put back if that fails."""
    aside = draft.with_name(draft.name + "-old")
    if target.exists():
        target.replace(aside)
    try:
        draft.replace(target)
    finally:
        if aside.exists() and not target.exists():
            aside.replace(target)
    shutil.rmtree(aside, ignore_errors=True)


def _umask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask
