"""What `stead config` tells of the settings: each with its origin, none that is a secret."""

import json
from pathlib import Path
from typing import Any

import pytest

from stead.demo.cli import config
from stead.demo.cli.app import app
from stead.identity.effective import Effective, doubts, effective
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home


@pytest.fixture
def write(home: Home, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("STEAD_HOME", str(home.path))

    def written(text: str) -> Home:
        (home.folder(".") / "stead.yaml").write_text(text)
        return home

    return written


def _by_place(home: Home) -> dict[str, Effective]:
    return {each.place: each for each in effective(home)}


def test_each_setting_says_whether_environment_file_preset_or_nobody_set_it(write: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("STEAD_TIMEOUTS__CONNECT", "2")
    text = "planner: rules\ntimeouts: {connect: 7, read: 60}\nissuers: [{issuer: https://i.example, preset: okta}]\n"
    said = _by_place(write(text))
    assert said["timeouts.connect"] == Effective("timeouts.connect", 2, "environment")
    assert said["timeouts.read"] == Effective("timeouts.read", 60, "file")
    assert said["timeouts.provider"].origin == "default"
    assert said["planner"].origin == "file"
    assert said["issuers.0.client"] == Effective("issuers.0.client", "cid", "preset")
    assert said["issuers.0.issuer"].origin == "file"
    assert said["issuers.0.roles"].origin == "default"


def test_a_list_in_the_environment_takes_the_place_of_the_files(write: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("STEAD_ISSUERS", '[{"issuer": "https://env.example"}]')
    said = _by_place(write("issuers: [{issuer: https://file.example, client: who}]"))
    assert said["issuers.0.issuer"] == Effective("issuers.0.issuer", "https://env.example", "environment")
    assert said["issuers.0.client"] == Effective("issuers.0.client", "client_id", "default")


def test_a_section_by_name_is_told_by_its_name(write: Any) -> None:
    home = write("workloads: {quotes: {subject: s, jwks_file: /tmp/keys.json}}")
    assert _by_place(home)["workloads.quotes.subject"] == Effective("workloads.quotes.subject", "s", "file")


def test_the_password_in_an_address_is_not_shown(write: Any, capsys: Any) -> None:
    write("planner_base_url: https://alice:hunter2@models.example/v1")
    config.show(json=True)
    shown = capsys.readouterr().out
    assert "hunter2" not in shown
    assert "models.example" in shown


def test_show_prints_every_setting_as_json_and_as_a_table(write: Any, capsys: Any) -> None:
    write("dpop: always")
    config.show(json=True)
    assert {"place": "dpop", "value": "always", "origin": "file"} in json.loads(capsys.readouterr().out)
    config.show(json=False)
    assert "dpop" in capsys.readouterr().out


def test_check_finds_a_variable_that_sets_nothing_and_a_file_that_is_not_there(
    write: Any, monkeypatch: Any, capsys: Any, tmp_path: Path
) -> None:
    monkeypatch.setenv("STEAD_DPOPP", "always")
    missing = tmp_path / "secret"
    home = write(f"issuers: [{{issuer: i, clients: {{web: {{client_secret_file: {missing}}}}}}}]")
    first, second = doubts(home)
    assert (first.place, first.hint) == ("STEAD_DPOPP", "Did you mean 'STEAD_DPOP'?")
    assert second.place == "issuers.0.clients.web.client_secret_file"
    assert config.check(json=True) == 1
    assert len(json.loads(capsys.readouterr().out)["doubts"]) == 2


def test_check_is_content_with_what_is_in_order(write: Any, capsys: Any) -> None:
    write("planner: rules")
    assert config.check(json=False) == 0
    assert "in order" in capsys.readouterr().out


def test_check_names_the_setting_that_was_probably_meant(write: Any) -> None:
    write("issuers: [{issuer: i, clients: {web: {client_secret: s3cret}}}]")
    with pytest.raises(ConfigurationError) as error:
        config.check(json=False)
    assert error.value.hint == "Did you mean 'client_secret_file'?"
    assert "s3cret" not in f"{error.value.description}{error.value.hint}"


def test_schema_prints_the_schema_of_the_file(capsys: Any) -> None:
    config.schema()
    assert "issuers" in json.loads(capsys.readouterr().out)["properties"]


def test_the_group_is_part_of_the_command() -> None:
    assert "config" in {group.name for group in app.registered_groups}
