"""Stopping is for the process that was asked."""

import os
import subprocess
import sys

import pytest

FORKS = """
import multiprocessing, os, time
from geoseg.stopping import stoppable
with stoppable(0, lambda: os._exit(7)):
    child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(60,), daemon=True)
    child.start()
    child.terminate()
    child.join()
    time.sleep(0.5)  # in which a watch that took this for its own signal would end us
raise SystemExit(0 if child.exitcode < 0 else 1)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")
def test_the_end_of_a_fork_is_not_that_of_its_parent():
    done = subprocess.run([sys.executable, "-c", FORKS], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
