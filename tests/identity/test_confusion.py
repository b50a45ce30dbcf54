"""Tokens of one kind in the place of another, and claims that only look like rights."""

import base64
import json
from typing import Any

import pytest

from stead.identity.dpop import check_proof, sign_proof
from stead.identity.errors import InvalidProof, InvalidToken
from stead.identity.policy import Policy, declared
from stead.identity.replay import MemoryReplays
from stead.identity.values import AccessToken, Grant
from stead.identity.verification import TokenPolicy, verify
from stead.identity.verifier import TrustedIssuer, Verifier
from tests.identity.flaws import ORDERS, b64, unb64

NOW = 1_800_000_000
KINDS = ("at+jwt", "JWT", "oauth-id-jag+jwt", "logout+jwt", "dpop+jwt", "client-authentication+jwt", "secevent+jwt")
URL = "http://127.0.0.5:9002/a2a"


@pytest.mark.parametrize("place", KINDS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_token_of_one_kind_is_good_in_its_own_place_only(issuer: Any, kind: str, place: str) -> None:
    """The same issuer, key, audience and claims: only the type differs (RFC 8725 s3.11)."""
    policy = TokenPolicy(issuer.name, issuer.audience, typ=place)
    token = issuer.token(issuer.header(typ=kind))
    if kind == place:
        assert verify(token, issuer.jwks(), policy, NOW)
    else:
        with pytest.raises(InvalidToken, match="another type"):
            verify(token, issuer.jwks(), policy, NOW)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "dpop+jwt"])
def test_no_token_is_a_proof(issuer: Any, kind: str) -> None:
    with pytest.raises(InvalidProof):
        check_proof(issuer.token(issuer.header(typ=kind)), "POST", URL, NOW)
    public = {
        name: text for name, text in issuer.key.as_dict(private=False).items() if name in ("kty", "crv", "x", "y")
    }
    claims = {"htm": "POST", "htu": URL, "iat": NOW, "jti": "j"}
    with pytest.raises(InvalidProof):
        check_proof(issuer.sign({"alg": "ES256", "typ": kind, "jwk": public}, claims), "POST", URL, NOW)


def test_no_proof_is_a_token(issuer: Any, refuse: Any) -> None:
    refuse(sign_proof(issuer.key, "POST", URL, NOW))


def test_the_other_signature_of_the_same_proof_is_the_same_proof(issuer: Any) -> None:
    """ES256 has two good signatures for each text; what is spent is the identifier, not the bytes."""
    proof = sign_proof(issuer.key, "POST", URL, NOW)
    text, _, last = proof.rpartition(".")
    raw = unb64(last)
    twin = f"{text}.{b64(raw[:32] + (ORDERS['ES256'] - int.from_bytes(raw[32:])).to_bytes(32))}"
    replays = MemoryReplays(lambda: NOW)
    first, second = (check_proof(each, "POST", URL, NOW) for each in (proof, twin))
    assert proof != twin
    replays.spend(first.thumbprint, first.jti, first.until)
    with pytest.raises(InvalidProof, match="used before"):
        replays.spend(second.thumbprint, second.jti, second.until)


async def test_the_other_signature_of_the_same_token_is_the_same_right(issuer: Any, web: Any, clock: Any) -> None:
    """A twin gives nobody more: same claims, same identifier, to be revoked by either."""
    verifier = Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)
    token = issuer.token()
    text, _, last = token.rpartition(".")
    raw = unb64(last)
    twin = f"{text}.{b64(raw[:32] + (ORDERS['ES256'] - int.from_bytes(raw[32:])).to_bytes(32))}"
    one, other = await verifier.verify(AccessToken(token)), await verifier.verify(AccessToken(twin))
    assert one == other
    verifier.forget(lambda principal: principal.jti == one.jti)
    assert await verifier.verify(AccessToken(twin)) is not other


@pytest.mark.parametrize(
    "claims",
    [
        {"scope": None, "scp": "portfolio:read"},
        {"scope": None, "scp": ["portfolio:read"]},
        {"scope": "", "roles": ["portfolio:read"]},
        {"scope": "", "groups": ["portfolio:read"], "permissions": ["portfolio:read"]},
        {"scope": "portfolio"},
        {"scope": "portfolio:rea"},
        {"scope": "portfolio:read:all"},
        {"scope": "portfolio:readx xportfolio:read"},
        {"scope": "PORTFOLIO:READ"},
        {"scope": "portfolio:*"},
        {"scope": "*"},
    ],
    ids=str,
)
async def test_what_only_looks_like_a_scope_gives_no_right(
    issuer: Any, web: Any, clock: Any, claims: dict[str, Any]
) -> None:
    policy = Policy([declared("portfolio.summary", Grant.LOGIN, ["portfolio:read"])])
    verifier = Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)
    principal = await verifier.verify(AccessToken(issuer.token(**claims)))
    assert not policy.decide(principal, "portfolio.summary", "SendMessage", {}, clock()).allowed
    good = await verifier.verify(AccessToken(issuer.token(scope="x portfolio:read y")))
    assert policy.decide(good, "portfolio.summary", "SendMessage", {}, clock()).allowed


async def test_an_actor_that_comes_twice_is_history_and_no_right(issuer: Any, web: Any, clock: Any) -> None:
    """The authorization server builds no loop; where another issuer did, only the outermost actor counts."""
    verifier = Verifier([TrustedIssuer(issuer.name)], issuer.audience, web, clock)
    loop = {"sub": "a", "act": {"sub": "b", "act": {"sub": "a"}}}
    principal = await verifier.verify(AccessToken(issuer.token(act=loop)))
    assert principal.chain == ("a", "b", "a")
    with pytest.raises(InvalidToken, match="longer than 5"):
        await verifier.verify(
            AccessToken(
                issuer.token(
                    act={"sub": "c", "act": {"sub": "b", "act": {"sub": "a", "act": {"sub": "c", "act": loop}}}}
                )
            )
        )


def test_a_token_within_a_token_is_not_unpacked(issuer: Any, refuse: Any) -> None:
    inner = issuer.token()
    refuse(issuer.sign({**issuer.header(), "cty": "JWT"}, inner.encode()))
    refuse(issuer.sign(issuer.header(), inner.encode()))
    refuse(issuer.sign(issuer.header(), json.dumps(inner).encode()))
    refuse(base64.urlsafe_b64encode(inner.encode()).decode())
