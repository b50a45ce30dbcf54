"""Data keys wrapped by AWS KMS, over its real wire."""

import base64
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.session import Session

from stead.identity import aws_keys, vaults
from stead.identity.aws_keys import AwsKeys
from stead.identity.errors import ConfigurationError, IdentityError, ProviderUnavailable
from stead.identity.home import Home
from stead.identity.values import RefreshToken
from stead.identity.vault import Vault
from stead.identity.vault_keys import Wrapped
from stead.identity.vaults import VaultSettings, open_vault
from tests.parts import aws_kms

ALICE = "http://127.0.0.2:1|alice"
NAME = "broker-vault"


@pytest.fixture(scope="module")
def running() -> Iterator[aws_kms.AwsKms]:
    with aws_kms.serving() as service:
        yield service


@pytest.fixture
def service(running: aws_kms.AwsKms, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> aws_kms.AwsKms:
    """The service, with credentials for it in the environment, and nothing of the machine's own."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": aws_kms.KEY_ID,
        "AWS_SECRET_ACCESS_KEY": aws_kms.SECRET,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "none"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    running.failing = None
    running.requests.clear()
    return running


@pytest.fixture
def operator(service: aws_kms.AwsKms) -> Any:
    """Whoever keeps the keys in AWS, with the key that the alias leads to."""
    client = Session().create_client(
        "kms", aws_kms.REGION, endpoint_url=service.url, config=Config(retries={"total_max_attempts": 1})
    )
    key = client.create_key()["KeyMetadata"]["KeyId"]
    try:
        client.create_alias(AliasName="alias/stead", TargetKeyId=key)
    except client.exceptions.AlreadyExistsException:
        client.update_alias(AliasName="alias/stead", TargetKeyId=key)
    service.requests.clear()
    return client


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def settings(service: aws_kms.AwsKms, operator: Any) -> VaultSettings:
    return VaultSettings(keys="aws", aws_key=service.alias, aws_endpoint=service.url)


@pytest.fixture
def vault(home: Home, settings: VaultSettings) -> Iterator[Vault]:
    vault = open_vault(home, settings, NAME)
    yield vault
    vault.close()


def test_the_service_sees_data_keys_and_never_a_secret_nor_a_person(service: aws_kms.AwsKms, vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", RefreshToken("canary" * 10))
    assert vault.get(ALICE, "t", "subject") == b"canary" * 10
    sent = repr(service.requests)
    assert [operation for operation, _, _ in service.requests] == ["Encrypt", "Encrypt"]
    assert base64.b64encode(b"canary" * 10).decode()[:-4] not in sent
    assert "alice" not in sent


def test_another_process_opens_what_was_wrapped(home: Home, settings: VaultSettings, vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", b"x")
    other = open_vault(home, settings, NAME)
    assert other.get(ALICE, "t", "subject") == b"x"
    other.close()


def test_no_plain_key_lies_in_the_database(home: Home, service: aws_kms.AwsKms, vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", b"x")
    plain = [base64.b64decode(members["Plaintext"]) for _, members, _ in service.requests]
    files = b"".join(path.read_bytes() for path in home.folder("data").iterdir())
    assert len(plain) == 2
    assert not any(key in files for key in plain)


def test_a_wrapped_key_is_bound_to_its_vault_and_its_place(service: aws_kms.AwsKms, operator: Any) -> None:
    keys = AwsKeys(service.alias, NAME, endpoint=service.url)
    wrapped = keys.wrap(bytes(32), b"here")
    assert keys.unwrap(wrapped, b"here") == bytes(32)
    for other, place in ((keys, b"there"), (AwsKeys(service.alias, "web-vault", endpoint=service.url), b"here")):
        with pytest.raises(ConfigurationError, match="InvalidCiphertext"):
            other.unwrap(wrapped, place)


def test_a_rotation_follows_the_alias_and_what_the_old_key_wrapped_still_opens(
    service: aws_kms.AwsKms, operator: Any, home: Home, settings: VaultSettings, vault: Vault
) -> None:
    vault.put(ALICE, "t", "subject", b"x")
    [before] = vault.wrapped_by()
    newer = operator.create_key()["KeyMetadata"]
    operator.update_alias(AliasName="alias/stead", TargetKeyId=newer["KeyId"])
    assert open_and_get(home, settings) == b"x"
    vault.put(ALICE, "u", "subject", b"y")
    assert vault.wrapped_by() == {before: 2, newer["Arn"]: 1}
    entries = open_entries(home)
    done = vaults.rotate(home, settings, NAME)
    assert (done.current, done.moved, done.left) == (newer["Arn"], 2, 0)
    assert open_entries(home) == entries, "no entry is written anew"
    operator.disable_key(KeyId=before.rpartition("/")[2])
    assert open_and_get(home, settings) == b"x"


def open_and_get(home: Home, settings: VaultSettings) -> bytes | None:
    vault = open_vault(home, settings, NAME)
    try:
        return vault.get(ALICE, "t", "subject")
    finally:
        vault.close()


def open_entries(home: Home) -> list[tuple[bytes, ...]]:
    vault = open_vault(home, VaultSettings(), NAME)
    with vault.file.reading() as database:
        rows = database.execute("SELECT * FROM entries ORDER BY place").fetchall()
    vault.close()
    return rows


@pytest.mark.parametrize(
    "stranger",
    [
        "arn:aws:kms:eu-central-1:666666666666:key/2fec1bcf-a216-4bad-a6f7-d3668e4fcc33",
        "arn:aws:kms:us-east-1:123456789012:key/2fec1bcf-a216-4bad-a6f7-d3668e4fcc33",
        "arn:aws-cn:kms:eu-central-1:123456789012:key/2fec1bcf-a216-4bad-a6f7-d3668e4fcc33",
        "0123456789ab",
    ],
)
def test_an_altered_file_does_not_lead_us_to_somebody_elses_key(
    service: aws_kms.AwsKms, operator: Any, stranger: str
) -> None:
    keys = AwsKeys(service.alias, NAME, endpoint=service.url)
    with pytest.raises(ConfigurationError, match="sealed by the key"):
        keys.unwrap(Wrapped(stranger, b"x" * 80), b"here")
    assert service.requests == []


@pytest.mark.parametrize(
    ("failing", "error"),
    [
        ((400, "AccessDeniedException"), ConfigurationError),
        ((400, "DisabledException"), ConfigurationError),
        ((400, "ThrottlingException"), ProviderUnavailable),
        ((400, "<script>alert(1)</script>"), ConfigurationError),
        ((500, "KMSInternalException"), ProviderUnavailable),
        ((503, "ServiceUnavailable"), ProviderUnavailable),
    ],
)
def test_a_service_that_refuses_or_is_away_is_told_apart(
    service: aws_kms.AwsKms, operator: Any, failing: tuple[int, str], error: type[IdentityError]
) -> None:
    service.failing = failing
    with pytest.raises(error) as refused:
        AwsKeys(service.alias, NAME, endpoint=service.url).wrap(bytes(32), b"here")
    told = f"{refused.value.description} {refused.value.hint}"
    assert "made up" not in told
    assert "<" not in told


def test_requests_are_signed_and_a_false_signature_is_a_refusal(
    service: aws_kms.AwsKms, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    with pytest.raises(ConfigurationError, match="InvalidSignature"):
        AwsKeys(service.alias, NAME, endpoint=service.url).current()


def test_without_credentials_it_says_so(
    service: aws_kms.AwsKms, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(ConfigurationError, match="no credentials"):
        AwsKeys(service.alias, NAME, endpoint=service.url).current()


def test_a_service_that_is_gone_is_a_typed_error(
    service: aws_kms.AwsKms, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aws_keys, "ATTEMPTS", 1)
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        AwsKeys(service.alias, NAME, endpoint="http://127.0.0.1:9").current()


def test_an_address_in_the_environment_leads_no_data_key_elsewhere(
    service: aws_kms.AwsKms, operator: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_KMS"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    keys = AwsKeys(service.alias, NAME, endpoint=service.url)
    assert keys.current().startswith("arn:aws:kms:eu-central-1:123456789012:key/")
    with_none = AwsKeys(service.alias, NAME)
    assert with_none._client.meta.endpoint_url == "https://kms.eu-central-1.amazonaws.com"


def test_no_data_key_reaches_a_log_at_any_level(
    service: aws_kms.AwsKms, operator: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    key = b"canary-of-a-data-key-of-32-bytes"
    keys = AwsKeys(service.alias, NAME, endpoint=service.url)
    keys.unwrap(keys.wrap(key, b"here"), b"here")
    assert base64.b64encode(key).decode() not in caplog.text
    assert key.decode() not in caplog.text


@pytest.mark.parametrize(
    "wrong",
    [
        {"keys": "aws"},
        {"keys": "aws", "aws_key": "alias/stead"},
        {"keys": "aws", "aws_key": "arn:aws:s3:::bucket"},
        {"keys": "aws", "aws_key": "arn:aws:kms:eu-central-1:123456789012:alias/x", "aws_endpoint": "http://k.example"},
    ],
)
def test_half_a_configuration_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"aws_key|https"):
        VaultSettings.model_validate(wrong)
