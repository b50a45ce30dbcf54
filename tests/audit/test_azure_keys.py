"""Data keys wrapped by Azure Key Vault, over its documented wire format."""

import base64
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stead.identity import vaults
from stead.identity.azure_keys import AzureKeys
from stead.identity.azure_token import AzureToken
from stead.identity.errors import ConfigurationError, IdentityError, ProviderUnavailable
from stead.identity.home import Home
from stead.identity.values import RefreshToken
from stead.identity.vault import Vault
from stead.identity.vault_keys import Wrapped
from stead.identity.vaults import VaultSettings, open_vault
from tests.parts import azure_kms

ALICE = "http://127.0.0.2:1|alice"
NAME = "broker-vault"
LOCAL = bytes(range(32))


@pytest.fixture
def service() -> Iterator[azure_kms.KeyVault]:
    with azure_kms.serving() as service:
        yield service


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def settings(service: azure_kms.KeyVault, tmp_path: Path) -> VaultSettings:
    """For a workload that comes with the token of its platform."""
    (tmp_path / "platform-token").write_text(f"{azure_kms.ASSERTION}\n")
    return VaultSettings(
        keys="azure",
        azure_key=f"{service.url}/keys/stead",
        azure_tenant=azure_kms.TENANT,
        azure_client=azure_kms.CLIENT,
        azure_token_file=tmp_path / "platform-token",
        azure_login=service.url,
    )


@pytest.fixture
def vault(home: Home, settings: VaultSettings) -> Iterator[Vault]:
    vault = open_vault(home, settings, NAME)
    yield vault
    vault.close()


@pytest.fixture
def keys(service: azure_kms.KeyVault) -> AzureKeys:
    return keys_of(service)


def keys_of(service: azure_kms.KeyVault, purpose: str = NAME, local: bytes = LOCAL, **more: Any) -> AzureKeys:
    """The service's keys for a machine of Azure's."""
    token = AzureToken(azure_kms.RESOURCE, tenant=None, client=None, token_file=None, machine=service.url)
    return AzureKeys(f"{service.url}/keys/stead", purpose, token=token, local=local, **more)


def test_the_service_sees_neither_a_secret_nor_a_data_key_nor_a_person(
    home: Home, service: azure_kms.KeyVault, vault: Vault
) -> None:
    vault.put(ALICE, "t", "subject", RefreshToken("canary" * 10))
    assert vault.get(ALICE, "t", "subject") == b"canary" * 10
    sent = repr(service.requests)
    assert base64.b64encode(b"canary" * 10).decode()[:-4] not in sent
    assert "alice" not in sent
    assert len(service.tokens) == 1, "a token is used while it lives"
    again = open_vault(home, VaultSettings(), NAME)
    with again.file.reading() as database:
        wrapped = [Wrapped(by, sealed) for by, sealed in database.execute("SELECT wrapped_by, wrapped FROM data_keys")]
    again.close()
    assert len(wrapped) == 2
    used = [members["value"] for path, members in service.requests if path.endswith("/wrapkey")]
    assert len(set(used)) == 2, "a key for each wrapping"


def test_its_key_is_rotated_there_and_followed_here_and_the_old_version_still_opens(
    service: azure_kms.KeyVault, home: Home, settings: VaultSettings, vault: Vault
) -> None:
    vault.put(ALICE, "t", "subject", b"x")
    service.rotate("stead")
    again = open_vault(home, settings, NAME)
    assert again.get(ALICE, "t", "subject") == b"x"
    with again.file.reading() as database:
        entries = database.execute("SELECT * FROM entries").fetchall()
    done = vaults.rotate(home, settings, NAME)
    assert (done.current, done.moved, done.left) == (
        f"{service.url}/keys/stead/{service.versions['stead'][-1][0]}",
        2,
        0,
    )
    with again.file.reading() as database:
        assert database.execute("SELECT * FROM entries").fetchall() == entries, "no entry is written anew"
    again.close()
    del service.versions["stead"][0]
    fresh = open_vault(home, settings, NAME)
    assert fresh.get(ALICE, "t", "subject") == b"x"
    fresh.close()


def test_a_key_of_an_hsm_wraps_by_aes(service: azure_kms.KeyVault) -> None:
    service.rotate("stead", azure_kms.symmetric_key())
    keys = keys_of(service, algorithm="A256KW")
    assert keys.unwrap(keys.wrap(bytes(32), b"here"), b"here") == bytes(32)


def test_a_wrapped_key_is_bound_to_its_vault_and_its_place(service: azure_kms.KeyVault, keys: AzureKeys) -> None:
    wrapped = keys.wrap(bytes(32), b"here")
    assert keys.unwrap(wrapped, b"here") == bytes(32)
    for other, place in ((keys, b"there"), (keys_of(service, "web-vault"), b"here")):
        with pytest.raises(ConfigurationError, match="cannot be unwrapped"):
            other.unwrap(wrapped, place)


