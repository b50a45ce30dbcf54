"""What strangers name shows on a terminal as text: no cursor moves, no hidden lines, no colours or links of theirs."""

import json
from typing import Any

import pytest

from stead.demo.cli import output

ESCAPES = [
    "\x1b[2K\r  gives nothing",
    "\x1b]8;;https://evil.example\x07click\x1b]8;;\x07",
    "\x1b]0;title\x07",
    "\x9b31m",
    "\x08\x08\x08",
    "\u202egnirts a",
    "\u2066x\u2069",
    "a\u2028b",
    "\x7f",
    "\u200b",
]


@pytest.mark.parametrize("text", ESCAPES, ids=repr)
def test_a_name_of_an_agent_moves_nothing_on_the_terminal(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"Hello {text} agent")
    output.tell(f"  may ask {text} for everything, on behalf of people")
    output.table(("name", "address"), [(f"hello{text}", "http://127.0.0.1:1")])
    printed = "".join(capsys.readouterr())
    assert not [letter for letter in text if letter in printed and not letter.isprintable()]
    assert "on behalf of people" in printed


def test_lines_of_our_own_stay_lines(capsys: pytest.CaptureFixture[str]) -> None:
    output.say("one\ntwo é 日本 🙂")
    assert capsys.readouterr().out == "one\ntwo é 日本 🙂\n"


@pytest.mark.parametrize("text", ["[bold]x[/bold]", "[/]", "[link=https://evil.example]x[/link]", "[red"])
def test_markup_in_a_name_is_shown_and_not_obeyed(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    output.table(("name",), [(text,)])
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("text", ESCAPES, ids=repr)
def test_json_says_the_same_and_does_nothing(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    value: dict[str, Any] = {"name": text, "é": "日本"}
    for print_it in (output.emit, output.emit_line):
        print_it(value)
        printed = capsys.readouterr().out
        assert json.loads(printed) == value
        assert printed.replace("\n", "").isprintable()
        assert "日本" in printed
