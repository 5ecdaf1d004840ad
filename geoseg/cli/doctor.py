"""`geoseg doctor`."""

from __future__ import annotations

import json

import click

from geoseg.cli import options


@click.command("doctor")
@options.as_json
def command(as_json: bool) -> None:
    """Print versions, devices and engines, and what `--engine auto` would choose and why.

    \b
    geoseg doctor
    geoseg doctor --json
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    from geoseg.runtime.doctor import diagnose

    facts = diagnose()
    if as_json:
        click.echo(json.dumps(facts))
        return
    for topic, text in facts.items():
        click.echo(f"{topic:>24}  {text}")
