"""A profile says what the kit needs; a mistake in it is named, and nothing is guessed."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from stead.demo.conformance.pointers import at
from stead.demo.conformance.profile import load
from stead.demo.conformance.run import on_trial
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home

URL = "http://127.0.0.1:9"


def _least() -> dict[str, Any]:
    return {
        "trigger": {"parts": [{"text": "pay 5"}], "changed": [{"text": "pay 500"}]},
        "result": {"/0/amount": "/paid"},
        "people": {"owner": {"token_file": "token"}, "others": {"mallory": {}}},
    }


def _written(folder: Path, said: Any) -> Path:
    path = folder / "profile.yaml"
    path.write_text(said if isinstance(said, str) else yaml.safe_dump(said))
    return path


def test_the_least_that_has_to_be_said_is_enough(tmp_path: Path) -> None:
    profile = load(_written(tmp_path, _least()))
    assert profile.question.link == "/challenge/link"
    assert profile.times.settle == 1


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"times": {"settel": 1}}, "times.settel"),
        ({"result": {}}, "result"),
        ({"result": {"amount": "/paid"}}, "result"),
        ({"people": {"owner": {}, "others": {}}}, "people.others"),
        ({"people": {"owner": {"token_file": "t", "token_command": ["t"]}, "others": {"m": {}}}}, "people.owner"),
        ({"people": {"owner": {"deny": ["d"], "logins": {"o": {}}}, "others": {"m": {}}}}, "people.owner"),
        ({"executions": []}, "executions"),
        ({"trigger": {"parts": []}}, "trigger"),
        ({"times": {"finish": 0}}, "times.finish"),
    ],
)
def test_a_mistake_is_named_by_its_place(tmp_path: Path, change: dict[str, Any], place: str) -> None:
    with pytest.raises(ConfigurationError, match=place.replace(".", r"\.")):
        load(_written(tmp_path, {**_least(), **change}))


@pytest.mark.parametrize("said", ["", "- a\n", "{", "\x00"])
def test_what_is_no_profile_at_all_is_refused_in_words(tmp_path: Path, said: str) -> None:
    with pytest.raises(ConfigurationError, match="profile"):
        load(_written(tmp_path, said))


def test_a_profile_that_is_not_there_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        load(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("owner", "why"),
    [
        ({}, "no token"),
        ({"token_file": "none"}, "cannot be read"),
        ({"token_command": ["/none"]}, "cannot be run"),
        ({"token_command": ["false"]}, "failed with 1"),
        ({"token_command": ["true"]}, "token is none"),
        ({"token_command": ["echo", "Bearer x"]}, "token is none"),
    ],
)
async def test_an_owner_without_a_token_is_not_put_on_trial(tmp_path: Path, owner: dict[str, Any], why: str) -> None:
    path = _written(tmp_path, {**_least(), "people": {"owner": owner, "others": {"mallory": {}}}})
    with pytest.raises(ConfigurationError, match=why):
        async with on_trial(URL, path, Home(tmp_path)):
            raise AssertionError


async def test_a_token_comes_from_a_program_as_well_and_is_never_printed(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a-secret\n")
    owner = {"token_command": ["cat", "kept"]}
    path = _written(tmp_path, {**_least(), "people": {"owner": owner, "others": {"mallory": {}}}})
    async with on_trial(URL, path, Home(tmp_path)) as trial:
        assert trial.people.owner.tokens == {"a-secret"}
        assert "a-secret" not in repr(trial)


@pytest.mark.parametrize(
    ("pointer", "found"), [("", {"a/b": [{"~": 1}]}), ("/a~1b/0/~0", 1), ("/a~1b", [{"~": 1}]), ("/a~1b/0", {"~": 1})]
)
def test_a_pointer_leads_where_rfc_6901_says(pointer: str, found: Any) -> None:
    assert at({"a/b": [{"~": 1}]}, pointer) == found


@pytest.mark.parametrize("pointer", ["/none", "/a~1b/1", "/a~1b/-", "/a~1b/0/~0/x"])
def test_a_pointer_that_leads_nowhere_is_a_lookup_error(pointer: str) -> None:
    with pytest.raises(LookupError):
        at({"a/b": [{"~": 1}]}, pointer)
