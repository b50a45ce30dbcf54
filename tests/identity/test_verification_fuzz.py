"""Whatever comes, `verify` returns true claims or raises `InvalidToken`."""

import base64
import json
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from joserfc.jws import JWSRegistry

from stead.identity.errors import InvalidToken
from stead.identity.verification import TokenPolicy, verify

NOW = 1_800_000_000

ISSUER_KEY = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "k1"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "client_id", "scope", "act", "cnf", "x"])
HEADERS = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"])
PLAUSIBLE = st.sampled_from(["i", "a", "k1", "ES256", "at+jwt", NOW, NOW + 60]) | JSON


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def outcome(token: str, keys: object) -> None:
    try:
        claims = verify(token, keys, TokenPolicy("i", "a"), NOW)  # type: ignore[arg-type]
    except InvalidToken:
        return
    assert (claims["iss"], claims["aud"]) == ("i", "a")


def signed(header: Any, payload: Any) -> str:
    signing_input = ".".join(b64(json.dumps(part).encode()) for part in (header, payload))
    signature = JWSRegistry.algorithms["ES256"].sign(signing_input.encode(), ISSUER_KEY)
    return f"{signing_input}.{b64(signature)}"


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(HEADERS, PLAUSIBLE), st.dictionaries(NAMES, PLAUSIBLE), st.booleans())
def test_whatever_is_signed_only_invalid_token_is_raised(
    header: dict[str, Any], claims: dict[str, Any], plausible: bool
) -> None:
    if plausible:
        header = {"alg": "ES256", "typ": "at+jwt", "kid": "k1", **{k: v for k, v in header.items() if k == "x"}}
        good = {"iss": "i", "aud": "a", "sub": "s", "client_id": "c", "jti": "j", "iat": NOW, "exp": NOW + 9}
        claims = {**good, **claims}
    outcome(signed(header, claims), {"keys": [ISSUER_KEY.as_dict(private=False)]})


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.text() | st.builds(lambda *parts: ".".join(map(b64, parts)), st.binary(), st.binary(), st.binary()))
def test_whatever_the_text_only_invalid_token_is_raised(token: str) -> None:
    outcome(token, {"keys": [ISSUER_KEY.as_dict(private=False)]})


@settings(max_examples=100, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["keys", "k1", "x"]), JSON | st.lists(st.dictionaries(HEADERS, JSON))))
def test_whatever_the_keys_only_invalid_token_is_raised(keys: dict[str, Any]) -> None:
    outcome(signed({"alg": "ES256", "typ": "at+jwt", "kid": "k1"}, {}), keys)
