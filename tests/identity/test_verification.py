"""A token is what it claims to be, or it is refused: each attack by its name."""

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from stead.identity.errors import InvalidToken
from stead.identity.jwks import load_keys
from stead.identity.verification import MAX_TOKEN, TokenPolicy, verify

NOW = 1_800_000_000


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@pytest.fixture
def policy(issuer: Any) -> TokenPolicy:
    return TokenPolicy(issuer.name, issuer.audience)


@pytest.fixture
def refuse(issuer: Any, policy: TokenPolicy) -> Any:
    """Asserts that a token is refused, and says with which sentence."""

    def refused(token: Any, keys: Any = None, policy: TokenPolicy = policy, now: float = NOW) -> InvalidToken:
        with pytest.raises(InvalidToken) as caught:
            verify(token, keys or issuer.jwks(), policy, now)
        assert "eyJ" not in str(caught.value.as_json())
        return caught.value

    return refused


def test_a_good_token_gives_its_claims(issuer: Any, policy: TokenPolicy) -> None:
    assert verify(issuer.token(), issuer.jwks(), policy, NOW) == issuer.claims()


def test_keys_may_be_loaded_beforehand(issuer: Any, policy: TokenPolicy) -> None:
    assert verify(issuer.token(), load_keys(issuer.jwks()), policy, NOW)["sub"] == "alice"


def test_the_long_form_of_the_type_is_the_same_type(issuer: Any, policy: TokenPolicy) -> None:
    assert verify(issuer.token(issuer.header(typ="application/at+jwt")), issuer.jwks(), policy, NOW)


# --- algorithms and keys -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alg", ["none", "nOnE", "NONE", "", None, ["ES256"], {"a": 1}, 256, "es256", "HS256", "ES384"])
def test_another_algorithm_is_refused(issuer: Any, refuse: Any, alg: object) -> None:
    refuse(issuer.token(issuer.header(alg=alg)))


def test_alg_none_with_any_signature_is_refused(issuer: Any, refuse: Any) -> None:
    unsigned = f"{b64(json.dumps(issuer.header(alg='none')).encode())}.{b64(json.dumps(issuer.claims()).encode())}"
    for signature in ("", "AA", b64(b"\0" * 64)):
        refuse(f"{unsigned}.{signature}")


def test_the_public_key_as_hmac_secret_is_refused(issuer: Any, refuse: Any) -> None:
    pem, der = issuer.key.as_pem(private=False), issuer.key.as_der(private=False)
    jwk = json.dumps(issuer.key.as_dict(private=False)).encode()
    lenient = TokenPolicy(issuer.name, issuer.audience, algorithms=("ES256", "HS256"))
    signing_input = issuer.token(issuer.header(alg="HS256")).rpartition(".")[0]
    for secret in (pem, pem.strip(), der, jwk, issuer.key.thumbprint().encode(), b""):
        token = f"{signing_input}.{b64(hmac.digest(secret, signing_input.encode(), 'sha256'))}"
        refuse(token)
        refuse(token, policy=lenient)


def test_a_key_for_one_algorithm_is_not_used_with_another(issuer: Any, refuse: Any) -> None:
    rsa = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": "k1"})
    policy = TokenPolicy(issuer.name, issuer.audience, algorithms=("RS256", "PS256", "ES256"))
    keys = {"keys": [rsa.as_dict(private=False)]}
    same = RSAKey.import_key(rsa.as_pem(private=True))
    signed = jws.serialize_compact(issuer.header(alg="PS256"), json.dumps(issuer.claims()), same, algorithms=["PS256"])
    refuse(signed, keys, policy)
    refuse(issuer.token(), keys, policy)
    good = jws.serialize_compact(issuer.header(alg="RS256"), json.dumps(issuer.claims()), rsa)
    assert verify(good, keys, policy, NOW)["sub"] == "alice"


