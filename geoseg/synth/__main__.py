"""Make the sample scenes: ``python -m geoseg.synth FOLDER``."""

import sys
from collections.abc import Sequence
from pathlib import Path

from geoseg.errors import GeosegError
from geoseg.synth.samples import write_samples


def main(arguments: Sequence[str]) -> int:
    """Write the samples to the one folder named in ``arguments``; the exit code is 0, 1 or 2."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        sys.stderr.write("usage: python -m geoseg.synth FOLDER\n")
        return 2
    try:
        for path in write_samples(Path(arguments[0])):
            sys.stdout.write(f"{path}\n")
    except GeosegError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
