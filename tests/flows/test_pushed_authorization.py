"""RFC 9126, with the values of its section 2.2."""

import json
from dataclasses import replace
from typing import Any

import pytest

from stead.identity.errors import ConfigurationError, GrantRefused, ProviderUnavailable
from stead.identity.flows import begin, push

REFERENCE = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"
DETAILS = [{"type": "payment_initiation", "instructedAmount": {"currency": "EUR", "amount": "123.50"}}]


@pytest.fixture
def pending(client: Any, metadata: Any) -> Any:
    return begin(
        client,
        metadata,
        redirect_uri="https://client.example.org/cb",
        scopes=("openid", "payments"),
        resources=("https://payments.example.com",),
        authorization_details=DETAILS,
    )


def test_everything_is_pushed_behind_the_browser_s_back(
    client: Any, metadata: Any, pending: Any, now: Any, form_of: Any
) -> None:
    request = next(push(client, metadata, pending, now=now))
    form = form_of(request)
    assert request.url == metadata.pushed_authorization_request_endpoint
    assert json.loads(dict(form)["authorization_details"]) == DETAILS
    assert {"state", "nonce", "code_challenge", "redirect_uri", "resource", "scope"} <= dict(form).keys()
    assert [name for name, _ in form].count("client_id") == 1


def test_the_browser_carries_only_the_reference(
    client: Any, metadata: Any, pending: Any, now: Any, finish: Any, answer: Any, query_of: Any
) -> None:
    pushed = finish(push(client, metadata, pending, now=now), answer({"request_uri": REFERENCE, "expires_in": 60}, 201))
    assert query_of(pushed.url) == [("client_id", client.client_id), ("request_uri", REFERENCE)]
    assert (pushed.state, pushed.nonce) == (pending.state, pending.nonce)


def test_a_query_of_the_endpoint_itself_is_not_pushed(client: Any, metadata: Any, now: Any, form_of: Any) -> None:
    odd = replace(metadata, authorization_endpoint="https://as.example.com/authorize?tenant=7")
    pending = begin(client, odd, redirect_uri="https://c/cb", scopes=())
    assert "tenant" not in dict(form_of(next(push(client, odd, pending, now=now))))


def test_a_refusal_is_raised(client: Any, metadata: Any, pending: Any, now: Any, finish: Any, answer: Any) -> None:
    body = {"error": "invalid_authorization_details", "error_description": "The amount is not one."}
    with pytest.raises(GrantRefused, match="amount"):
        finish(push(client, metadata, pending, now=now), answer(body, 400))


@pytest.mark.parametrize("reference", [None, "", 7, "x" * 2000])
def test_an_answer_without_reference_is_refused(
    client: Any, metadata: Any, pending: Any, now: Any, finish: Any, answer: Any, reference: Any
) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(push(client, metadata, pending, now=now), answer({"request_uri": reference}, 201))


def test_an_issuer_that_takes_none_is_a_configuration_error(client: Any, metadata: Any, pending: Any, now: Any) -> None:
    without = replace(metadata, pushed_authorization_request_endpoint=None)
    with pytest.raises(ConfigurationError, match="pushed_authorization_request_endpoint"):
        next(push(client, without, pending, now=now))
