"""`geoseg completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_GEOSEG_COMPLETE"  # which the script sets when it asks for words


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and files with the tabulator key.

    \b
    eval "$(geoseg completion bash)"     # in ~/.bashrc
    eval "$(geoseg completion zsh)"      # in ~/.zshrc
    geoseg completion fish > ~/.config/fish/completions/geoseg.fish
    """  # noqa: D301 - click takes the backspace for a paragraph to keep as it is
    kind = get_completion_class(shell)
    assert kind is not None, "click knows the shells that can be chosen"
    root = ctx.find_root()
    click.echo(kind(root.command, {}, "geoseg", VARIABLE).source())
