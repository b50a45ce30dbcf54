"""A client that proves itself by a certificate, as Entra has it: the certificate's digest tells which key signed."""

import json
import stat
from base64 import urlsafe_b64decode, urlsafe_b64encode
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from joserfc import jwt

from stead.identity.certificates import certified
from stead.identity.errors import ConfigurationError
from stead.identity.flows import ClientIdentity
from stead.identity.flows.client_assertion import ASSERTION_TYPE, authenticated
from stead.identity.home import Home
from stead.identity.issuer_settings import IssuerSettings

APP = "6731de76-14a6-49ae-97bc-6eba6914391e"


@pytest.fixture
def by_certificate(tmp_path: Path, metadata: Any) -> ClientIdentity:
    said = {"issuer": metadata.issuer, "client_auth": "certificate_jwt", "clients": {"broker": {"client_id": APP}}}
    issuer = IssuerSettings.model_validate(said)
    return issuer.client_named("broker", Home(tmp_path))


def assertion_of(client: ClientIdentity, metadata: Any, now: Any, form_of: Any) -> str:
    form = dict(form_of(authenticated(metadata, "token_endpoint", (), client, now)))
    assert (form["client_assertion_type"], form["client_id"]) == (ASSERTION_TYPE, APP)
    assert "client_secret" not in form
    return str(form["client_assertion"])


def test_it_is_signed_with_the_key_of_the_certificate_that_its_header_tells(
    by_certificate: ClientIdentity, tmp_path: Path, metadata: Any, now: Any, form_of: Any
) -> None:
    text = assertion_of(by_certificate, metadata, now, form_of)
    own = certified(Home(tmp_path), "broker")
    digest = urlsafe_b64encode(sha256(own.certificate).digest()).rstrip(b"=").decode()
    head = json.loads(urlsafe_b64decode(text.partition(".")[0] + "=="))
    assert head == {"alg": "PS256", "typ": "JWT", "x5t#S256": digest}
    claims = jwt.decode(text, own.key, algorithms=["PS256"]).claims
    assert (claims["iss"], claims["sub"], claims["aud"]) == (APP, APP, metadata.issuer)
    assert claims["exp"] - claims["nbf"] <= 60


def test_no_two_are_the_same(by_certificate: ClientIdentity, metadata: Any, now: Any, form_of: Any) -> None:
    first, second = (assertion_of(by_certificate, metadata, now, form_of) for _ in range(2))
    assert first != second


def test_the_certificate_stays_and_its_file_is_for_us_alone(tmp_path: Path) -> None:
    home = Home(tmp_path)
    first = certified(home, "broker")
    assert certified(Home(tmp_path), "broker").certificate == first.certificate
    assert certified(home, "trail").certificate != first.certificate
    assert stat.S_IMODE((tmp_path / "keys" / "broker.pem").stat().st_mode) == 0o600
    read = x509.load_der_x509_certificate(first.certificate)
    assert read.subject.rfc4514_string() == "CN=broker"


def test_a_certificate_of_another_key_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path)
    for name in ("broker", "trail"):
        certified(home, name)
    key, _, _ = (tmp_path / "keys" / "broker.pem").read_bytes().partition(b"-----BEGIN CERTIFICATE")
    _, mark, certificate = (tmp_path / "keys" / "trail.pem").read_bytes().partition(b"-----BEGIN CERTIFICATE")
    (tmp_path / "keys" / "broker.pem").write_bytes(key + mark + certificate)
    with pytest.raises(ConfigurationError, match="broker"):
        certified(home, "broker")


def test_neither_key_nor_certificate_shows_in_the_repr(by_certificate: ClientIdentity, tmp_path: Path) -> None:
    shown = repr(by_certificate) + repr(certified(Home(tmp_path), "broker"))
    assert "PRIVATE" not in shown
    assert "RSAKey" not in shown
