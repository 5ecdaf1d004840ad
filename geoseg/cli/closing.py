"""What is said on stderr when a scene is done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from geoseg.prediction import Result


def closing_table(done: Result) -> str:
    """What was done with a scene, a line for each fact."""
    size = f"{done.height:,} × {done.width:,}"
    metres = f", {done.pixel_size_m:.3g} m" if done.pixel_size_m else ""
    shares = [f"{name} {100 * share:.1f} %" for name, share in done.shares.items()]
    files = (*done.outputs, *done.beside)
    rows = [
        ("scene", Path(done.scene).name),  # of map tiles no part of the address, which may be secret
        ("pixels", size + metres),
        ("found", ", ".join(shares) or "nothing: no pixel has data"),
        ("patches", f"{done.patches:,}, and {done.skipped:,} skipped without data"),
        ("time", f"{done.seconds:.1f} s, {done.megapixels_per_second:.2f} Mpx/s"),
        ("memory", f"{done.peak_bytes / 2**30:.2f} GiB at its peak"),
        ("engine", done.engine),
        *zip(("written", *[""] * len(files)), files, strict=False),
    ]
    return "\n".join(f"{topic:>9}  {text}" for topic, text in rows)


def show_closing(done: Result) -> None:
    """Print the table."""
    click.echo(closing_table(done), err=True)
