"""The docs say what is: commands exist, links lead somewhere, Python blocks run, generated pages are current."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs.generate import commands, pages

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")])
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)[^)]*\)")
COMMANDS = dict(commands())


def _name(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def _blocks(*languages: str) -> list[tuple[str, str]]:
    return [
        (_name(page), code)
        for page in PAGES
        for kind, code in BLOCK.findall(page.read_text(encoding="utf-8"))
        if kind in languages
    ]


def _anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as forges make them."""
    prose = BLOCK.sub("", page.read_text(encoding="utf-8"))
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_every_link_of_the_docs_leads_somewhere(page: Path) -> None:
    for link in LINK.findall(BLOCK.sub("", page.read_text(encoding="utf-8"))):
        if link.startswith(("https://", "http://127.")):
            continue
        target, _, anchor = link.partition("#")
        there = page.parent / target if target else page
        assert there.exists(), link
        assert not anchor or anchor in _anchors(there), link


def test_every_page_of_the_docs_is_on_the_map() -> None:
    index = ROOT / "docs" / "README.md"
    mapped = {(index.parent / link.partition("#")[0]).resolve() for link in LINK.findall(index.read_text())}
    for page in (ROOT / "docs").rglob("*.md"):
        assert page == index or page.resolve() in mapped, page


@pytest.mark.parametrize(("page", "code"), _blocks("python"))
def test_python_in_the_docs_runs(page: str, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    exec(compile(code, page, "exec"), {"__name__": "docs"})


def _called() -> Iterator[tuple[str, list[str]]]:
    """Every `stead` command line of the docs, as words."""
    for page, code in _blocks("sh", "console"):
        for line in code.splitlines():
            words = shlex.split(line.removeprefix("$ ").removeprefix(".venv/bin/").partition(" | ")[0], comments=True)
            if words[:1] == ["stead"]:
                yield page, words


@pytest.mark.parametrize(("page", "words"), list(_called()), ids=lambda value: None)
def test_every_stead_command_in_the_docs_exists(page: str, words: list[str]) -> None:
    depth = next((depth for depth in (3, 2) if " ".join(words[:depth]) in COMMANDS), None)
    assert depth is not None, f"{page}: {' '.join(words)}"
    known = {option for parameter in COMMANDS[" ".join(words[:depth])].params for option in parameter.opts}
    for word in words[depth:]:
        assert not word.startswith("--") or word in known, f"{page}: {' '.join(words)}"


def test_every_make_target_in_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for target in re.findall(r"(?:`|^)(?:LONG=1 )?make ([a-z]+)", text, re.MULTILINE):
            assert target in targets, f"{page}: make {target}"


def test_generated_pages_are_what_the_code_says() -> None:
    for path, content in pages().items():
        assert path.read_text(encoding="utf-8") == content, f"{path.name} is out of date: make docs"


def test_the_readme_is_short_and_says_how_to_run_and_test() -> None:
    readme = (ROOT / "README.md").read_text()
    assert len(readme.splitlines()) <= 150
    assert "make demo" in readme
    assert "make test" in readme
    assert "docs/trail.svg" in readme


def test_the_readme_shows_the_example_as_it_is() -> None:
    assert (ROOT / "examples" / "hello" / "agent.py").read_text().strip() in (ROOT / "README.md").read_text()
