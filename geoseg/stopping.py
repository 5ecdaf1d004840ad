"""End soon when asked to: Ctrl-C and SIGTERM raise KeyboardInterrupt, and a thread sees to it that it ends.

Python looks at signals between two of its own steps only, and leaving the `with` blocks may wait for a thread
that reads from the network or for GDAL writing a gigabyte. What is unfinished then is not worth waiting for.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType
from typing import Any

from geoseg.staging import discard

ASKED = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stoppable(seconds: float, end: Callable[[], None]) -> Iterator[None]:
    """Inside the `with` block, in the main thread, stopping takes no longer than `seconds`.

    Args:
        seconds: from the signal to `end`, for leaving the `with` blocks in order.
        end: called in another thread when that was too short, after all that is unfinished was removed. It
            does not return.
    """
    listen, tell = os.pipe()
    os.set_blocking(tell, False)
    handlers = {number: signal.signal(number, _interrupt) for number in ASKED}
    before = signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(listen, seconds, end), name="geoseg-stop", daemon=True).start()
    try:
        yield
    except KeyboardInterrupt:
        raise  # the watch goes on until the process has ended
    except BaseException:
        _restore(handlers, before, tell)
        raise
    else:
        _restore(handlers, before, tell)


def _restore(handlers: Mapping[signal.Signals, Any], before: int, tell: int) -> None:
    signal.set_wakeup_fd(before)
    os.close(tell)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _ours() -> bool:
    return signal.getsignal(signal.SIGTERM) is _interrupt


def _hold() -> None:
    """Before a fork, which has the pipe too: what ends it at once would be taken for what ends its parent."""
    if _ours():
        signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)


def _release() -> None:
    """In the parent, after a fork."""
    if _ours():
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)


def _leave() -> None:
    """In the fork: signals are its own from now on."""
    if not _ours():
        return
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_hold, after_in_parent=_release, after_in_child=_leave)


def _interrupt(signum: int, frame: FrameType | None) -> None:
    """Begin to stop; being asked again changes nothing."""
    for number in ASKED:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _watch(listen: int, seconds: float, end: Callable[[], None]) -> None:
    """Wait for a signal, which the C part of Python writes here whatever the main thread is doing."""
    while told := os.read(listen, 1):
        if told[0] in ASKED:
            time.sleep(seconds)
            discard()
            end()
    os.close(listen)
