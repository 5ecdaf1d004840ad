"""What is done and will never be done again: one line of JSON per job, flushed to the disk."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO

from geoseg.bulk.work import Report
from geoseg.errors import BatchError
from geoseg.staging import room


class Journal:
    """An open journal. Use `open_journal`."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def append(self, report: Report) -> None:
        """Write a line; it is on the disk when this returns.

        Raises:
            OutputError: when the disk has no room for it.
        """
        with room([Path(self._file.name)]):
            self._file.write(json.dumps(report.line()).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())


@contextmanager
def open_journal(path: Path, others: Iterable[Path] = ()) -> Iterator[Journal]:
    """Open a journal to append to; no other process can do so until the `with` block ends.

    Args:
        path: the journal.
        others: journals that no other process may have open either.

    Raises:
        BatchError: when another process has one of them open.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("ab"))
        for each in others:
            if not each.samefile(path):
                _lock(stack.enter_context(each.open("rb")), each)
        _lock(file, path)
        if _torn(path):
            file.write(b"\n")  # the line that a killed run left unfinished stays alone
        yield Journal(file)


def read_journals(paths: Iterable[Path]) -> dict[str, Report]:
    """The last report of each job by its key; lines that are torn or of another make are left out."""
    reports = dict[str, Report]()
    for path in paths:
        for line in path.read_bytes().splitlines():
            report = _parsed(line)
            if report is not None and not (report.failed and _done(reports.get(report.key))):
                reports[report.key] = report
    return reports


def _parsed(line: bytes) -> Report | None:
    try:
        return Report(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _done(report: Report | None) -> bool:
    return report is not None and not report.failed


def _torn(path: Path) -> bool:
    """Whether a file ends within a line."""
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _lock(file: IO[bytes], path: Path) -> None:
    """Keep others out for as long as the file is open, however this process ends."""
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BatchError(f"another run is at work in {path.parent}; wait for it, or end it first") from None
    except OSError:
        return  # a file system without locks
