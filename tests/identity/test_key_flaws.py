"""Every class of flaw that public suites of JWK vectors name: a true signature by a key that is none is refused.

Classes: DuplicateKid, MixedKeySet, weak RSA (short, ROCA, odd exponent), Ed25519 of small order, short HMAC secrets,
wrong use and key_ops, a published private half, modified members. Under the most careless policy there can be, so that
each is law.
"""

import hashlib
import json
import math
import secrets
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateNumbers, RSAPublicNumbers, generate_private_key
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from stead.identity.errors import InvalidToken
from stead.identity.jwks import load_keys
from stead.identity.verification import SignaturePolicy, verify_signature
from stead.identity.weak_keys import is_roca
from tests.identity import flaws

EVERYTHING = SignaturePolicy(flaws.ALL, unnamed=True)


def refuse(token: str, *entries: Any, policy: SignaturePolicy = EVERYTHING) -> None:
    with pytest.raises(InvalidToken):
        verify_signature(token, {"keys": list(entries)}, policy)


def accept(token: str, *entries: Any) -> None:
    assert verify_signature(token, {"keys": list(entries)}, EVERYTHING) == flaws.PAYLOAD


def a_key(algorithm: str, **members: Any) -> dict[str, Any]:
    entry: dict[str, Any] = flaws.published(algorithm, **members)["keys"][0]
    return entry


# --- which key -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "Ed25519"])
def test_a_key_id_used_twice_verifies_nothing_whichever_comes_first(algorithm: str) -> None:
    token, mine = flaws.sign(algorithm), a_key(algorithm)
    other = OctKey.generate_key(512) if algorithm == "HS256" else flaws.key_for(algorithm, 1)
    twin = flaws.entry(other, use="sig", kid="k", alg=algorithm)
    accept(token, mine)
    for twins in ((mine, twin), (twin, mine), (mine, mine), (mine, {**mine, "use": "enc"}), ({"kid": "k"}, mine)):
        refuse(token, *twins)


@pytest.mark.parametrize(("one", "other"), [("RS256", "HS256"), ("ES256", "HS512"), ("HS256", "ES256")])
def test_a_set_that_mixes_secrets_and_public_keys_verifies_nothing(one: str, other: str) -> None:
    mine, beside = a_key(one), a_key(other, kid="other")
    for entries in ((mine, beside), (beside, mine)):
        refuse(flaws.sign(one), *entries)
        refuse(flaws.sign(other, kid="other"), *entries)
        refuse(flaws.sign(one), *entries, policy=SignaturePolicy((one,)))


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "PS384", "ES256", "ES384", "Ed25519"])
@pytest.mark.parametrize(
    "members",
    [{"use": "enc"}, {"use": ""}, {"use": "SIG"}, {"use": ["sig"]}, {"use": None}, {"key_ops": ["sign"]},
     {"key_ops": []}, {"key_ops": "verify"}, {"key_ops": ["encrypt", "deriveKey"]}, {"key_ops": {"verify": 1}},
     {"key_ops": None}, {"alg": "RSA-OAEP"}, {"alg": "none"}, {"alg": ""}, {"alg": None}, {"alg": 1}, {"kid": "K"},
     {"kid": 1}, {"kid": None}, {"kty": "AKP"}, {"kty": None}, {"kty": ["EC"]}],
    ids=str,
)  # fmt: skip
def test_a_key_for_something_else_verifies_nothing(algorithm: str, members: dict[str, Any]) -> None:
    refuse(flaws.sign(algorithm), a_key(algorithm, **members))


def test_a_key_may_also_be_good_for_signing() -> None:
    accept(flaws.sign("ES256"), a_key("ES256", key_ops=["sign", "verify"]))
    accept(flaws.sign("HS256"), a_key("HS256", key_ops=["sign", "verify"]))


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "Ed25519"])
def test_a_key_whose_private_half_is_published_verifies_nothing(algorithm: str) -> None:
    private = flaws.key_for(algorithm).as_dict(private=True)
    refuse(flaws.sign(algorithm), {**private, "use": "sig", "kid": "k"})
    for member in set(private) & {"d", "p", "q", "dp", "dq", "qi"}:
        refuse(flaws.sign(algorithm), a_key(algorithm, **{member: private[member]}))
        refuse(flaws.sign(algorithm), a_key(algorithm, **{member: ""}))


