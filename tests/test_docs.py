"""Pages of docs/ do what they say, their links lead somewhere, and the references are up to date."""

import importlib.util
import re

import pytest
from conftest import ROOT
from documents import KINDS, TITLE, anchors, blocks, check_options, follow, links, subcommand

from geoseg.cli import main

DOCS = ROOT / "docs"
PAGES = sorted(DOCS.glob("*.md"))
GENERATED = {"api.md", "commands.md", "recipe.md"}
ALIVE = [page for page in PAGES if any(block.info in ("sh", "python") for block in blocks(page))]
FOLDERS = (ROOT, DOCS, ROOT / "pipelines", ROOT / "benchmarks", ROOT / "sample_data")
LINKED = [page for folder in FOLDERS for page in sorted(folder.glob("*.md"))]


def name(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", ALIVE, ids=name)
def test_everything_that_a_page_says_runs(page, tmp_path, untraced):
    assert follow(page, tmp_path)


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=name)
def test_every_block_says_what_it_is(page):
    for block in blocks(page):
        where = f"{name(page)}:{block.line}"
        assert block.info in KINDS or TITLE.fullmatch(block.info), f"{where} is a block of {block.info!r}"
        if block.info == "text" and page.name not in GENERATED:
            assert not re.search(r"^geoseg \w", block.text, re.MULTILINE), f"{where} hides a command"


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=name)
def test_commands_that_are_not_run_have_options_that_exist(page):
    for block in blocks(page):
        for command in block.commands if block.info == "sh elsewhere" else ():
            if command.startswith("geoseg "):
                check_options(command)


@pytest.mark.parametrize("page", LINKED, ids=name)
def test_links_lead_somewhere(page):
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), f"{name(page)} links to {link}"
        assert target.is_relative_to(ROOT), f"{name(page)} links out of the project: {link}"
        if anchor:
            assert anchor in anchors(target), f"{name(page)}: {link} is no heading of {name(target)}"


def test_every_page_is_in_the_index():
    listed = {link.partition("#")[0] for link in links(DOCS / "index.md")}
    assert {page.name for page in PAGES} - {"index.md"} <= listed


def test_every_command_is_run_by_some_page():
    shown = {
        subcommand(command)[0].split()[0]
        for page in (ROOT / "README.md", *PAGES)
        for block in blocks(page)
        if block.info == "sh"
        for command in block.commands
        if command.startswith("geoseg ")
    }
    assert shown == set(main.commands)


def test_the_references_are_up_to_date():
    spec = importlib.util.spec_from_file_location("make_reference", DOCS / "make_reference.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for file, text in module.pages().items():
        assert (DOCS / file).read_text(encoding="utf-8") == text, "run python docs/make_reference.py"


def test_pictures_are_few_and_small():
    pictures = list((DOCS / "pictures").iterdir())
    assert len(pictures) <= 3
    assert sum(path.stat().st_size for path in pictures) <= 700_000