def test_ed25519_works_where_it_is_allowed(issuer: Any) -> None:
    key = OKPKey.generate_key("Ed25519", {"use": "sig", "kid": "k1"})
    policy = TokenPolicy(issuer.name, issuer.audience, algorithms=("Ed25519",))
    token = jws.serialize_compact(
        issuer.header(alg="Ed25519"), json.dumps(issuer.claims()), key, algorithms=["Ed25519"]
    )
    assert verify(token, {"keys": [key.as_dict(private=False)]}, policy, NOW)


def test_another_curve_is_refused(issuer: Any, refuse: Any) -> None:
    key = ECKey.generate_key("P-384", {"use": "sig", "kid": "k1"})
    policy = TokenPolicy(issuer.name, issuer.audience, algorithms=("ES256", "ES384"))
    token = jws.serialize_compact(issuer.header(alg="ES384"), json.dumps(issuer.claims()), key, algorithms=["ES384"])
    refuse(token, {"keys": [key.as_dict(private=False)]}, policy)


def test_a_signature_by_another_key_is_refused(issuer: Any, refuse: Any) -> None:
    error = refuse(issuer.sign(issuer.header(), issuer.claims(), issuer.new_key("k1")))
    assert error.description == "The token's signature is wrong."


def test_a_signature_that_is_no_number_of_the_curve_is_refused(issuer: Any, refuse: Any) -> None:
    signing_input = issuer.token().rpartition(".")[0]
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    n, one = order.to_bytes(32, "big"), (1).to_bytes(32, "big")
    der = issuer.key.private_key.sign(signing_input.encode(), ECDSA(SHA256()))
    for raw in (b"\0" * 64, n + one, one + n, n + n, b"\xff" * 64, b"\0" * 63, b"\0" * 65, der, b"\0"):
        refuse(f"{signing_input}.{b64(raw)}")


@pytest.mark.parametrize(
    "kid",
    [
        None,
        "",
        "other",
        "../../etc/passwd",
        "k1' OR '1'='1",
        "k1\0",
        "k" * 10_000,
        "https://evil.example/k",
        1,
        ["k1"],
        {},
    ],
)
def test_a_key_id_that_names_no_key_of_the_issuer_is_refused(issuer: Any, refuse: Any, kid: object) -> None:
    refuse(issuer.token(issuer.header(kid=kid)))


@pytest.mark.parametrize(
    "member",
    [
        {"jwk": {"kty": "EC"}},
        {"jku": "http://127.0.0.1:1/"},
        {"x5u": "http://127.0.0.1:1/"},
        {"x5c": ["AA"]},
        {"x5t": "AA"},
        {"crit": []},
        {"crit": ["exp"], "exp": 1},
        {"crit": ["alg"]},
        {"b64": False},
        {"crit": ["b64"], "b64": False},
        {"zip": "DEF"},
        {"cty": "JWT"},
        {"nonce": "n"},
    ],
)
def test_a_header_with_more_than_needed_is_refused(issuer: Any, refuse: Any, member: dict[str, Any]) -> None:
    refuse(issuer.token({**issuer.header(), **member}))


def test_an_attackers_key_in_the_header_is_refused(issuer: Any, refuse: Any) -> None:
    own = issuer.new_key("k1")
    refuse(issuer.sign({**issuer.header(), "jwk": own.as_dict(private=False)}, issuer.claims(), own))


def test_a_foreign_issuers_header_is_tolerated_when_configured(issuer: Any, policy: TokenPolicy) -> None:
    tolerant = TokenPolicy(issuer.name, issuer.audience, tolerated_headers=frozenset({"x5t"}))
    assert verify(issuer.token({**issuer.header(), "x5t": "AAAA"}), issuer.jwks(), tolerant, NOW)


# --- form ----------------------------------------------------------------------------------------------------------


