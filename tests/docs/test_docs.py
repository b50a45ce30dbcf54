"""The docs say what is: commands exist, links lead somewhere, Python blocks run, generated pages are current."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from click.testing import CliRunner
from docs.generate import pages

from stead.demo.cli.app import app

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#\s]+)[^)]*\)")


def _blocks(language: str) -> list[tuple[str, str]]:
    return [
        (page.relative_to(ROOT).as_posix(), code)
        for page in PAGES
        for kind, code in BLOCK.findall(page.read_text())
        if kind == language
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_of_the_docs_leads_somewhere(page: Path) -> None:
    for target in LINK.findall(page.read_text()):
        assert target.startswith(("https://", "http://127.")) or (page.parent / target).exists(), target


@pytest.mark.parametrize(("page", "code"), _blocks("python"))
def test_python_in_the_docs_runs(page: str, code: str) -> None:
    exec(compile(code, page, "exec"), {"__name__": "docs"})


def test_every_stead_command_in_the_docs_exists() -> None:
    command = typer.main.get_command(app)
    for page, code in _blocks("sh"):
        for line in code.splitlines():
            words = shlex.split(line.removeprefix("$ "), comments=True)
            if words[:1] == ["stead"]:
                named = [word for word in words[1:3] if re.fullmatch(r"[a-z]+", word)]
                result = CliRunner().invoke(command, [*_known(command, named), "--help"])
                assert result.exit_code == 0, f"{page}: {line}"


def _known(command: object, words: list[str]) -> list[str]:
    if not words:
        return []
    subcommands = getattr(command, "commands", {})
    if not subcommands:
        return []
    return [words[0], *_known(subcommands.get(words[0]), words[1:])]


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        for target in re.findall(r"`(?:LONG=1 )?make ([a-z]+)`", page.read_text()):
            assert target in targets, f"{page}: make {target}"


def test_generated_pages_are_what_the_code_says() -> None:
    for path, content in pages().items():
        assert path.read_text() == content, f"{path.name} is out of date: make docs"


def test_the_readme_is_short_and_says_how_to_run_and_test() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    assert "make demo" in readme
    assert "make test" in readme
    assert "docs/trail.svg" in readme
