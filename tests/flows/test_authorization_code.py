"""Authorization code with PKCE: RFC 6749 s4.1, RFC 7636, RFC 9207 and OpenID Connect Core s3.1."""

import json
from dataclasses import replace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, OctKey

from stead.identity.errors import (
    AccessDenied,
    GrantRefused,
    InvalidGrant,
    InvalidRequest,
    InvalidToken,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.flows import (
    AuthorizationCode,
    AuthorizationRequest,
    ClientIdentity,
    begin,
    redeem,
    validate_callback,
)
from stead.identity.flows.authorization_code import code_challenge, verify_id_token

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
BROKER = "http://127.0.0.1:8400"


@pytest.fixture
def pending(client: Any, metadata: Any) -> Any:
    return begin(
        client,
        metadata,
        redirect_uri="https://client.example.com/callback",
        scopes=("openid", "broker:ask"),
        resources=(BROKER, "http://127.0.0.6:8401"),
    )


@pytest.fixture
def id_token(key: Any, pending: Any, now: Any) -> Any:
    def signed(typ: Any = "JWT", signed_by: Any = key, without: Any = (), **changes: Any) -> Any:
        claims = {
            "iss": pending.issuer,
            "sub": "248289761001",
            "aud": pending.client_id,
            "nonce": pending.nonce,
            "iat": int(now),
            "exp": int(now) + 600,
            **changes,
        }
        kept = {name: value for name, value in claims.items() if name not in without}
        header = {"alg": "ES256", "typ": typ, "kid": key.kid}
        return jwt.encode(header, kept, signed_by, algorithms=["ES256"])

    return signed


@pytest.fixture
def redeemed(client: Any, metadata: Any, pending: Any, key: Any, now: Any, finish: Any, answer: Any) -> Any:
    """Redeems a code for an answer with this ID token."""

    def run(token: Any, pending: Any = pending, **changes: Any) -> Any:
        body = {"access_token": "SlAV32hkKG", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "8xLOxBtZp8"}
        keys = {"keys": [key.as_dict(private=False)]}
        flow = redeem(client, metadata, pending, AuthorizationCode("SplxlOBeZQQYbYS6WxSbIA"), now=now)
        return finish(flow, answer({**body, "id_token": token, **changes}), answer(keys))

    return run


def test_the_challenge_is_that_of_rfc_7636_appendix_b() -> None:
    assert code_challenge(VERIFIER) == "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def test_the_url_carries_pkce_state_nonce_and_every_resource(pending: Any, query_of: Any) -> None:
    query = query_of(pending.url)
    assert pending.url.startswith("https://as.example.com/authorize?")
    assert [value for name, value in query if name == "resource"] == [BROKER, "http://127.0.0.6:8401"]
    parameters = dict(query)
    assert parameters["code_challenge"] == code_challenge(pending.code_verifier.reveal())
    assert (parameters["code_challenge_method"], parameters["response_type"]) == ("S256", "code")
    assert (parameters["state"], parameters["nonce"]) == (pending.state, pending.nonce)


def test_the_verifier_has_the_length_that_the_rfc_wants_and_is_never_in_the_url(pending: Any) -> None:
    assert 43 <= len(pending.code_verifier.reveal()) <= 128
    assert pending.code_verifier.reveal() not in pending.url


def test_nothing_is_used_twice(client: Any, metadata: Any) -> None:
    requests = [begin(client, metadata, redirect_uri="https://c/cb", scopes=()) for _ in range(50)]
    for name in ("state", "nonce"):
        assert len({getattr(request, name) for request in requests}) == 50
    assert len({request.code_verifier.reveal() for request in requests}) == 50


def test_a_query_that_the_endpoint_already_has_stays(client: Any, metadata: Any, query_of: Any) -> None:
    odd = replace(metadata, authorization_endpoint="https://as.example.com/authorize?tenant=7")
    assert ("tenant", "7") in query_of(begin(client, odd, redirect_uri="https://c/cb", scopes=()).url)


def test_what_is_to_be_approved_and_how_fresh_the_login_must_be_are_asked(
    client: Any, metadata: Any, query_of: Any
) -> None:
    details = [{"type": "payment_initiation", "instructedAmount": {"currency": "EUR", "amount": "123.50"}}]
    pending = begin(
        client,
        metadata,
        redirect_uri="https://c/cb",
        scopes=("payments",),
        authorization_details=details,
        max_age=60,
        extra={"login_hint": "nb-1001"},
    )
    parameters = dict(query_of(pending.url))
    assert json.loads(parameters["authorization_details"]) == details
    assert (parameters["max_age"], parameters["login_hint"]) == ("60", "nb-1001")


def test_it_survives_being_stored(pending: Any) -> None:
    stored = json.loads(json.dumps(pending.to_json()))
    restored = AuthorizationRequest.from_json(stored)
    assert restored.code_verifier.reveal() == pending.code_verifier.reveal()
    assert replace(restored, code_verifier=pending.code_verifier) == pending


@pytest.mark.parametrize("stored", [{}, {"url": "x"}, {"scopes": 7}])
def test_a_store_that_holds_something_else_is_noticed(stored: Any) -> None:
    with pytest.raises(InvalidRequest):
        AuthorizationRequest.from_json(stored)


def test_neither_verifier_nor_state_nor_nonce_shows_in_the_repr(pending: Any) -> None:
    shown = repr(replace(pending, url=""))
    assert not any(secret in shown for secret in (pending.code_verifier.reveal(), pending.state, pending.nonce))


def test_the_code_of_a_true_callback_is_returned(pending: Any) -> None:
    callback = [("code", "SplxlOBeZQQYbYS6WxSbIA"), ("state", pending.state), ("iss", pending.issuer)]
    assert validate_callback(pending, callback).reveal() == "SplxlOBeZQQYbYS6WxSbIA"
    assert validate_callback(pending, dict(callback)).reveal() == "SplxlOBeZQQYbYS6WxSbIA"


@pytest.mark.parametrize("state", [None, "", "another", "x" * 5000, "ä"])
def test_a_callback_forged_across_sites_is_refused(pending: Any, state: Any) -> None:
    callback = {"code": "attacker", "iss": pending.issuer, **({} if state is None else {"state": state})}
    with pytest.raises(InvalidRequest, match="no request of this browser"):
        validate_callback(pending, callback)


@pytest.mark.parametrize("issuer", [None, "", "https://bank.example.com", "https://as.example.com/"])
def test_a_mix_up_of_issuers_is_refused(pending: Any, issuer: Any) -> None:
    callback = {"code": "c", "state": pending.state, **({} if issuer is None else {"iss": issuer})}
    with pytest.raises(InvalidRequest):
        validate_callback(pending, callback)


def test_an_issuer_that_never_promised_to_name_itself_need_not(pending: Any) -> None:
    assert validate_callback(replace(pending, states_issuer=False), {"code": "c", "state": pending.state})


@pytest.mark.parametrize("name", ["code", "state", "iss", "error"])
def test_a_repeated_parameter_is_refused(pending: Any, name: Any) -> None:
    callback = [("code", "c"), ("state", pending.state), ("iss", pending.issuer), (name, "again"), (name, "again")]
    with pytest.raises(InvalidRequest, match="repeats"):
        validate_callback(pending, callback)


@pytest.mark.parametrize("code", ["", "x" * 3000])
def test_a_callback_without_a_usable_code_is_refused(pending: Any, code: Any) -> None:
    with pytest.raises(InvalidRequest, match="no code"):
        validate_callback(pending, {"code": code, "state": pending.state, "iss": pending.issuer})


@pytest.mark.parametrize(
    ("error", "expected"),
    [("access_denied", AccessDenied), ("login_required", StepUpRequired), ("server_error", ProviderUnavailable)],
)
def test_a_stated_error_is_raised_as_what_it_is(pending: Any, error: Any, expected: Any) -> None:
    callback = {"error": error, "error_description": "No.", "state": pending.state, "iss": pending.issuer}
    with pytest.raises(expected, match=r"No\."):
        validate_callback(pending, callback)


def test_an_error_with_a_foreign_state_is_not_believed(pending: Any) -> None:
    with pytest.raises(InvalidRequest):
        validate_callback(pending, {"error": "access_denied", "state": "another", "iss": pending.issuer})


def test_the_redemption_proves_possession_of_the_verifier(
    client: Any, metadata: Any, pending: Any, now: Any, form_of: Any
) -> None:
    form = form_of(next(redeem(client, metadata, pending, AuthorizationCode("c"), now=now)))
    assert dict(form)["code_verifier"] == pending.code_verifier.reveal()
    assert dict(form)["redirect_uri"] == pending.redirect_uri
    assert [value for name, value in form if name == "resource"] == [BROKER]


def test_another_of_the_resources_can_be_redeemed_for(
    client: Any, metadata: Any, pending: Any, now: Any, form_of: Any
) -> None:
    flow = redeem(client, metadata, pending, AuthorizationCode("c"), now=now, resource="http://127.0.0.6:8401")
    assert dict(form_of(next(flow)))["resource"] == "http://127.0.0.6:8401"


def test_a_code_is_never_sent_to_another_issuer(client: Any, metadata: Any, pending: Any, now: Any) -> None:
    elsewhere = replace(metadata, issuer="https://bank.example.com")
    with pytest.raises(InvalidGrant):
        next(redeem(replace(client, issuer=elsewhere.issuer), elsewhere, pending, AuthorizationCode("c"), now=now))


def test_a_code_is_never_redeemed_by_another_client(metadata: Any, pending: Any, now: Any) -> None:
    other = ClientIdentity("other", None, metadata.issuer)
    with pytest.raises(InvalidGrant):
        next(redeem(other, metadata, pending, AuthorizationCode("c"), now=now))


def test_the_tokens_come_with_verified_claims(redeemed: Any, id_token: Any, now: Any) -> None:
    tokens = redeemed(id_token(name="Alice Moreau"))
    assert (tokens.access_token.reveal(), tokens.refresh_token.reveal()) == ("SlAV32hkKG", "8xLOxBtZp8")
    assert tokens.id_token["sub"] == "248289761001"
    assert tokens.expires_at == now + 3600


def test_no_token_shows_in_the_repr(redeemed: Any, id_token: Any) -> None:
    shown = repr(redeemed(id_token(name="Alice Moreau")))
    assert not any(text in shown for text in ("SlAV32hkKG", "8xLOxBtZp8", "Alice"))


def test_without_openid_no_id_token_is_asked_or_believed(
    client: Any, metadata: Any, now: Any, finish: Any, answer: Any
) -> None:
    pending = begin(client, metadata, redirect_uri="https://c/cb", scopes=("payments",))
    flow = redeem(client, metadata, pending, AuthorizationCode("c"), now=now)
    tokens = finish(flow, answer({"access_token": "a", "token_type": "Bearer", "expires_in": 9, "id_token": "x.y.z"}))
    assert tokens.id_token is None


def test_the_approved_details_are_returned(client: Any, metadata: Any, now: Any, finish: Any, answer: Any) -> None:
    pending = begin(client, metadata, redirect_uri="https://c/cb", scopes=("payments",))
    details = [{"type": "payment_initiation", "debtorAccount": {"iban": "DE50"}}]
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "authorization_details": details}
    flow = redeem(client, metadata, pending, AuthorizationCode("c"), now=now)
    assert finish(flow, answer(body)).authorization_details == tuple(details)


