"""RFC 7591, with the values of its section 3."""

from typing import Any

import pytest

from stead.identity.errors import GrantRefused, ProviderUnavailable
from stead.identity.flows import register
from stead.identity.values import AccessToken

ASKED = {"redirect_uris": ["https://client.example.org/callback"], "token_endpoint_auth_method": "private_key_jwt"}


def test_the_request_carries_the_metadata_and_the_initial_access_token(metadata: Any) -> None:
    request = next(register(metadata, ASKED, AccessToken("ey23f2.adfj230.af32-developer321")))
    assert (request.method, request.url, request.json) == ("POST", metadata.registration_endpoint, ASKED)
    assert request.headers["authorization"] == "Bearer ey23f2.adfj230.af32-developer321"


def test_an_open_issuer_needs_no_token(metadata: Any) -> None:
    assert "authorization" not in next(register(metadata, ASKED)).headers


def test_what_was_registered_is_returned_and_the_secret_kept_apart(metadata: Any, finish: Any, answer: Any) -> None:
    body = {**ASKED, "client_id": "s6BhdRkqt3", "client_secret": "cf136dc3c1fc93f31185e5885805d"}
    registered = finish(register(metadata, ASKED), answer(body, 201))
    assert (registered.client_id, registered.client_secret.reveal()) == ("s6BhdRkqt3", "cf136dc3c1fc93f31185e5885805d")
    assert "cf136dc3c1fc93f31185e5885805d" not in f"{registered!r}{registered.metadata}"


def test_a_refusal_is_raised(metadata: Any, finish: Any, answer: Any) -> None:
    body = {"error": "invalid_redirect_uri", "error_description": "One redirection URI is not allowed."}
    with pytest.raises(GrantRefused, match="redirection"):
        finish(register(metadata, ASKED), answer(body, 400))


@pytest.mark.parametrize("body", [{}, {"client_id": ""}, {"client_id": 7}, {"client_id": "c", "client_secret": 7}])
def test_an_answer_that_registers_nothing_is_refused(metadata: Any, finish: Any, answer: Any, body: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(register(metadata, ASKED), answer(body, 201))
