"""One question, in the words that each kind of issuer understands; and its no, by the same few kinds everywhere."""

import base64
import json
import re
from typing import Any

import pytest

from stead.identity.errors import (
    ConsentRequired,
    GrantRefused,
    IdentityError,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.flows.dialects import Asked, as_itself, on_behalf_of, renewed
from stead.identity.flows.proof import with_nonce
from stead.identity.flows.token_exchange import obo
from stead.identity.replies import challenge
from stead.identity.types import Response
from stead.identity.values import AccessToken, BoundToken, RefreshToken

SUBJECT = AccessToken("subject-token")
API = "api://transfer"
GRANTED = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "next-token"}
CLAIMS = '{"access_token":{"polids":{"essential":true,"values":["9ab03e19"]}}}'


@pytest.fixture
def asked(client: Any, metadata: Any, now: float) -> Any:
    def build(**changes: Any) -> Asked:
        said = {"audience": API, "scopes": ("Transfer.Create",), "now": now, "subject_token": SUBJECT, **changes}
        return Asked(client, metadata, **said)

    return build


def form(flow: Any) -> dict[str, str]:
    return dict(next(flow).form)


def finished(flow: Any, body: dict[str, Any]) -> Any:
    """What the flow makes of a success."""
    with pytest.raises(StopIteration) as done:
        flow.send(Response(200, {"content-type": "application/json"}, json.dumps(body).encode()))
    return done.value.value


@pytest.mark.parametrize(
    ("target_by", "parameter"), [("resource", {"resource": API}), ("audience", {"audience": API}), ("scope", {})]
)
def test_a_target_is_named_as_the_issuer_wants_it(asked: Any, target_by: str, parameter: dict[str, str]) -> None:
    for flow in (on_behalf_of, as_itself):
        sent = form(flow("rfc8693", asked(target_by=target_by)))
        assert {name: sent[name] for name in ("resource", "audience") if name in sent} == parameter
        assert sent["scope"] == "Transfer.Create"


# --- Entra ---------------------------------------------------------------------------------------------------------


def test_at_entra_a_renewal_names_its_service_by_the_scopes(client: Any, metadata: Any, now: float) -> None:
    scopes = (f"{API}/Transfer.Create",)
    flow = renewed("entra", client, metadata, RefreshToken("old"), now=now, resource="https://trail", scopes=scopes)
    sent = form(flow)
    assert (sent["grant_type"], sent["refresh_token"]) == ("refresh_token", "old")
    assert sent["scope"] == f"openid profile offline_access {API}/Transfer.Create"
    assert "resource" not in sent
    tokens = finished(flow, {**GRANTED, "scope": f"{API}/Transfer.Create"})
    assert (tokens.scope, tokens.refresh_token.reveal()) == ({"Transfer.Create"}, "old")


def test_elsewhere_it_names_it_by_a_resource(client: Any, metadata: Any, now: float) -> None:
    sent = form(renewed("rfc8693", client, metadata, RefreshToken("old"), now=now, resource="https://trail"))
    assert (sent["resource"], "scope" in sent) == ("https://trail", False)


def test_a_login_that_ran_out_at_entra_is_a_dead_credential(client: Any, metadata: Any, now: float) -> None:
    flow = renewed("entra", client, metadata, RefreshToken("old"), now=now, scopes=("api://x/y",))
    next(flow)
    refusal = {"error": "invalid_grant", "error_codes": [700082], "error_description": "AADSTS700082: It expired."}
    with pytest.raises(InvalidGrant):
        flow.send(Response(400, {"content-type": "application/json"}, json.dumps(refusal).encode()))