@pytest.mark.parametrize("details", [{}, "x", [7], [{}], [{"type": 7}]])
def test_details_that_are_none_are_refused(
    client: Any, metadata: Any, now: Any, finish: Any, answer: Any, details: Any
) -> None:
    pending = begin(client, metadata, redirect_uri="https://c/cb", scopes=("payments",))
    body = {"access_token": "a", "token_type": "Bearer", "expires_in": 300, "authorization_details": details}
    with pytest.raises(ProviderUnavailable):
        finish(redeem(client, metadata, pending, AuthorizationCode("c"), now=now), answer(body))


def test_a_login_without_id_token_is_refused(redeemed: Any) -> None:
    with pytest.raises(ProviderUnavailable):
        redeemed(None)


@pytest.mark.parametrize(
    "changes",
    [
        {"nonce": "of another login"},
        {"without": ("nonce",)},
        {"aud": "another-client"},
        {"aud": ["another-client"]},
        {"iss": "https://bank.example.com"},
        {"exp": 1},
        {"typ": "at+jwt"},
        {"azp": "another-client"},
        {"without": ("sub",)},
    ],
)
def test_an_id_token_that_answers_something_else_is_refused(redeemed: Any, id_token: Any, changes: Any) -> None:
    with pytest.raises(InvalidToken):
        redeemed(id_token(**changes))