def test_what_is_no_compact_jws_is_refused(issuer: Any, refuse: Any) -> None:
    token = issuer.token()
    head, body, signature = token.split(".")
    flattened = json.dumps({"protected": head, "payload": body, "signature": signature})
    hostile = [
        "", ".", "..", "...", "a.b.c", "x", f"{head}.{body}", f"{token}.x", f"{head}..{signature}", f"{head}.{body}.",
        f"{token}\n", f" {token}", f"{token}=", f"{head}=.{body}.{signature}", f"{token}\0", f"Bearer {token}",
        token.replace(".", ".."), f"{head}.{body}.{signature}.{signature}.{signature}", flattened,
        f"{token[:-1]}é", "\ud800", f"{head}.{body}.{signature[:-1]}", f"{head}.{body}.{signature}A",
        f"{head}+.{body}.{signature}", f"{head}/.{body}.{signature}",
    ]  # fmt: skip
    for each in hostile:
        refuse(each)
    for not_text in (None, b"a.b.c", 1, ["a"]):
        refuse(not_text)


def test_a_second_spelling_of_the_same_token_is_refused(issuer: Any, refuse: Any) -> None:
    token = issuer.token()
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    # 64 bytes leave four unused bits in the last character.
    other = alphabet[alphabet.index(token[-1]) + 1]
    assert base64.urlsafe_b64decode(token.rpartition(".")[2] + "==") == base64.urlsafe_b64decode(
        token.rpartition(".")[2][:-1] + other + "=="
    )
    refuse(token[:-1] + other)


@pytest.mark.parametrize("size", [MAX_TOKEN + 1, 9_000, 130_000, 10_000_000])
def test_a_token_that_is_too_long_is_refused(refuse: Any, size: int) -> None:
    assert "longer than" in refuse("a" * size).description


@pytest.mark.parametrize("depth", [17, 40, 800])
def test_a_deep_claim_is_refused_and_not_an_internal_error(issuer: Any, refuse: Any, depth: int) -> None:
    payload = json.dumps(issuer.claims()).encode()
    refuse(issuer.sign(issuer.header(), payload[:-1] + b',"x":' + b"[" * depth + b"]" * depth + b"}"))


def test_an_act_claim_nested_five_thousand_deep_is_refused(issuer: Any, refuse: Any) -> None:
    payload = json.dumps(issuer.claims()).encode()[:-1] + b',"act":' + b'{"act":' * 5000 + b"1" + b"}" * 5001
    refuse(issuer.sign(issuer.header(), payload))


def test_repeated_members_are_refused(issuer: Any, refuse: Any) -> None:
    payload, header = json.dumps(issuer.claims()).encode(), json.dumps(issuer.header()).encode()
    refuse(issuer.sign(header, payload[:-1] + b',"sub":"mallory"}'))
    refuse(issuer.sign(header, payload[:-1] + b',"\\u0073ub":"mallory"}'))
    refuse(issuer.sign(header[:-1] + b',"alg":"none"}', payload))


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_encodings_are_refused(issuer: Any, refuse: Any, encoding: str) -> None:
    refuse(issuer.sign(issuer.header(), json.dumps(issuer.claims()).encode(encoding)))
    refuse(issuer.sign(json.dumps(issuer.header()).encode(encoding), issuer.claims()))


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"1", b'"x"', b"{", b"\xff\xfe", b"{} {}"])
def test_a_payload_that_is_no_object_is_refused(issuer: Any, refuse: Any, payload: bytes) -> None:
    refuse(issuer.sign(issuer.header(), payload))


# --- claims --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("claim", ["iss", "aud", "sub", "client_id", "jti", "iat", "exp"])
def test_a_token_without_a_required_claim_is_refused(issuer: Any, refuse: Any, claim: str) -> None:
    refuse(issuer.token(**{claim: None}))


@pytest.mark.parametrize(
    "value", ["", "a\0b", "a\nb", "\x7f", "x" * 256, 1, True, ["alice"], {"a": 1}, "\ud800"], ids=repr
)
@pytest.mark.parametrize("claim", ["sub", "client_id", "jti"])
def test_a_name_that_is_none_is_refused(issuer: Any, refuse: Any, claim: str, value: object) -> None:
    refuse(issuer.token(**{claim: value}))


