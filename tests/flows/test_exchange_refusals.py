"""Why an exchange was refused, where only the words tell: four sentences are known, and no others are guessed at."""

import json

import pytest

from stead.identity.errors import (
    ConsentRequired,
    GrantRefused,
    IdentityError,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
)
from stead.identity.flows.exchange_refusals import exchanged
from stead.identity.types import Response

ISSUER = "https://login.example.com/realms/finport"


def refused_as(error: str, description: str) -> type[IdentityError]:
    body = json.dumps({"error": error, "error_description": description}).encode()
    with pytest.raises(IdentityError) as refused:
        exchanged(Response(400, {"content-type": "application/json"}, body), ISSUER)
    assert refused.value.details["error"] == error
    return type(refused.value)


@pytest.mark.parametrize(
    ("error", "description", "kind"),
    [
        ("invalid_request", "Invalid token", InvalidGrant),
        ("invalid_request", "Requested audience not available: bank", InvalidTarget),
        ("invalid_client", "Audience not found", InvalidTarget),
        ("invalid_scope", "Missing consents for Token Exchange in client assistant", ConsentRequired),
    ],
)
def test_a_sentence_that_is_known_tells_the_kind(error: str, description: str, kind: type[IdentityError]) -> None:
    assert refused_as(error, description) is kind


@pytest.mark.parametrize(
    ("error", "description"),
    [
        ("invalid_client", "Invalid token"),
        ("invalid_client", "Invalid client or Invalid client credentials"),
        ("invalid_request", "Audience not found"),
        ("invalid_request", "Invalid token type"),
        ("unauthorized_client", "Audience not found"),
    ],
)
def test_any_other_refusal_stays_one(error: str, description: str) -> None:
    assert refused_as(error, description) is GrantRefused


@pytest.mark.parametrize("description", ["Missing consents", "Invalid scopes: registry:admin"])
def test_a_scope_that_is_refused_for_another_reason_is_a_scope(description: str) -> None:
    assert refused_as("invalid_scope", description) is InvalidScope