def test_an_id_token_signed_by_somebody_else_is_refused(redeemed: Any, id_token: Any) -> None:
    with pytest.raises(InvalidToken):
        redeemed(id_token(signed_by=ECKey.generate_key("P-256")))


def test_an_id_token_made_with_a_secret_that_anybody_can_fetch_is_refused(pending: Any, now: Any) -> None:
    """Even where somebody had HMAC accepted: a published key set holds public keys."""
    key = OctKey.generate_key(256, {"use": "sig", "kid": "k"})
    claims = {"iss": pending.issuer, "aud": pending.client_id, "sub": "s", "nonce": pending.nonce, "iat": now}
    token = jwt.encode({"alg": "HS256", "typ": "JWT", "kid": "k"}, {**claims, "exp": now + 60}, key)
    with pytest.raises(InvalidToken):
        verify_id_token(token, {"keys": [key.as_dict(private=True)]}, pending, now, ("HS256",))


def test_an_id_token_for_several_audiences_is_accepted_when_it_was_issued_to_us(
    redeemed: Any, id_token: Any, client: Any
) -> None:
    tokens = redeemed(id_token(aud=[client.client_id, "other"], azp=client.client_id))
    assert tokens.id_token["azp"] == client.client_id


@pytest.mark.parametrize("auth_time", [None, 0, "recently"])
def test_a_login_older_than_asked_is_refused(redeemed: Any, id_token: Any, pending: Any, auth_time: Any) -> None:
    claims = {} if auth_time is None else {"auth_time": auth_time}
    with pytest.raises(InvalidToken, match="older"):
        redeemed(id_token(**claims), pending=replace(pending, max_age=60))


def test_a_fresh_login_is_accepted(redeemed: Any, id_token: Any, pending: Any, now: Any) -> None:
    assert redeemed(id_token(auth_time=int(now) - 5), pending=replace(pending, max_age=60))


def test_a_replayed_code_is_refused_by_name(
    client: Any, metadata: Any, pending: Any, now: Any, finish: Any, answer: Any
) -> None:
    flow = redeem(client, metadata, pending, AuthorizationCode("c"), now=now)
    with pytest.raises(InvalidGrant):
        finish(flow, answer({"error": "invalid_grant"}, 400))


def test_a_client_that_is_not_known_is_told(
    client: Any, metadata: Any, pending: Any, now: Any, finish: Any, answer: Any
) -> None:
    flow = redeem(client, metadata, pending, AuthorizationCode("c"), now=now)
    with pytest.raises(GrantRefused, match="invalid_client"):
        finish(flow, answer({"error": "invalid_client"}, 401))
