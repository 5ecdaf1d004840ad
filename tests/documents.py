"""Read Markdown pages, and do what they say.

What a fenced block is follows from the words behind its fence:

    sh                     commands, one a line; they run, in order, in the page's folder
    sh elsewhere           commands that need a network, a cluster or minutes: only their options are checked
    python                 lines that run in the page's folder, in one namespace
    toml title="FILE"      a file that is written into the folder
    text, html             to be looked at
"""

import contextlib
import os
import re
import shlex
import subprocess
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import click
from click.testing import CliRunner
from conftest import ROOT
from markdown_it import MarkdownIt

from geoseg.cli import main

KINDS = {"sh", "sh elsewhere", "python", "text", "html"}
TITLE = re.compile(r'toml title="([\w./-]+)"')
LESS = {  # of what would take a minute
    "train": ["--set", "fit.epochs=1", "--set", "patches.per_epoch=8", "--set", "fit.precision=float32"],
    "synth": ["--size", "256", "256"],
}
PARSER = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Block:
    """A fenced block: the words behind the fence, its text, and its first line in the page."""

    info: str
    text: str
    line: int

    @property
    def commands(self):
        """The lines of a block of commands, joined where they end on a backslash, without comments."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]


def blocks(page):
    found = (t for t in PARSER.parse(page.read_text(encoding="utf-8")) if t.type in ("fence", "code_block"))
    return [Block(token.info.strip(), token.content, token.map[0] + 1) for token in found]


def links(page):
    """The targets of all links and pictures of a page."""
    for token in PARSER.parse(page.read_text(encoding="utf-8")):
        for child in token.children or ():
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield target


def anchors(page):
    """The names that headings have on GitHub."""
    tokens = PARSER.parse(page.read_text(encoding="utf-8"))
    names = [slug(after.content) for t, after in pairwise(tokens) if t.type == "heading_open"]
    again = [names[:k].count(name) for k, name in enumerate(names)]
    return {f"{name}-{count}" if count else name for name, count in zip(names, again, strict=True)}


def slug(heading):
    return re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-")


def words_of(command):
    """The words of a command after `geoseg`, globs expanded as a shell does it."""
    found = []
    for word in shlex.split(command, comments=True)[1:]:
        matches = sorted(map(str, Path().glob(word))) if "*" in word and f"'{word}'" not in command else []
        found += matches or [word]
    return found


def subcommand(command):
    """`predict`, `model show` … and the click command of that name."""
    words, here, names = shlex.split(command, comments=True)[1:], main, []
    while isinstance(here, click.Group) and words and words[0] in here.commands:
        names.append(words[0])
        here = here.commands[words.pop(0)]
    return " ".join(names), here, words


def check_options(command):
    """Let click read a command that is not run."""
    name, command_, words = subcommand(command)
    assert name, f"there is no such command: {command}"
    command_.make_context(name, words, click.Context(main, info_name="geoseg", **main.context_settings))


def follow(page, folder):
    """Do everything that a page says, in `folder`; the commands that ran."""
    for name in ("sample_data", "pipelines", "benchmarks"):
        (folder / name).symlink_to(ROOT / name)
    ran, namespace = [], {}
    with contextlib.chdir(folder):
        for block in blocks(page):
            where = f"{page.name}:{block.line}"
            if title := TITLE.fullmatch(block.info):
                Path(title[1]).write_text(block.text, encoding="utf-8")
            elif block.info == "python":
                exec(compile(block.text, where, "exec"), namespace)
            elif block.info == "sh":
                for command in block.commands:
                    run_command(command, where)
                ran += block.commands
    return ran


def run_command(command, where):
    """geoseg in this process, anything else in a shell."""
    if not command.startswith("geoseg "):
        subprocess.run(["bash", "-euo", "pipefail", "-c", command], check=True)
        return
    words = words_of(command)
    done = CliRunner().invoke(main, words + LESS.get(words[0], []))
    wanted = int(found[1]) if (found := re.search(r"# exit code (\d)", command)) else 0
    assert done.exit_code == wanted, f"{where}: {command}: {done.output} {done.exception!r}"


os.environ.setdefault("MPLBACKEND", "Agg")
