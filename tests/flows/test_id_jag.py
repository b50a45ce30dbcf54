"""Two legs into another domain, reply by reply: what is sent where, and what of an answer is believed."""

from typing import Any
from urllib.parse import urlsplit

import pytest

from stead.identity.errors import (
    ConfigurationError,
    ConsentRequired,
    GrantRefused,
    IdentityError,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.flows import ClientIdentity, Metadata
from stead.identity.flows.id_jag import ID_JAG, Domain, across
from stead.identity.values import AccessToken, BoundToken, Secret

API = "https://api.partner.example"
THERE = "https://as.partner.example"
GRANT = {"issued_token_type": ID_JAG, "token_type": "N_A", "access_token": "the-grant", "expires_in": 300}
TOKEN = {"access_token": "over-there", "token_type": "Bearer", "expires_in": 120, "scope": "deals:read"}


@pytest.fixture
def home(client: ClientIdentity, metadata: Metadata) -> Domain:
    return Domain(client, metadata)


@pytest.fixture
def there(key: Any) -> Domain:
    known = Metadata(THERE, token_endpoint=f"{THERE}/token")
    return Domain(ClientIdentity("broker-there", key, THERE), known)


@pytest.fixture
def flow(home: Domain, there: Domain, now: float) -> Any:
    def begin(**changes: Any) -> Any:
        said: dict[str, Any] = {"subject_token": AccessToken("mine"), "audience": API, "scopes": ("deals:read",)}
        return across(home, changes.pop("there", there), now=now, **{**said, **changes})

    return begin


def test_leg_one_asks_ones_own_provider_for_a_grant_to_the_other_server(flow: Any) -> None:
    request = next(flow())
    sent = dict(request.form)
    assert urlsplit(request.url).hostname == "as.example.com"
    assert sent["requested_token_type"] == "urn:ietf:params:oauth:token-type:id-jag"
    assert (sent["audience"], sent["resource"], sent["scope"]) == (THERE, API, "deals:read")
    assert sent["subject_token_type"] == "urn:ietf:params:oauth:token-type:access_token"
    assert (sent["subject_token"], sent["client_id"]) == ("mine", "s6BhdRkqt3")


@pytest.mark.parametrize("subject", ["id_token", "refresh_token"])
def test_the_client_of_the_sign_in_starts_from_what_it_has(flow: Any, subject: str) -> None:
    sent = dict(next(flow(subject=subject, subject_token=Secret("of-the-login"))).form)
    assert sent["subject_token_type"] == f"urn:ietf:params:oauth:token-type:{subject}"


def test_leg_two_spends_the_grant_there_and_sends_the_persons_token_nowhere(flow: Any, answer: Any) -> None:
    going = flow()
    next(going)
    request = going.send(answer(GRANT))
    sent = dict(request.form)
    assert urlsplit(request.url).hostname == "as.partner.example"
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert (sent["assertion"], sent["resource"], sent["client_id"]) == ("the-grant", API, "broker-there")
    assert "mine" not in sent.values()


def test_both_legs_give_a_token_of_the_other_domain(flow: Any, finish: Any, answer: Any, now: float) -> None:
    tokens = finish(flow(), answer(GRANT), answer({**TOKEN, "refresh_token": "kept-by-nobody"}))
    assert (tokens.access_token.reveal(), tokens.expires_at) == ("over-there", now + 120)
    assert tokens.refresh_token is None


def test_a_bound_token_is_bound_to_the_key_that_was_proven_there(
    flow: Any, finish: Any, answer: Any, there: Domain, key: Any
) -> None:
    proving = Domain(there.client.proving(key), there.metadata)
    tokens = finish(flow(there=proving), answer(GRANT), answer({**TOKEN, "token_type": "DPoP"}))
    assert isinstance(tokens.access_token, BoundToken)


@pytest.mark.parametrize(
    "changes",
    [
        {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"},
        {"issued_token_type": None},
        {"token_type": "Bearer"},
        {"token_type": None},
        {"access_token": ""},
        {"access_token": "two words"},
        {"access_token": ["the-grant"]},
        {"access_token": "x" * 20_000},
    ],
    ids=str,
)
def test_what_is_no_grant_is_sent_to_nobody(flow: Any, finish: Any, answer: Any, changes: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(flow(), answer({**GRANT, **changes}))


NO = [
    ({"error": "invalid_scope"}, InvalidScope),
    ({"error": "invalid_target"}, InvalidTarget),
    ({"error": "invalid_grant"}, InvalidGrant),
    ({"error": "consent_required"}, ConsentRequired),
    ({"error": "insufficient_user_authentication"}, StepUpRequired),
    ({"error": "unauthorized_client"}, GrantRefused),
    ({"error": 7}, ProviderUnavailable),
]


@pytest.mark.parametrize(("body", "kind"), NO, ids=lambda value: str(getattr(value, "__name__", "")))
def test_a_no_of_either_server_is_one_of_ours(
    flow: Any, finish: Any, answer: Any, body: Any, kind: type[IdentityError]
) -> None:
    with pytest.raises(IdentityError) as at_home:
        finish(flow(), answer(body, 400))
    with pytest.raises(IdentityError) as over_there:
        finish(flow(), answer(GRANT), answer(body, 400))
    assert type(at_home.value) is type(over_there.value) is kind


def test_a_stronger_login_is_asked_for_by_a_400_of_leg_one(flow: Any, finish: Any, answer: Any) -> None:
    body = {"error": "insufficient_user_authentication", "max_age": 300, "acr_values": "phr"}
    with pytest.raises(StepUpRequired) as refused:
        finish(flow(), answer(body, 400))
    assert (refused.value.details["max_age"], refused.value.details["acr_values"]) == (300, "phr")
    assert refused.value.details["issuer"] == "https://as.example.com"


@pytest.mark.parametrize("age", [True, -1, "300", 2**40])
def test_a_max_age_that_is_no_number_of_seconds_is_not_relayed(flow: Any, finish: Any, answer: Any, age: Any) -> None:
    with pytest.raises(StepUpRequired) as refused:
        finish(flow(), answer({"error": "insufficient_user_authentication", "max_age": age}, 400))
    assert "max_age" not in refused.value.details


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_that_is_down_is_told_from_one_that_refuses(flow: Any, finish: Any, answer: Any, status: int) -> None:
    with pytest.raises(ProviderUnavailable):
        finish(flow(), answer({"error": "x"}, status))
    with pytest.raises(ProviderUnavailable):
        finish(flow(), answer(GRANT), answer({"error": "x"}, status))


def test_a_token_with_less_than_was_asked_for_is_refused(flow: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(InvalidScope):
        finish(flow(), answer(GRANT), answer({**TOKEN, "scope": "deals:list"}))


def test_our_name_at_one_server_is_not_used_at_another(flow: Any, answer: Any, home: Domain, there: Domain) -> None:
    going = flow(there=Domain(home.client, there.metadata))
    next(going)
    with pytest.raises(ConfigurationError):
        going.send(answer(GRANT))
