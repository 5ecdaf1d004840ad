"""OpenVINO is imported without telling its makers."""

import subprocess
import sys

import pytest

pytest.importorskip("openvino_telemetry", reason="what reports is not installed")
IMPORT = """
import sys
from geoseg.runtime.openvino_engine import import_openvino
assert import_openvino().Core is import_openvino().Core
print(*sys.modules)
"""


def test_importing_openvino_reports_to_nobody():
    done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
    assert "openvino" in done.stdout.split()
    assert not [name for name in done.stdout.split() if name.startswith("openvino_telemetry")]
