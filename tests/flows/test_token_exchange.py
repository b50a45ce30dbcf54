"""RFC 8693, with the values of its section 2.3."""

from dataclasses import replace
from typing import Any

import pytest

from stead.identity.errors import GrantRefused, InvalidScope, InvalidTarget, ProviderUnavailable, StepUpRequired
from stead.identity.flows import ClientIdentity, obo
from stead.identity.values import AccessToken, Secret

SUBJECT_TOKEN = AccessToken("accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC")
BACKEND = "https://backend.example.com/api"
TYPE = "urn:ietf:params:oauth:token-type:access_token"
GRANTED = {
    "access_token": ".".join(
        ("eyJhbGciOiJFUzI1NiIsImtpZCI6IjllciJ9", "eyJhdWQiOiJodHRwczovL2JhY2tlbmQuZXhhbXBsZS5jb20ifQ", "40Y3ZgQ")
    ),
    "issued_token_type": TYPE,
    "token_type": "Bearer",
    "expires_in": 60,
}


@pytest.fixture
def rs08(metadata: Any) -> Any:
    return ClientIdentity("rs08", None, metadata.issuer, secret=Secret("long-secure-random-secret"))


@pytest.fixture
def exchange(rs08: Any, metadata: Any, now: Any) -> Any:
    def start(**changes: Any) -> Any:
        asked = {"subject_token": SUBJECT_TOKEN, "audience": BACKEND, "scopes": (), "now": now, **changes}
        return obo(rs08, metadata, **asked)

    return start


def test_the_request_is_that_of_the_rfc(exchange: Any, metadata: Any) -> None:
    request = next(exchange())
    assert (request.method, request.url) == ("POST", metadata.token_endpoint)
    assert request.headers["authorization"] == "Basic cnMwODpsb25nLXNlY3VyZS1yYW5kb20tc2VjcmV0"
    assert dict(request.form) == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "resource": BACKEND,
        "subject_token": "accVkjcJyb4BWCxGsndESCJQbdFMogUC5PbRDqceLTC",
        "subject_token_type": TYPE,
        "requested_token_type": TYPE,
    }


def test_the_answer_is_that_of_the_rfc(exchange: Any, finish: Any, answer: Any, now: Any) -> None:
    tokens = finish(exchange(), answer(GRANTED))
    assert tokens.access_token.reveal() == GRANTED["access_token"]
    assert tokens.expires_at == now + 60
    assert tokens.issued_token_type == TYPE


def test_no_actor_token_is_sent_because_the_authenticated_client_is_the_actor(exchange: Any) -> None:
    assert not {"actor_token", "actor_token_type"} & {name for name, _ in next(exchange()).form}


def test_scopes_and_task_are_asked_for(exchange: Any) -> None:
    form = dict(next(exchange(scopes=("b:write", "a:read"), txn="task-1")).form)
    assert (form["scope"], form["txn"]) == ("a:read b:write", "task-1")


def test_a_key_signs_instead_of_a_secret(exchange: Any, metadata: Any, client: Any, now: Any, form_of: Any) -> None:
    flow = obo(client, metadata, subject_token=SUBJECT_TOKEN, audience=BACKEND, scopes=(), now=now)
    request = next(flow)
    assert "authorization" not in request.headers
    assert {"client_assertion", "client_assertion_type", "client_id"} <= dict(form_of(request)).keys()


def test_an_answer_of_another_token_type_is_refused(exchange: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(exchange(), answer({**GRANTED, "issued_token_type": "urn:ietf:params:oauth:token-type:refresh_token"}))


def test_a_token_that_is_not_for_presenting_is_refused(exchange: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(exchange(), answer({**GRANTED, "token_type": "N_A"}))


def test_a_refresh_token_that_comes_along_is_dropped(exchange: Any, finish: Any, answer: Any) -> None:
    assert finish(exchange(), answer({**GRANTED, "refresh_token": "r"})).refresh_token is None


def test_less_scope_than_asked_is_no_success(exchange: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(InvalidScope, match=r"did not grant b:write"):
        finish(exchange(scopes=("a:read", "b:write")), answer({**GRANTED, "scope": "a:read"}))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("invalid_target", InvalidTarget),
        ("invalid_scope", InvalidScope),
        ("invalid_request", GrantRefused),
        ("insufficient_user_authentication", StepUpRequired),
    ],
)
def test_a_refusal_keeps_its_code_sentence_and_hint(
    exchange: Any, finish: Any, answer: Any, code: Any, error: Any
) -> None:
    body = {"error": code, "error_description": "Bob Lindqvist may not.", "hint": "Ask for the role payer."}
    with pytest.raises(error) as refused:
        finish(exchange(), answer(body, 400))
    assert (refused.value.description, refused.value.hint) == ("Bob Lindqvist may not.", "Ask for the role payer.")
    assert refused.value.details["error"] == code


def test_no_credential_shows_in_a_request_s_repr(exchange: Any) -> None:
    request = replace(next(exchange()), headers={})
    assert SUBJECT_TOKEN.reveal() not in repr(request)