@pytest.mark.parametrize(
    "iss",
    ["{}/", "{}.evil.example", "{}evil", "{}/tenant", "HTTP://127.0.0.2:9001", "http://127.0.0.2", "https://127.0.0.2:9001",
     "http://127.0.0.2:9002", "", ["{}"], {"iss": "{}"}, 1],
)  # fmt: skip
def test_another_issuer_is_refused(issuer: Any, refuse: Any, iss: Any) -> None:
    error = refuse(issuer.token(iss=iss.format(issuer.name) if isinstance(iss, str) else iss))
    assert error.description == "The token comes from another issuer."


@pytest.mark.parametrize(
    "aud",
    ["{}/", "{}0", "http://127.0.0.5", "HTTP://127.0.0.5:9002", "finport-web", "", ["{}"], ["{}", "http://127.0.0.6:1"],
     ["http://127.0.0.6:1"], [], [["{}"]], {"{}": 1}, 1, True],
)  # fmt: skip
def test_a_token_for_another_audience_is_refused(issuer: Any, refuse: Any, aud: Any) -> None:
    if isinstance(aud, str):
        aud = aud.format(issuer.audience)
    elif isinstance(aud, list):
        aud = [item.format(issuer.audience) if isinstance(item, str) else item for item in aud]
    error = refuse(issuer.token(aud=aud))
    assert error.description == "The token is for another service."
    assert issuer.audience in error.hint


def test_an_audience_list_is_admitted_only_where_configured(issuer: Any, refuse: Any) -> None:
    listed = TokenPolicy(issuer.name, issuer.audience, audience_list=True)
    assert verify(issuer.token(aud=[issuer.audience, "other"]), issuer.jwks(), listed, NOW)
    refuse(issuer.token(aud=["other"]), policy=listed)
    refuse(issuer.token(aud=[]), policy=listed)


@pytest.mark.parametrize(
    "typ",
    [None, "JWT", "jwt", "AT+JWT", "oauth-id-jag+jwt", "logout+jwt", "dpop+jwt", "refresh+jwt", "", 1, ["at+jwt"]],
)
def test_a_token_of_another_type_is_no_access_token(issuer: Any, refuse: Any, typ: object) -> None:
    assert refuse(issuer.token(issuer.header(typ=typ))).description == "The token is of another type."


def test_an_access_token_is_no_id_token(issuer: Any, refuse: Any) -> None:
    for_id_tokens = TokenPolicy(issuer.name, issuer.audience, typ="JWT", required=("sub",))
    refuse(issuer.token(), policy=for_id_tokens)
    assert verify(issuer.token(issuer.header(typ="JWT")), issuer.jwks(), for_id_tokens, NOW)
    assert verify(issuer.token(issuer.header(typ=None)), issuer.jwks(), for_id_tokens, NOW)


ODD_TIMES = ["1800000100", True, -1, 1e30, 10**20, [], {}, b"NaN", b"Infinity", b"-Infinity", b"1e999", b'"NaN"']


@pytest.mark.parametrize("value", ODD_TIMES, ids=repr)
@pytest.mark.parametrize("claim", ["exp", "iat", "nbf"])
def test_a_time_that_is_none_is_refused(issuer: Any, refuse: Any, claim: str, value: object) -> None:
    if isinstance(value, bytes):
        bare = json.dumps(issuer.claims(**{claim: None})).encode()
        refuse(issuer.sign(issuer.header(), bare[:-1] + f',"{claim}":'.encode() + value + b"}"))
    else:
        refuse(issuer.token(**{claim: value}))


def test_an_expired_token_is_refused_in_one_clear_sentence(issuer: Any, refuse: Any) -> None:
    error = refuse(issuer.token(), now=NOW + 331)
    assert error.description == "The token expired at 2027-01-15T08:05:00Z."
    assert error.hint == "Get a fresh token and try again."