def test_entra_is_asked_with_a_jwt_bearer_grant(asked: Any) -> None:
    sent = form(on_behalf_of("entra", asked()))
    assert sent["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    assert (sent["assertion"], sent["requested_token_use"]) == ("subject-token", "on_behalf_of")
    assert sent["scope"] == "api://transfer/Transfer.Create"
    assert {"client_assertion", "client_assertion_type"} <= sent.keys()
    assert not {"subject_token", "resource", "audience"} & sent.keys()


def test_entra_takes_long_scopes_as_they_are_and_none_for_all(asked: Any) -> None:
    assert form(on_behalf_of("entra", asked(scopes=("https://graph.example/Mail.Read",))))["scope"] == (
        "https://graph.example/Mail.Read"
    )
    assert form(on_behalf_of("entra", asked(scopes=())))["scope"] == "api://transfer/.default"


def test_a_service_asks_entra_for_what_it_was_granted(asked: Any) -> None:
    sent = form(as_itself("entra", asked(subject_token=None)))
    assert (sent["grant_type"], sent["scope"]) == ("client_credentials", "api://transfer/.default")


def test_entras_answer_is_read_by_its_short_names(asked: Any, finish: Any, answer: Any, now: float) -> None:
    body = {**GRANTED, "scope": "api://transfer/Transfer.Create api://transfer/Transfer.Read"}
    tokens = finish(on_behalf_of("entra", asked()), answer(body))
    assert tokens.scope == {"Transfer.Create", "Transfer.Read"}
    assert (tokens.access_token.reveal(), tokens.expires_at) == ("next-token", now + 3599)


def entra_error(code: str, number: int, **more: Any) -> dict[str, Any]:
    text = (
        f"AADSTS{number}: Something is not as it should be. Trace ID: 0a1b Correlation ID: 2c3d Timestamp: 2026-11-25"
    )
    return {
        "error": code,
        "error_description": text,
        "error_codes": [number],
        "timestamp": "2026-11-25 10:00:00Z",
        "trace_id": "0a1b",
        "correlation_id": "2c3d",
        **more,
    }


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (entra_error("invalid_grant", 65001, suberror="consent_required"), ConsentRequired),
        (entra_error("invalid_grant", 1, suberror="consent_required"), ConsentRequired),
        (entra_error("interaction_required", 50076, claims=CLAIMS), StepUpRequired),
        (entra_error("interaction_required", 50079), StepUpRequired),
        (entra_error("interaction_required", 53003, claims=CLAIMS), StepUpRequired),
        (entra_error("invalid_grant", 50013), InvalidGrant),
        (entra_error("invalid_grant", 500133), InvalidGrant),
        (entra_error("invalid_grant", 50173), InvalidGrant),
        (entra_error("invalid_scope", 70011), InvalidScope),
        (entra_error("invalid_resource", 500011), InvalidTarget),
        (entra_error("temporarily_unavailable", 90033), ProviderUnavailable),
        (entra_error("unauthorized_client", 700016), GrantRefused),
        (entra_error("invalid_client", 7000215), GrantRefused),
        ({"error": "invalid_grant"}, InvalidGrant),
        ({"error": "invalid_grant", "error_codes": "65001", "suberror": ["consent_required"]}, InvalidGrant),
    ],
    ids=lambda value: str(value.get("error_codes", "")) if isinstance(value, dict) else value.__name__,
)
def test_entras_no_is_one_of_ours(asked: Any, finish: Any, answer: Any, body: Any, kind: type[IdentityError]) -> None:
    with pytest.raises(IdentityError) as refused:
        finish(on_behalf_of("entra", asked()), answer(body, 400))
    assert type(refused.value) is kind
    assert "Trace ID" not in refused.value.description


def test_entras_challenge_is_kept_for_whoever_signed_the_person_in(asked: Any, finish: Any, answer: Any) -> None:
    with pytest.raises(StepUpRequired) as refused:
        finish(on_behalf_of("entra", asked()), answer(entra_error("interaction_required", 50076, claims=CLAIMS), 400))
    assert json.loads(refused.value.details["claims"])["access_token"]["polids"]["essential"]


def test_entras_challenge_is_relayed_to_the_caller_as_entras_clients_read_it() -> None:
    relayed = challenge("https://api.example", (), StepUpRequired("A second factor is needed.", claims=CLAIMS))
    said = re.search(r'claims="([^"]+)"', relayed)
    assert said
    assert base64.b64decode(said[1]).decode() == CLAIMS


@pytest.mark.parametrize("claims", ["x" * 5000, 7, "a\x00b", ["a"]], ids=["long", "a number", "a control", "a list"])
def test_a_challenge_that_cannot_be_relayed_is_dropped(asked: Any, finish: Any, answer: Any, claims: object) -> None:
    with pytest.raises(StepUpRequired) as refused:
        finish(on_behalf_of("entra", asked()), answer(entra_error("interaction_required", 50076, claims=claims), 400))
    assert "claims" not in refused.value.details


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_provider_that_is_down_is_told_from_one_that_refuses(
    asked: Any, finish: Any, answer: Any, status: int
) -> None:
    for dialect in ("rfc8693", "entra"):
        with pytest.raises(ProviderUnavailable):
            finish(on_behalf_of(dialect, asked()), answer({"error": "x"}, status))


# --- a nonce that the server wants ---------------------------------------------------------------------------------


def test_a_proof_is_made_anew_with_the_servers_nonce(client: Any, metadata: Any, now: float, finish: Any) -> None:
    proving = client.proving(client.key)
    flow = obo(proving, metadata, subject_token=SUBJECT, audience=API, scopes=(), now=now)
    wanted = Response(400, {"content-type": "application/json", "dpop-nonce": "n-1"}, b'{"error": "use_dpop_nonce"}')
    kind = "urn:ietf:params:oauth:token-type:access_token"
    body = {"access_token": "next", "token_type": "DPoP", "issued_token_type": kind, "expires_in": 60}
    granted = Response(200, {"content-type": "application/json"}, json.dumps(body).encode())
    tokens = finish(with_nonce(flow, lambda: now), wanted, granted)
    assert isinstance(tokens.access_token, BoundToken)


def test_a_server_that_wants_nonces_for_ever_is_refused(client: Any, metadata: Any, now: float, finish: Any) -> None:
    flow = obo(client.proving(client.key), metadata, subject_token=SUBJECT, audience=API, scopes=(), now=now)
    wanted = Response(400, {"content-type": "application/json", "dpop-nonce": "n-1"}, b'{"error": "use_dpop_nonce"}')
    with pytest.raises(GrantRefused):
        finish(with_nonce(flow, lambda: now), wanted, wanted)


def test_a_bound_token_that_nobody_asked_for_is_refused(
    client: Any, metadata: Any, now: float, finish: Any, answer: Any
) -> None:
    flow = obo(client, metadata, subject_token=SUBJECT, audience=API, scopes=(), now=now)
    kind = "urn:ietf:params:oauth:token-type:access_token"
    with pytest.raises(ProviderUnavailable):
        finish(flow, answer({"access_token": "next", "token_type": "DPoP", "issued_token_type": kind}))
