"""Data keys wrapped by Google Cloud KMS, over its documented wire format."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stead.identity import vaults
from stead.identity.errors import ConfigurationError, IdentityError, ProviderUnavailable
from stead.identity.google_keys import GoogleKeys, crc32c
from stead.identity.home import Home
from stead.identity.values import RefreshToken
from stead.identity.vault import Vault
from stead.identity.vault_keys import Wrapped
from stead.identity.vaults import VaultSettings, open_vault
from tests.parts import google_kms

ALICE = "http://127.0.0.2:1|alice"
NAME = "broker-vault"


@pytest.fixture
def service(tmp_path: Path) -> Iterator[google_kms.GoogleKms]:
    """The service, to which a workload comes with the token of its platform (workload identity federation)."""
    token = tmp_path / "platform-token"
    token.write_text("a-token-of-the-workload")
    with google_kms.serving() as service:
        credentials = {
            "type": "external_account",
            "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p/providers/k",
            "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
            "token_url": f"{service.url}/sts",
            "credential_source": {"file": str(token)},
        }
        (tmp_path / "credentials.json").write_text(json.dumps(credentials))
        yield service


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def settings(service: google_kms.GoogleKms, tmp_path: Path) -> VaultSettings:
    return VaultSettings(
        keys="google",
        google_key=google_kms.KEY,
        google_endpoint=service.url,
        google_credentials_file=tmp_path / "credentials.json",
    )


@pytest.fixture
def vault(home: Home, settings: VaultSettings) -> Iterator[Vault]:
    vault = open_vault(home, settings, NAME)
    yield vault
    vault.close()


@pytest.fixture
def keys(service: google_kms.GoogleKms, tmp_path: Path) -> GoogleKeys:
    return keys_of(service, tmp_path)


def keys_of(service: google_kms.GoogleKms, folder: Path, purpose: str = NAME) -> GoogleKeys:
    """The service's keys, as the settings above make them."""
    file = folder / "credentials.json"
    return GoogleKeys(google_kms.KEY, purpose, endpoint=service.url, credentials_file=file)


def test_the_service_sees_data_keys_and_never_a_secret_nor_a_person(
    service: google_kms.GoogleKms, vault: Vault
) -> None:
    vault.put(ALICE, "t", "subject", RefreshToken("canary" * 10))
    assert vault.get(ALICE, "t", "subject") == b"canary" * 10
    assert [path for path, _ in service.requests] == [f"/v1/{google_kms.KEY}:encrypt"] * 2
    sent = repr(service.requests)
    assert base64.b64encode(b"canary" * 10).decode()[:-4] not in sent
    assert "alice" not in sent
    assert len(service.tokens) == 1, "a token is used while it lives"


