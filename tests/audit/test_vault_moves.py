"""A vault that is in use moves from one kind of keys to another, and nothing of it is written anew."""

import base64
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stead.demo.cli.vault import looked_at
from stead.identity import vaults
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.vaults import VaultSettings, open_vault
from tests.parts import google_kms, transit

ALICE = "http://127.0.0.2:1|alice"
NAME = "broker-vault"

Change = Callable[[], VaultSettings]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def services(tmp_path: Path) -> Iterator[dict[str, dict[str, object]]]:
    """What each kind of keys needs to be said of it."""
    (tmp_path / "token").write_text(transit.TOKEN)
    (tmp_path / "keys").write_text(base64.b64encode(os.urandom(32)).decode())
    with transit.serving() as service:
        yield {
            "home": {},
            "file": {"key_file": tmp_path / "keys"},
            "transit": {"transit_url": service.url, "transit_token_file": tmp_path / "token"},
        }


def put_and_get(home: Home, settings: VaultSettings, task: str, value: bytes | None = None) -> bytes | None:
    vault = open_vault(home, settings, NAME)
    try:
        if value is not None:
            vault.put(ALICE, task, "subject", value)
        return vault.get(ALICE, task, "subject")
    finally:
        vault.close()


@pytest.mark.parametrize(("before", "after"), [("home", "transit"), ("transit", "file"), ("file", "home")])
def test_what_former_keys_wrapped_opens_until_it_is_moved(
    home: Home, services: dict[str, dict[str, object]], before: str, after: str
) -> None:
    old = VaultSettings.model_validate({"keys": before, **services[before]})
    new = VaultSettings.model_validate({"keys": after, **services[after]})
    both = VaultSettings.model_validate({"keys": after, "former": [before], **services[before], **services[after]})
    assert put_and_get(home, old, "t", b"x") == b"x"
    with pytest.raises(ConfigurationError) as refused:
        put_and_get(home, new, "t")
    assert "vault.former" in str(refused.value.hint)
    assert put_and_get(home, both, "t") == b"x"
    assert put_and_get(home, both, "u", b"y") == b"y"
    done = vaults.rotate(home, both, NAME)
    assert (done.moved, done.left) == (3 if after == "home" else 2, 0)
    assert [put_and_get(home, new, task) for task in ("t", "u")] == [b"x", b"y"]
    with pytest.raises(ConfigurationError):
        put_and_get(home, old, "t")


def test_a_former_state_directory_that_has_no_key_gets_none(home: Home, services: dict[str, dict[str, object]]) -> None:
    settings = VaultSettings.model_validate({"keys": "file", "former": ["home"], **services["file"]})
    assert put_and_get(home, settings, "t", b"x") == b"x"
    assert home.kept_secrets(NAME) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"former": ["transit"]},
        {"keys": "google", "google_key": google_kms.KEY, "former": ["aws"]},
        {"former": ["paper"]},
        {"former": "home"},
    ],
)
def test_former_keys_of_which_too_little_is_said_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"need|Input"):
        VaultSettings.model_validate(wrong)


def test_no_library_of_a_cloud_is_imported_unless_it_is_chosen() -> None:
    code = "import sys, stead.identity.vaults; print({'botocore', 'google.auth', 'requests'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_doctor_tries_the_keys_of_each_vault(home: Home, services: dict[str, dict[str, object]]) -> None:
    old = VaultSettings.model_validate({"keys": "file", **services["file"]})
    put_and_get(home, old, "t", b"x")
    [well] = looked_at(home, old)
    assert well.good
    assert "sealed by" in well.told
    new = VaultSettings.model_validate(
        {"keys": "transit", "former": ["file"], **services["file"], **services["transit"]}
    )
    [moving] = looked_at(home, new)
    assert moving.good
    assert "2 keys still by an older one" in moving.told
    away = new.model_copy(update={"transit_url": "http://127.0.0.1:9"})
    [ill] = looked_at(home, away)
    assert not ill.good
    assert ill.hint == "Check vault.transit_url and vault.transit_key."