# --- weak keys -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bits", [1024, 1536])
@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_a_short_rsa_key_verifies_nothing(algorithm: str, bits: int) -> None:
    short = generate_private_key(65537, bits)
    key = RSAKey(short, short)
    refuse(flaws.sign(algorithm, key), flaws.entry(key, use="sig", kid="k"))


@pytest.mark.parametrize("exponent", [0, 1, 2, 65536])
def test_an_rsa_exponent_that_is_none_verifies_nothing(exponent: int) -> None:
    said = flaws.b64(exponent.to_bytes((exponent.bit_length() + 7) // 8 or 1))
    text, name = flaws.signing_input("RS256"), "sha256"
    trivial = flaws.pkcs1(bytes.fromhex(flaws.DIGEST_INFO[name]) + hashlib.new(name, text.encode()).digest())
    refuse(f"{text}.{flaws.b64(trivial)}", a_key("RS256", e=said))


@pytest.mark.parametrize("point", flaws.small_points(), ids=bytes.hex)
def test_an_ed25519_key_of_small_order_under_which_anybody_signs_verifies_nothing(point: bytes) -> None:
    key = {"kty": "OKP", "crv": "Ed25519", "x": flaws.b64(point), "use": "sig", "kid": "k"}
    policy = SignaturePolicy((*flaws.ALL, "EdDSA"), unnamed=True)
    refuse(flaws.forged_under(point, {"alg": "EdDSA", "kid": "k"}, {}), key, policy=policy)
    assert not load_keys({"keys": [key]})


def test_an_ed25519_key_made_by_chance_is_not_taken_for_one_of_small_order() -> None:
    for _ in range(200):
        key = OKPKey.generate_key("Ed25519").as_dict(private=False)
        assert load_keys({"keys": [{**key, "use": "sig", "kid": "k"}]})


@pytest.mark.parametrize("exponent", [3, 17, 257, 65535, 2**64 + 1, 2**2040 + 1])
def test_an_rsa_exponent_that_is_weak_or_takes_long_verifies_nothing(exponent: int) -> None:
    """A short one forgives loose checks of the padding; by a long one a stranger's proof costs a hundredfold."""
    key = a_key("RS256", e=flaws.b64(exponent.to_bytes((exponent.bit_length() + 7) // 8)))
    assert not load_keys({"keys": [key]})


def roca_key() -> RSAKey:
    """A key as the flawed library made them: both primes are k·M + (65537^a mod M), M the product of 126 primes."""
    product = math.prod(number for number in range(2, 702) if all(number % other for other in range(2, number)))
    first, second = roca_prime(product), roca_prime(product)
    modulus, totient = first * second, (first - 1) * (second - 1)
    private = pow(65537, -1, totient)
    numbers = RSAPrivateNumbers(
        first, second, private, private % (first - 1), private % (second - 1), pow(second, -1, first),
        RSAPublicNumbers(65537, modulus),
    )  # fmt: skip
    return RSAKey(numbers.private_key(), numbers.private_key())


def roca_prime(product: int) -> int:
    least, span = 3 << 1022, (1 << 1022) // product
    while True:
        candidate = (least // product + secrets.randbelow(span)) * product + pow(65537, secrets.randbits(64), product)
        if pow(2, candidate - 1, candidate) == 1 and (candidate - 1) % 65537:
            return candidate


def test_a_key_of_the_roca_flaw_verifies_nothing() -> None:
    key = roca_key()
    assert key.public_key.key_size == 2048
    assert is_roca(key.public_key.public_numbers().n)
    refuse(flaws.sign("RS256", key), flaws.entry(key, use="sig", kid="k"))
    refuse(flaws.sign("PS256", key), flaws.entry(key, use="sig", kid="k"))


def test_a_key_made_by_chance_is_not_taken_for_one_of_the_roca_flaw() -> None:
    assert not any(is_roca(secrets.randbits(2048) | 1) for _ in range(2_000))
    assert not is_roca(flaws.rsa_key(0).public_key.public_numbers().n)


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_shorter_than_the_hash_verifies_nothing(algorithm: str, least: int) -> None:
    text = flaws.signing_input(algorithm)
    for length in (least, least - 1, 16, 8, 1, 0):
        secret = secrets.token_bytes(length)
        token = f"{text}.{flaws.b64(flaws.mac(secret, text.encode(), flaws.HASHES[algorithm[2:]]))}"
        entry = {"kty": "oct", "k": flaws.b64(secret), "use": "sig", "kid": "k"}
        accept(token, entry) if length == least else refuse(token, entry)
        if length != least:
            refuse(token, {**entry, "alg": algorithm})


# --- modified members ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "member"),
    [("ES256", "x"), ("ES256", "y"), ("ES384", "x"), ("RS256", "n"), ("RS256", "e"), ("Ed25519", "x"), ("HS256", "k")],
)
def test_a_member_in_a_second_spelling_or_of_another_kind_verifies_nothing(algorithm: str, member: str) -> None:
    token, entry = flaws.sign(algorithm), a_key(algorithm)
    text = entry[member]
    accept(token, entry)
    spellings = [f"{text}=", f"{text}==", f" {text}", f"{text}\n", f"{text[:4]}\n{text[4:]}", f"{text}.", f"{text}A",
                 f"{text}\0", text[:-1], "", "=", "!", None, 1, [text], {"a": text}, True]  # fmt: skip
    if member != "k":
        spellings.append(flaws.b64(b"\0" + flaws.unb64(text)))
    for spelling in spellings:
        refuse(token, {**entry, member: spelling})
    refuse(token, {name: value for name, value in entry.items() if name != member})


def test_a_point_that_is_not_on_the_curve_verifies_nothing() -> None:
    entry = a_key("ES256")
    zero, field = flaws.b64(bytes(32)), flaws.b64((2**256 - 2**224 + 2**192 + 2**96 - 1).to_bytes(32))
    for x, y in ((zero, zero), (entry["y"], entry["x"]), (entry["x"], zero), (field, entry["y"]), (zero, field)):
        refuse(flaws.sign("ES256"), {**entry, "x": x, "y": y})


@pytest.mark.parametrize("curve", ["P-384", "P-521", "secp256k1", "p-256", "Ed25519", "X25519", "", None, 1])
def test_a_key_that_says_it_lies_on_another_curve_verifies_nothing(curve: object) -> None:
    refuse(flaws.sign("ES256"), a_key("ES256", crv=curve))
    refuse(flaws.sign("ES256"), {name: value for name, value in a_key("ES256").items() if name != "crv"})
    koblitz = ECKey.generate_key("secp256k1")
    refuse(flaws.sign("ES256"), {**flaws.entry(koblitz), "kid": "k", "use": "sig"})


def test_what_is_no_set_or_an_immense_one_verifies_nothing() -> None:
    token, entry = flaws.sign("ES256"), a_key("ES256")
    sets: list[Any] = [
        {},
        {"keys": None},
        {"keys": {}},
        {"keys": []},
        {"keys": entry},
        entry,
        {"k": entry},
        {"keys": [entry] * 101},
    ]
    for keys in sets:
        with pytest.raises(InvalidToken):
            verify_signature(token, keys, EVERYTHING)
    accept(token, None, 1, "k", [], {}, entry)


def test_a_key_is_good_under_its_own_name_only_even_when_it_was_given_by_thumbprint() -> None:
    nameless = flaws.entry(flaws.key_for("ES256"))
    thumbprint = flaws.key_for("ES256").thumbprint()
    usurper = flaws.entry(flaws.key_for("ES256", 1), kid=thumbprint)
    keys = load_keys({"keys": [usurper, nameless]}, unnamed=True)
    assert keys[thumbprint].thumbprint() == flaws.key_for("ES256", 1).thumbprint()
    assert json.dumps(sorted(keys)) == json.dumps([thumbprint])
