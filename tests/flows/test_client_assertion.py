"""RFC 7523: the client proves itself by a signature that is good once, briefly, and at one issuer."""

from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.errors import ConfigurationError
from stead.identity.flows import ClientIdentity, s2s
from stead.identity.flows.client_assertion import ASSERTION_TYPE, authenticated, sign_assertion


def claims_of(assertion: str, key: ECKey) -> dict[str, Any]:
    public = ECKey.import_key(key.as_dict(private=False))
    return jwt.decode(assertion, public, algorithms=["ES256"]).claims


def test_the_assertion_is_for_the_issuer_alone_and_lives_a_minute(client: Any, key: Any, now: Any) -> None:
    claims = claims_of(sign_assertion(client, now), key)
    assert (claims["iss"], claims["sub"], claims["aud"]) == ("s6BhdRkqt3", "s6BhdRkqt3", client.issuer)
    assert claims["exp"] - claims["iat"] <= 60


def test_no_two_assertions_are_the_same(client: Any, key: Any, now: Any) -> None:
    first, second = (claims_of(sign_assertion(client, now), key) for _ in range(2))
    assert first["jti"] != second["jti"]


def test_the_form_carries_the_assertion_and_its_type(client: Any, metadata: Any, now: Any, form_of: Any) -> None:
    form = dict(form_of(authenticated(metadata, "token_endpoint", (), client, now)))
    assert form["client_assertion_type"] == ASSERTION_TYPE
    assert form["client_id"] == client.client_id


def test_a_public_client_only_names_itself(metadata: Any, now: Any, form_of: Any) -> None:
    request = authenticated(metadata, "token_endpoint", (), ClientIdentity("stead-cli", None, metadata.issuer), now)
    assert form_of(request) == [("client_id", "stead-cli")]
    assert "authorization" not in request.headers


def test_a_credential_never_goes_to_another_issuer(key: Any, metadata: Any, now: Any) -> None:
    other = ClientIdentity("broker", key, "https://bank.example.com")
    with pytest.raises(ConfigurationError, match=r"bank\.example\.com"):
        next(s2s(other, metadata, audience="https://x.example", scopes=(), now=now))


def test_neither_key_nor_secret_shows_in_the_repr(client: Any, key: Any) -> None:
    assert str(key.as_dict(private=True)["d"]) not in repr(client)