def test_whoever_writes_the_file_and_has_the_public_key_makes_up_no_data_key(
    service: azure_kms.KeyVault, keys: AzureKeys
) -> None:
    """All that the attacker lacks is the state directory's secret."""
    theirs = keys_of(service, local=bytes(32)).wrap(b"k" * 32, b"here")
    with pytest.raises(ConfigurationError, match="cannot be unwrapped"):
        keys.unwrap(theirs, b"here")
    once, nonce = os.urandom(32), os.urandom(12)
    sealed = azure_kms.sealed_by_anybody(service, once)
    inner = nonce + AESGCM(once).encrypt(nonce, b"k" * 32, b"stead vault|broker-vault|here")
    with pytest.raises(ConfigurationError, match="cannot be unwrapped"):
        keys.unwrap(Wrapped(theirs.by, len(sealed).to_bytes(2, "big") + sealed + inner), b"here")


@pytest.mark.parametrize("content", [b"", b"\0", b"\0\0", b"\xff\xff" + b"x" * 300, b"\1\0" + b"x" * 256 + b"y" * 20])
def test_a_wrapped_key_that_was_altered_is_a_typed_error(
    service: azure_kms.KeyVault, keys: AzureKeys, content: bytes
) -> None:
    with pytest.raises((ConfigurationError, ProviderUnavailable)):
        keys.unwrap(Wrapped(keys.current(), content), b"here")


@pytest.mark.parametrize(
    "stranger",
    [
        "https://mallory.vault.azure.net/keys/stead/" + "0" * 32,
        "{url}/keys/stead",
        "{url}/keys/stead/../../secrets/" + "0" * 32,
        "{url}@mallory.example/keys/stead/" + "0" * 32,
        "0123456789ab",
    ],
)
def test_an_altered_file_does_not_lead_us_to_somebody_elses_key(
    service: azure_kms.KeyVault, keys: AzureKeys, stranger: str
) -> None:
    with pytest.raises(ConfigurationError, match="sealed by the key"):
        keys.unwrap(Wrapped(stranger.replace("{url}", service.url), b"x" * 80), b"here")
    assert service.requests == []


@pytest.mark.parametrize("spoilt", [{"kid": "https://mallory.vault.azure.net/keys/stead/" + "0" * 32}, {"kid": None}])
def test_an_answer_of_another_key_is_not_used(
    service: azure_kms.KeyVault, keys: AzureKeys, spoilt: dict[str, Any]
) -> None:
    wrapped = keys.wrap(bytes(32), b"here")
    service.spoils = lambda answer: {**answer, **spoilt, "key": {**answer.get("key", {}), **spoilt}}
    with pytest.raises(ProviderUnavailable):
        keys.wrap(bytes(32), b"here")
    with pytest.raises(ProviderUnavailable):
        keys.unwrap(wrapped, b"here")


@pytest.mark.parametrize(
    ("failing", "error"),
    [(403, ConfigurationError), (404, ConfigurationError), (429, ProviderUnavailable), (503, ProviderUnavailable)],
)
def test_a_service_that_refuses_or_is_away_is_told_apart(
    service: azure_kms.KeyVault, keys: AzureKeys, failing: int, error: type[IdentityError]
) -> None:
    service.failing = failing
    with pytest.raises(error) as refused:
        keys.wrap(bytes(32), b"here")
    assert "made up" not in f"{refused.value.description} {refused.value.hint}"


def test_a_workload_that_azure_does_not_know_is_a_typed_error_and_its_token_is_not_quoted(
    service: azure_kms.KeyVault, vault: Vault, tmp_path: Path
) -> None:
    (tmp_path / "platform-token").write_text("another-token")
    with pytest.raises(ConfigurationError) as refused:
        vault.put(ALICE, "t", "subject", b"x")
    assert "another-token" not in f"{refused.value.description} {refused.value.hint}"
    assert "vault.azure_client" in str(refused.value.hint)


def test_a_file_of_a_token_that_is_not_there_is_a_typed_error(vault: Vault, tmp_path: Path) -> None:
    (tmp_path / "platform-token").unlink()
    with pytest.raises(ConfigurationError, match="azure_token_file"):
        vault.put(ALICE, "t", "subject", b"x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": "azure"},
        {"keys": "azure", "azure_key": "https://v.vault.azure.net/keys/stead/" + "0" * 32},
        {"keys": "azure", "azure_key": "http://v.vault.azure.net/keys/stead"},
        {"keys": "azure", "azure_key": "https://v.vault.azure.net/keys/stead", "azure_token_file": "/t"},
    ],
)
def test_half_a_configuration_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"azure_key|https|azure_tenant"):
        VaultSettings.model_validate(wrong)
