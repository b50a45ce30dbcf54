"""The tree itself: the namespace, the size of its parts, and what must not stand in it."""

import ast
import re
import statistics
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("identity", "broker", "agents", "mcp_servers", "demo")
SOURCES = sorted(path for part in PARTS for path in (ROOT / part).rglob("*.py"))


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True)
    return [ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def _lengths() -> list[int]:
    return [
        node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None
    ]


@pytest.mark.parametrize("part", PARTS)
def test_no_init_file_hides_the_other_parts_of_the_namespace(part: str) -> None:
    assert not (ROOT / part / "__init__.py").exists()
    assert not (ROOT / part / "stead" / "__init__.py").exists()
    assert (ROOT / part / "stead" / part / "py.typed").exists()


def test_no_file_is_longer_than_four_hundred_lines() -> None:
    assert {path.name: lines for path in SOURCES if (lines := len(path.read_text().splitlines())) > 400} == {}


def test_functions_are_small_steps() -> None:
    lengths = _lengths()
    assert statistics.median(lengths) < 9
    assert max(lengths) <= 60


def test_no_name_is_a_drawer() -> None:
    drawers = re.compile(r"(^|_)(utils?|helpers?|misc|common)(_|\.|$)|Manager\b|Helper\b")
    assert [path for path in SOURCES if drawers.search(path.name)] == []
    named = re.compile(r"^\s*class \w*(Manager|Helper)\b", re.MULTILINE)
    assert [path for path in SOURCES if named.search(path.read_text())] == []


def test_nothing_unfinished_stands_in_the_code() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX)\b|NotImplementedError")
    assert [path for path in SOURCES if unfinished.search(path.read_text())] == []


def test_no_signed_token_and_no_path_of_one_machine_is_committed() -> None:
    token = re.compile(rb"eyJ[\w-]{20,}\.[\w-]{20,}\.")
    here = re.compile(rb"/(home|root|Users)/\w")
    for path in _tracked():
        content = path.read_bytes()
        assert path.name == "uv.lock" or not token.search(content), path
        assert path == Path(__file__) or not here.search(content), path


def test_environment_variables_are_read_in_one_place_each() -> None:
    readers = sorted({path.name for path in SOURCES if "os.environ" in path.read_text()})
    assert readers == ["home.py"]
