"""Replies of a token endpoint that is broken, or hostile: none of it gets further than one error."""

from typing import Any

import pytest

from stead.identity.errors import GrantRefused, IdentityError, InvalidRequest, ProviderUnavailable
from stead.identity.flows.wire import origin, refusal, sentence, successful, token_set

SENDER = "https://as.example.com"
GOOD = {"access_token": "SlAV32hkKG", "token_type": "Bearer", "expires_in": 300}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b'{"access_token": "a", "access_token": "b"}',
        b'{"expires_in": NaN}',
        b'\xef\xbb\xbf{"access_token": "a"}',
        b'{"a":' * 100_000,
        b'{"a": "' + b"x" * 300_000 + b'"}',
        b'{"a": "\xff"}',
    ],
)
def test_a_body_that_is_no_plain_json_object_is_unusable(answer: Any, body: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        successful(answer(body), SENDER)


@pytest.mark.parametrize("content_type", ["", "text/html", "application/x-www-form-urlencoded", "application/jsonp"])
def test_a_body_of_another_type_is_unusable(answer: Any, content_type: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        successful(answer(GOOD, content_type=content_type), SENDER)


@pytest.mark.parametrize("status", [201, 204, 301, 307, 429, 500, 503])
def test_a_token_under_another_status_is_not_taken(answer: Any, status: Any) -> None:
    with pytest.raises(IdentityError):
        successful(answer(GOOD, status), SENDER)


@pytest.mark.parametrize(
    "changes",
    [
        {"token_type": "example"},
        {"token_type": "DPoP"},
        {"token_type": None},
        {"access_token": ""},
        {"access_token": None},
        {"access_token": 7},
        {"access_token": "two words"},
        {"access_token": "line\nbreak"},
        {"access_token": "x" * 20_000},
        {"refresh_token": ""},
        {"expires_in": 0},
        {"expires_in": -1},
        {"expires_in": True},
        {"expires_in": "300"},
        {"expires_in": 1e9},
        {"expires_in": 2**40},
        {"scope": ["a"]},
    ],
)
def test_a_malformed_member_makes_the_answer_unusable(changes: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        token_set({**GOOD, **changes}, SENDER, asked=(), now=0)


def test_a_token_whose_life_is_not_told_is_trusted_briefly() -> None:
    body = {name: value for name, value in GOOD.items() if name != "expires_in"}
    assert token_set(body, SENDER, asked=("a",), now=0).expires_at <= 60


def test_an_error_without_code_is_no_refusal() -> None:
    assert isinstance(refusal({"error": 7}, SENDER), ProviderUnavailable)
    assert isinstance(refusal({}, SENDER), ProviderUnavailable)


def test_an_unknown_code_is_a_refusal_by_that_name() -> None:
    refused = refusal({"error": "invalid_dpop_proof"}, SENDER)
    assert type(refused) is GrantRefused
    assert refused.details["error"] == "invalid_dpop_proof"


@pytest.mark.parametrize("text", ["eyJhbGciOiJFUzI1NiJ9.x.y", "a\nb", "x" * 500, "", 7, None, "\x1b[31m"])
def test_another_party_s_words_are_shown_only_when_they_are_fit(text: Any) -> None:
    assert sentence(text) is None


def test_the_debug_text_never_reaches_the_description(answer: Any) -> None:
    with pytest.raises(ProviderUnavailable) as failure:
        successful(answer(b"secret-looking", content_type="text/secret"), SENDER)
    assert "secret" not in failure.value.description
    assert failure.value.description == "as.example.com gave no usable answer."


@pytest.mark.parametrize(
    "url", ["", "ftp://a", "//a", "a:80", "http://", "http://u@a", "http://u:p@a", "http://a:x", "http://[::1"]
)
def test_what_has_no_origin_is_refused(url: Any) -> None:
    with pytest.raises(InvalidRequest):
        origin(url)


def test_default_ports_are_the_same_origin() -> None:
    assert origin("https://A.example/x") == origin("https://a.example:443")
    assert origin("http://a.example") != origin("https://a.example")