def test_no_plain_key_lies_in_the_database(home: Home, service: google_kms.GoogleKms, vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", b"x")
    plain = [base64.b64decode(members["plaintext"]) for _, members in service.requests]
    files = b"".join(path.read_bytes() for path in home.folder("data").iterdir())
    assert len(plain) == 2
    assert not any(key in files for key in plain)


def test_its_key_is_rotated_there_and_followed_here_and_the_old_version_still_opens(
    service: google_kms.GoogleKms, home: Home, settings: VaultSettings, vault: Vault
) -> None:
    vault.put(ALICE, "t", "subject", b"x")
    service.rotate()
    again = open_vault(home, settings, NAME)
    assert again.get(ALICE, "t", "subject") == b"x"
    with again.file.reading() as database:
        entries = database.execute("SELECT * FROM entries").fetchall()
    done = vaults.rotate(home, settings, NAME)
    assert (done.current, done.moved, done.left) == (f"{google_kms.KEY}/cryptoKeyVersions/2", 2, 0)
    with again.file.reading() as database:
        assert database.execute("SELECT * FROM entries").fetchall() == entries, "no entry is written anew"
    service.versions[google_kms.KEY][0] = bytes(32)
    fresh = open_vault(home, settings, NAME)
    assert fresh.get(ALICE, "t", "subject") == b"x"
    for one in (again, fresh):
        one.close()


def test_another_key_of_the_ring_takes_over(service: google_kms.GoogleKms, home: Home, settings: VaultSettings) -> None:
    first = open_vault(home, settings, NAME)
    first.put(ALICE, "t", "subject", b"x")
    first.close()
    service.rotate(f"{google_kms.RING}/cryptoKeys/newer")
    moved = settings.model_copy(update={"google_key": f"{google_kms.RING}/cryptoKeys/newer"})
    done = vaults.rotate(home, moved, NAME)
    assert (done.moved, done.left) == (2, 0)
    after = open_vault(home, moved, NAME)
    assert after.get(ALICE, "t", "subject") == b"x"
    after.close()


def test_a_wrapped_key_is_bound_to_its_vault_and_its_place(
    service: google_kms.GoogleKms, keys: GoogleKeys, tmp_path: Path
) -> None:
    wrapped = keys.wrap(bytes(32), b"here")
    assert keys.unwrap(wrapped, b"here") == bytes(32)
    other = keys_of(service, tmp_path, "web-vault")
    for each, place in ((keys, b"there"), (other, b"here")):
        with pytest.raises(ConfigurationError):
            each.unwrap(wrapped, place)


@pytest.mark.parametrize(
    "stranger",
    [
        "projects/mallory/locations/europe-west3/keyRings/stead/cryptoKeys/vault/cryptoKeyVersions/1",
        "projects/finport/locations/europe-west3/keyRings/other/cryptoKeys/vault/cryptoKeyVersions/1",
        f"{google_kms.KEY}/../../mallory/cryptoKeyVersions/1",
        google_kms.KEY,
        "0123456789ab",
    ],
)
def test_an_altered_file_does_not_lead_us_to_somebody_elses_key(
    service: google_kms.GoogleKms, keys: GoogleKeys, stranger: str
) -> None:
    with pytest.raises(ConfigurationError, match="sealed by the key"):
        keys.unwrap(Wrapped(stranger, b"x" * 80), b"here")
    assert service.requests == []


@pytest.mark.parametrize(
    "spoilt",
    [
        {"ciphertext": base64.b64encode(b"y" * 61).decode()},
        {"ciphertextCrc32c": "1"},
        {"ciphertext": "not base64!"},
        {"ciphertext": ""},
        {"verifiedPlaintextCrc32c": False},
        {"verifiedAdditionalAuthenticatedDataCrc32c": False},
        {"name": "projects/mallory/locations/x/keyRings/y/cryptoKeys/z/cryptoKeyVersions/1"},
        {"name": None},
    ],
)
def test_a_wrapped_key_that_was_damaged_on_its_way_is_not_kept(
    service: google_kms.GoogleKms, keys: GoogleKeys, spoilt: dict[str, Any]
) -> None:
    service.spoils = lambda answer: answer | spoilt
    with pytest.raises(ProviderUnavailable):
        keys.wrap(bytes(32), b"here")


@pytest.mark.parametrize("spoilt", [{"plaintext": base64.b64encode(bytes(31)).decode()}, {"plaintextCrc32c": "1"}, {}])
def test_an_unwrapped_key_that_was_damaged_on_its_way_is_not_used(
    service: google_kms.GoogleKms, keys: GoogleKeys, spoilt: dict[str, Any]
) -> None:
    wrapped = keys.wrap(bytes(32), b"here")
    service.spoils = lambda answer: answer | spoilt if spoilt else {}
    with pytest.raises(ProviderUnavailable):
        keys.unwrap(wrapped, b"here")


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        (403, ConfigurationError),
        (404, ConfigurationError),
        (429, ProviderUnavailable),
        (500, ProviderUnavailable),
        (503, ProviderUnavailable),
    ],
)
def test_a_service_that_refuses_or_is_away_is_told_apart(
    service: google_kms.GoogleKms, keys: GoogleKeys, failing: int, error: type[IdentityError]
) -> None:
    service.failing = failing
    with pytest.raises(error) as refused:
        keys.wrap(bytes(32), b"here")
    assert "made up" not in f"{refused.value.description} {refused.value.hint}"


def test_a_token_that_google_does_not_give_is_a_typed_error(
    service: google_kms.GoogleKms, keys: GoogleKeys, tmp_path: Path
) -> None:
    (tmp_path / "platform-token").write_text("another")
    with pytest.raises(ProviderUnavailable, match="no token"):
        keys.wrap(bytes(32), b"here")


@pytest.mark.parametrize(
    "content", [None, "", "[]", "{}", '{"type": "authorized_user"}', '{"type": "service_account"}']
)
def test_a_file_that_holds_no_credentials_is_refused_and_not_quoted(
    service: google_kms.GoogleKms, keys: GoogleKeys, tmp_path: Path, content: str | None
) -> None:
    file = tmp_path / "credentials.json"
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(ConfigurationError, match="is not to be used"):
        keys.current()


def test_a_service_that_is_gone_is_a_typed_error(service: google_kms.GoogleKms, tmp_path: Path) -> None:
    file = tmp_path / "credentials.json"
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        GoogleKeys(google_kms.KEY, NAME, endpoint="http://127.0.0.1:9", credentials_file=file).current()


def test_a_machine_of_googles_is_known_by_its_metadata_server(service: google_kms.GoogleKms) -> None:
    """In a process of its own, because google-auth reads where that server is when it is imported."""
    code = (
        "import sys; from stead.identity.google_keys import GoogleKeys;"
        "keys = GoogleKeys(sys.argv[1], 'v', endpoint=sys.argv[2]);"
        "assert keys.unwrap(keys.wrap(bytes(32), b'x'), b'x') == bytes(32)"
    )
    host = service.url.removeprefix("http://")
    environment = {**os.environ, "GCE_METADATA_HOST": host, "GCE_METADATA_IP": host}
    subprocess.run([sys.executable, "-c", code, google_kms.KEY, service.url], env=environment, check=True)
    assert [path.rpartition(":")[2] for path, _ in service.requests] == ["encrypt", "decrypt"]


@pytest.mark.parametrize(
    ("data", "expected"), [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (b"", 0)]
)
def test_the_sum_is_castagnolis(data: bytes, expected: int) -> None:
    """RFC 3720 appendix B.4, and the check value of the catalogues."""
    assert crc32c(data) == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": "google"},
        {"keys": "google", "google_key": "vault"},
        {"keys": "google", "google_key": f"{google_kms.KEY}/cryptoKeyVersions/1"},
        {"keys": "google", "google_key": google_kms.KEY, "google_endpoint": "http://k.example"},
    ],
)
def test_half_a_configuration_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"google_key|https"):
        VaultSettings.model_validate(wrong)