@pytest.mark.parametrize(
    ("changes", "now", "good"),
    [
        ({}, NOW + 300, True),
        ({}, NOW + 329, True),
        ({}, NOW + 330, False),
        ({}, NOW + 331, False),
        ({}, NOW - 29, True),
        ({}, NOW - 31, False),
        ({"nbf": NOW + 29}, NOW, True),
        ({"nbf": NOW + 31}, NOW, False),
        ({"exp": NOW + 3600}, NOW, True),
        ({"exp": NOW + 3601}, NOW, False),
        ({"exp": NOW}, NOW, False),
        ({"exp": NOW - 1}, NOW, False),
        ({"exp": NOW + 300.5, "iat": NOW - 0.5}, NOW, True),
    ],
)
def test_times_are_kept_to_the_second(
    issuer: Any, policy: TokenPolicy, changes: dict[str, Any], now: float, good: bool
) -> None:
    token = issuer.token(**changes)
    if good:
        assert verify(token, issuer.jwks(), policy, now)
    else:
        with pytest.raises(InvalidToken):
            verify(token, issuer.jwks(), policy, now)


def actors(depth: int) -> dict[str, Any]:
    claim: dict[str, Any] = {"sub": f"a{depth}"}
    for number in reversed(range(1, depth)):
        claim = {"sub": f"a{number}", "act": claim}
    return claim


def test_five_actors_are_admitted(issuer: Any, policy: TokenPolicy) -> None:
    assert verify(issuer.token(act=actors(5)), issuer.jwks(), policy, NOW)


@pytest.mark.parametrize(
    "act",
    [actors(6), actors(9), "broker", 1, [], [{"sub": "broker"}], {}, {"sub": 1}, {"sub": ""}, {"sub": "a", "act": "b"},
     {"sub": "a", "iss": 1}, True],
)  # fmt: skip
def test_an_actor_chain_that_is_none_or_too_long_is_refused(issuer: Any, refuse: Any, act: object) -> None:
    refuse(issuer.token(act=act))


@pytest.mark.parametrize(
    "scope",
    [
        ["portfolio:read"],
        {"a": 1},
        1,
        True,
        " a",
        "a ",
        "a  b",
        "a\tb",
        "pаyments",
        'a"b',
        "a\\b",
        "\x00",
        "a " * 2049 + "a",
    ],
)
def test_a_scope_that_is_malformed_is_refused(issuer: Any, refuse: Any, scope: object) -> None:
    refuse(issuer.token(scope=scope))


@pytest.mark.parametrize("scope", [None, "", "a", "a a", "a:b c.d"])
def test_scopes_may_be_absent_or_repeated(issuer: Any, policy: TokenPolicy, scope: str | None) -> None:
    assert verify(issuer.token(scope=scope), issuer.jwks(), policy, NOW)


def test_a_bound_token_without_its_proof_is_refused(issuer: Any, refuse: Any) -> None:
    assert "bound to a key" in refuse(issuer.token(cnf={"jkt": "x"})).description


# --- whatever comes ------------------------------------------------------------------------------------------------

ISSUER_KEY = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": "k1"})
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=12,
)
NAMES = st.sampled_from(["iss", "aud", "sub", "exp", "iat", "nbf", "jti", "client_id", "scope", "act", "cnf", "x"])
HEADERS = st.sampled_from(["alg", "typ", "kid", "crit", "b64", "jwk", "x"])
PLAUSIBLE = st.sampled_from(["i", "a", "k1", "ES256", "at+jwt", NOW, NOW + 60]) | JSON


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


@settings(max_examples=300, deadline=None, database=None)
@given(st.text() | st.builds(lambda *parts: ".".join(map(b64, parts)), st.binary(), st.binary(), st.binary()))
def test_whatever_the_text_only_invalid_token_is_raised(token: str) -> None:
    outcome(token, {"keys": [ISSUER_KEY.as_dict(private=False)]})


@settings(max_examples=100, deadline=None, database=None)
@given(st.dictionaries(st.sampled_from(["keys", "k1", "x"]), JSON | st.lists(st.dictionaries(HEADERS, JSON))))
def test_whatever_the_keys_only_invalid_token_is_raised(keys: dict[str, Any]) -> None:
    outcome(signed({"alg": "ES256", "typ": "at+jwt", "kid": "k1"}, {}), keys)
