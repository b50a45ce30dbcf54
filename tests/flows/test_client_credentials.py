"""RFC 6749 section 4.4, with its values."""

from typing import Any

import pytest

from stead.identity.errors import ConfigurationError, GrantRefused, InvalidScope
from stead.identity.flows import ClientIdentity, Metadata, s2s
from stead.identity.values import Secret

QUOTES = "https://quotes.example.com"


@pytest.fixture
def start(client: Any, metadata: Any, now: Any) -> Any:
    return lambda **changes: s2s(
        **{
            "client": client,
            "metadata": metadata,
            "audience": QUOTES,
            "scopes": ("quotes:read",),
            "now": now,
            **changes,
        }
    )


def test_the_request_names_the_resource_and_the_scope(start: Any, form_of: Any, metadata: Any) -> None:
    request = next(start())
    form = dict(form_of(request))
    assert request.url == metadata.token_endpoint
    assert (form["grant_type"], form["resource"], form["scope"]) == ("client_credentials", QUOTES, "quotes:read")


def test_a_secret_is_sent_as_the_rfc_has_it(start: Any, metadata: Any) -> None:
    client = ClientIdentity("s6BhdRkqt3", None, metadata.issuer, secret=Secret("gX1fBat3bV"))
    assert next(start(client=client)).headers["authorization"] == "Basic czZCaGRSa3F0MzpnWDFmQmF0M2JW"


def test_a_secret_can_go_in_the_body(start: Any, metadata: Any, form_of: Any) -> None:
    client = ClientIdentity("s6BhdRkqt3", None, metadata.issuer, secret=Secret("gX1fBat3bV"), method="post")
    form = dict(form_of(next(start(client=client))))
    assert (form["client_id"], form["client_secret"]) == ("s6BhdRkqt3", "gX1fBat3bV")


def test_the_granted_token_is_returned(start: Any, finish: Any, answer: Any, now: Any) -> None:
    tokens = finish(
        start(), answer({"access_token": "2YotnFZFEjr1zCsicMWpAA", "token_type": "bearer", "expires_in": 3600})
    )
    assert tokens.access_token.reveal() == "2YotnFZFEjr1zCsicMWpAA"
    assert tokens.expires_at == now + 3600
    assert tokens.scope == {"quotes:read"}


def test_a_refresh_token_is_dropped(start: Any, finish: Any, answer: Any) -> None:
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "r"}
    assert finish(start(), answer(body)).refresh_token is None


def test_a_scope_that_was_not_granted_is_no_success(start: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(InvalidScope):
        finish(start(), answer({"access_token": "a", "token_type": "Bearer", "expires_in": 9, "scope": "other"}))


def test_a_client_that_may_not_use_the_grant_is_told(start: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(GrantRefused) as refused:
        finish(start(), answer({"error": "unauthorized_client"}, 400))
    assert refused.value.details["error"] == "unauthorized_client"


def test_an_issuer_without_token_endpoint_is_a_configuration_error(start: Any) -> None:
    with pytest.raises(ConfigurationError, match="token_endpoint"):
        next(start(metadata=Metadata("https://as.example.com")))
