"""A token is what it claims to be, or it is refused: attacks on its form, its signature and its keys, by name."""

import base64
import hmac
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.hashes import SHA256
from joserfc import jws
from joserfc.jwk import ECKey, OKPKey, RSAKey

from stead.identity.jwks import load_keys
from stead.identity.verification import MAX_TOKEN, TokenPolicy, verify

NOW = 1_800_000_000


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


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
    token = jws.serialize_compact(issuer.header(alg="ES384"), json.dumps(issuer.claims()), key, algorithms=["ES384"])
    keys = {"keys": [key.as_dict(private=False)]}
    refuse(token, keys)
    both = TokenPolicy(issuer.name, issuer.audience, algorithms=("ES256", "ES384"))
    assert verify(token, keys, both, NOW)
    refuse(token, {"keys": [{**key.as_dict(private=False), "alg": "ES256"}]}, both)
    refuse(token, issuer.jwks(), both)
    refuse(issuer.token(), keys, both)


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
