"""RFC 6749 section 6, with its values, and RFC 8707: one resource at a time."""

from typing import Any

import pytest

from stead.identity.errors import InvalidGrant, InvalidScope
from stead.identity.flows import renew
from stead.identity.values import RefreshToken

OLD = RefreshToken("tGzv3JOkF0XG5Qx2TlKWIA")
BROKER = "http://127.0.0.1:8400"


@pytest.fixture
def start(client: Any, metadata: Any, now: Any) -> Any:
    return lambda **changes: renew(client, metadata, OLD, now=now, **changes)


def test_the_request_is_that_of_the_rfc(start: Any, form_of: Any) -> None:
    form = dict(form_of(next(start(resource=BROKER, scopes=("broker:ask",)))))
    assert (form["grant_type"], form["refresh_token"]) == ("refresh_token", "tGzv3JOkF0XG5Qx2TlKWIA")
    assert (form["resource"], form["scope"]) == (BROKER, "broker:ask")


def test_a_rotated_refresh_token_replaces_the_old_one(start: Any, finish: Any, answer: Any) -> None:
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "refresh_token": "new"}
    assert finish(start(), answer(body)).refresh_token.reveal() == "new"


def test_an_unrotated_refresh_token_stays_good(start: Any, finish: Any, answer: Any) -> None:
    assert (
        finish(start(), answer({"access_token": "a", "token_type": "Bearer", "expires_in": 300})).refresh_token is OLD
    )


def test_a_family_that_was_revoked_is_told(start: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(InvalidGrant):
        finish(start(), answer({"error": "invalid_grant", "error_description": "It was used before."}, 400))


def test_less_scope_than_asked_is_no_success(start: Any, finish: Any, answer: Any) -> None:
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "scope": "openid"}
    with pytest.raises(InvalidScope):
        finish(start(scopes=("broker:ask",)), answer(body))


def test_an_id_token_that_comes_along_is_not_believed(start: Any, finish: Any, answer: Any) -> None:
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "id_token": "x.y.z"}
    assert finish(start(), answer(body)).id_token is None
