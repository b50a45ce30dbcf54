"""The state directory: made for its owner alone, once, and its troubles told in words."""

import stat
from pathlib import Path

import pytest

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home


def test_keys_and_secrets_are_made_once_and_read_by_their_owner_alone(home: Home) -> None:
    assert home.key("broker").as_dict(private=True) == home.key("broker").as_dict(private=True)
    assert home.secret("vault") == home.secret("vault")
    for path in (home.path / "keys" / "broker.json", home.path / "secrets" / "vault"):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.path.stat().st_mode) == 0o700


def test_a_state_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(ConfigurationError, match="cannot be made"):
        Home(tmp_path / "file" / "home").key("broker")


def test_a_key_that_was_damaged_is_named_and_not_replaced(home: Home) -> None:
    home.key("broker")
    damaged = home.path / "keys" / "broker.json"
    damaged.write_text('{"kty": "EC"')
    with pytest.raises(ConfigurationError, match="broker"):
        home.key("broker")
    assert damaged.read_text() == '{"kty": "EC"'


def test_an_unrecorded_or_damaged_network_is_told_with_a_way_out(home: Home) -> None:
    with pytest.raises(ConfigurationError) as missing:
        _ = home.network
    assert missing.value.hint is not None
    home.folder(".")
    (home.path / "network.json").write_text("[]")
    with pytest.raises(ConfigurationError) as damaged:
        _ = home.network
    assert damaged.value.hint is not None
