"""Whatever comes, only a typed refusal: signatures, key sets, any header, any claim, and proofs of possession.

What passes must have been signed so: flips and splices of good tokens never pass.
"""

import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey

from stead.identity.dpop import check_proof, sign_proof
from stead.identity.errors import InvalidProof, InvalidToken
from stead.identity.reading import build_principal
from stead.identity.values import AccessToken
from stead.identity.verification import SignaturePolicy, verify_signature
from stead.identity.verifier import TrustedIssuer
from tests.identity import flaws

NOW = 1_800_000_000
URL = "http://127.0.0.5:9002/a2a"
KEY = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "k"})
PROOF_KEY = ECKey.generate_key("P-256")
PUBLIC = {name: text for name, text in PROOF_KEY.as_dict(private=False).items() if name in ("kty", "crv", "x", "y")}
EVERYTHING = SignaturePolicy(flaws.ALL, unnamed=True, tolerated_headers=frozenset({"jwk", "jku", "x5c", "crit", "b64"}))

bounded = settings(max_examples=150, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
HEADER = st.dictionaries(
    st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "jku", "x5c", "zip", "cty"]),
    st.sampled_from(["ES256", "HS256", "none", "at+jwt", "dpop+jwt", "k"]) | JSON,
)
MEMBERS = ["kty", "crv", "x", "y", "n", "e", "k", "d", "use", "key_ops", "alg", "kid"]
JWK = st.dictionaries(
    st.sampled_from(MEMBERS),
    st.sampled_from(["EC", "RSA", "oct", "OKP", "P-256", "Ed25519", "sig", "ES256", "k", "AQAB", "AA"]) | JSON,
)
GOOD_TOKEN = flaws.sign("ES256")
GOOD_PROOF = sign_proof(PROOF_KEY, "POST", URL, NOW)


def passes(token: Any, keys: Any) -> bool:
    try:
        verify_signature(token, keys, EVERYTHING)
    except InvalidToken:
        return False
    return True


def proves(proof: Any) -> bool:
    try:
        check_proof(proof, "POST", URL, NOW)
    except InvalidProof:
        return False
    return True


def edited(text: str, edits: list[tuple[int, int, str]]) -> str:
    for place, length, put in edits:
        place %= len(text) + 1
        text = text[:place] + put + text[place + length :]
    return text


EDITS = st.lists(
    st.tuples(
        st.integers(0, 2_000),
        st.integers(0, 3),
        st.text(st.sampled_from("AQ-_.=+/ \0é") | st.characters(max_codepoint=0x2FF), max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def signed(header: Any, payload: bytes, key: ECKey) -> str:
    text = f"{flaws.b64(json.dumps(header).encode())}.{flaws.b64(payload)}"
    return f"{text}.{flaws.b64(flaws.signature('ES256', text, key))}"


@bounded
@given(EDITS)
def test_an_edited_token_passes_only_if_the_edits_cancel_out(edits: list[tuple[int, int, str]]) -> None:
    text = edited(GOOD_TOKEN, edits)
    assert passes(text, flaws.published("ES256")) == (text == GOOD_TOKEN)


@bounded
@given(HEADER, st.binary(max_size=60))
def test_any_header_over_any_payload_gives_a_verdict(header: dict[str, Any], payload: bytes) -> None:
    header = {"alg": "ES256", "kid": "k", **header}
    keys = {"keys": [flaws.entry(KEY)]}
    if passes(signed(header, payload, KEY), keys):
        assert (header["alg"], header.get("kid", "k")) == ("ES256", "k")
        assert header.keys().isdisjoint({"crit", "zip", "cty"})


@bounded
@given(st.lists(JWK | JSON, max_size=4))
def test_any_key_set_gives_a_verdict_and_never_a_crash(entries: list[Any]) -> None:
    assert not passes(GOOD_TOKEN, {"keys": entries})


@bounded
@given(JWK)
def test_a_good_key_with_any_members_changed_gives_a_verdict(members: dict[str, Any]) -> None:
    entry = {**flaws.published("ES256")["keys"][0], **members}
    if passes(GOOD_TOKEN, {"keys": [entry]}):
        assert entry.get("use", "sig") == "sig"
        assert "d" not in entry
        assert entry["kid"] == "k"


@bounded
@given(st.dictionaries(st.sampled_from(["scope", "roles", "act", "txn", "cnf", "aud", "name", "sid"]), JSON))
def test_any_claims_become_a_principal_or_a_refusal(claims: dict[str, Any]) -> None:
    good = {"sub": "s", "client_id": "c", "jti": "j", "exp": NOW}
    try:
        principal = build_principal({**good, **claims}, TrustedIssuer("i"), "a", None)
    except InvalidToken:
        return
    assert (principal.subject, principal.issuer) == ("s", "i")


@bounded
@given(EDITS)
def test_an_edited_proof_proves_only_if_the_edits_cancel_out(edits: list[tuple[int, int, str]]) -> None:
    text = edited(GOOD_PROOF, edits)
    assert proves(text) == (text == GOOD_PROOF)


@bounded
@given(
    HEADER, JSON | st.fixed_dictionaries({}, optional={"htm": JSON, "htu": JSON, "iat": JSON, "jti": JSON, "ath": JSON})
)
def test_any_proof_gives_a_verdict_and_never_a_crash(header: dict[str, Any], claims: Any) -> None:
    whole = {"typ": "dpop+jwt", "alg": "ES256", "jwk": PUBLIC, **header}
    said = {"htm": "POST", "htu": URL, "iat": NOW, "jti": "j", **claims} if isinstance(claims, dict) else claims
    if proves(signed(whole, json.dumps(said).encode(), PROOF_KEY)):
        assert (said["htm"], said["htu"], whole["typ"], whole["alg"]) == ("POST", URL, "dpop+jwt", "ES256")


@bounded
@given(JWK)
def test_a_proof_with_any_key_in_its_header_gives_a_verdict(jwk: dict[str, Any]) -> None:
    said = json.dumps({"htm": "POST", "htu": URL, "iat": NOW, "jti": "j"}).encode()
    header = {"typ": "dpop+jwt", "alg": "ES256", "jwk": {**PUBLIC, **jwk}}
    if proves(signed(header, said, PROOF_KEY)):
        assert "d" not in jwk
        assert {name: value for name, value in jwk.items() if name in PUBLIC}.items() <= PUBLIC.items()


@bounded
@given(st.text(max_size=80) | st.none() | st.integers() | st.binary(max_size=20))
def test_anything_at_all_is_no_proof_and_no_token(anything: Any) -> None:
    assert not proves(anything)
    assert not passes(anything, flaws.published("ES256"))
    assert AccessToken("x").reveal() == "x"
