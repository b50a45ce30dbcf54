"""Every class of flaw that public suites of JWS vectors name: one true text verifies, and no flawed one does.

Classes: ModifiedPadding (of base64url, PKCS #1 and PSS), ModifiedSignature (bits, bytes, length, number),
WrongPrimitive, AlgIsNone, key confusion, odd ECDSA numbers, JSON serialization. For keys see `test_key_flaws`.
"""

import hashlib
import json
from collections.abc import Iterable
from typing import Any

import pytest
from joserfc.jwk import OctKey

from stead.identity.errors import InvalidToken
from stead.identity.verification import SignaturePolicy, TokenPolicy, verify, verify_signature
from tests.identity import flaws

EVERYTHING = SignaturePolicy(flaws.ALL, unnamed=True)
"""The most careless policy there can be: what is refused under it is refused by law."""


def none_passes(texts: Iterable[tuple[str, Any]], keys: Any, policy: SignaturePolicy = EVERYTHING) -> None:
    told = {what: _told(text, keys, policy) for what, text in texts}
    assert told
    assert [what for what, sentence in told.items() if sentence is None or "eyJ" in sentence] == []


def _told(text: Any, keys: Any, policy: SignaturePolicy) -> str | None:
    """Why a text is refused; None where it is not."""
    try:
        verify_signature(text, keys, policy)
    except InvalidToken as refused:
        return str(refused.as_json())
    return None


@pytest.mark.parametrize("algorithm", flaws.ALL)
def test_a_true_signature_is_accepted_by_every_algorithm_that_is_allowed(algorithm: str) -> None:
    token, keys = flaws.sign(algorithm), flaws.published(algorithm)
    assert verify_signature(token, keys, SignaturePolicy((algorithm,))) == flaws.PAYLOAD
    assert verify_signature(token, keys, EVERYTHING) == flaws.PAYLOAD
    none_passes([("not allowed", token)], keys, SignaturePolicy(tuple(set(flaws.ALL) - {algorithm})))


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "PS256", "ES256"])
def test_padding_in_any_segment_is_refused(algorithm: str) -> None:
    token, keys = flaws.sign(algorithm), flaws.published(algorithm)
    none_passes(flaws.padded(token), keys)
    none_passes(flaws.respelled(token), keys)


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "Ed25519"])
def test_a_damaged_text_is_refused_wherever_the_damage_is(algorithm: str) -> None:
    none_passes(flaws.damaged(flaws.sign(algorithm)), flaws.published(algorithm))


@pytest.mark.parametrize("algorithm", flaws.ALL)
def test_a_modified_signature_is_refused_at_every_byte(algorithm: str) -> None:
    none_passes(flaws.altered(flaws.sign(algorithm)), flaws.published(algorithm))


@pytest.mark.parametrize("algorithm", flaws.ALL)
def test_a_signature_by_another_primitive_is_refused(algorithm: str) -> None:
    for members in ({}, {"alg": algorithm}):
        keys = flaws.published(algorithm)
        del keys["keys"][0]["alg"]
        keys["keys"][0].update(members)
        # A key that names no algorithm is good for all of its type: then what says RS256 and is so signed is true.
        mine = flaws.key_for(algorithm)
        wrong = [
            (what, text)
            for what, text in flaws.of_another_primitive(algorithm)
            if members or not (what.startswith("said") and flaws.key_for(what.split()[-1]) is mine)
        ]
        none_passes(wrong, keys)


def test_one_rsa_key_keeps_pkcs1_and_pss_apart() -> None:
    for named, other in (("RS256", "PS256"), ("PS256", "RS256"), ("PS256", "PS512"), ("RS512", "RS256")):
        none_passes([(f"{other} by a key for {named}", flaws.sign(other))], flaws.published(named))
        text = flaws.signing_input(named)
        relabelled = f"{text}.{flaws.b64(flaws.signature(other, text))}"
        keys = flaws.published(named)
        none_passes([(f"{other} said to be {named}", relabelled)], keys)
        del keys["keys"][0]["alg"]
        none_passes([(f"{other} said to be {named}, by a key for both", relabelled)], keys)


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "HS256"])
def test_a_text_that_says_it_is_not_signed_is_refused(algorithm: str) -> None:
    none_passes(flaws.unsigned(), flaws.published(algorithm))
    none_passes(flaws.unsigned(), flaws.published(algorithm), SignaturePolicy(("none", "", *flaws.ALL), unnamed=True))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "ES256", "ES384", "Ed25519"])
def test_no_form_of_a_public_key_is_a_secret(algorithm: str) -> None:
    key = flaws.key_for(algorithm)
    for keys in (flaws.published(algorithm), {"keys": [flaws.entry(key, use="sig", kid="k")]}):
        none_passes(flaws.keyed_by_what_is_public(key), keys)
        none_passes(flaws.keyed_by_what_is_public(key), keys, SignaturePolicy(flaws.SYMMETRIC, unnamed=True))


@pytest.mark.parametrize("algorithm", ["ES256", "ES384"])
def test_ecdsa_numbers_that_are_none_are_refused(algorithm: str) -> None:
    none_passes(flaws.of_odd_numbers(algorithm), flaws.published(algorithm))


def test_the_other_half_of_an_ecdsa_signature_is_as_good_so_that_nothing_may_rest_on_its_bytes() -> None:
    text = flaws.high_s("ES256")
    assert verify_signature(text, flaws.published("ES256"), EVERYTHING) == flaws.PAYLOAD


@pytest.mark.parametrize("size", flaws.HASHES)
def test_a_loose_pkcs1_encoding_is_refused(size: str) -> None:
    keys, text = flaws.published(f"RS{size}"), flaws.signing_input(f"RS{size}")
    name = flaws.HASHES[size]
    digest = hashlib.new(name, text.encode()).digest()
    exact = flaws.raw_rsa(flaws.pkcs1(bytes.fromhex(flaws.DIGEST_INFO[name]) + digest), text)
    assert verify_signature(exact, keys, EVERYTHING)
    none_passes(flaws.of_odd_pkcs1(size), keys)


@pytest.mark.parametrize("size", flaws.HASHES)
def test_a_loose_pss_encoding_is_refused(size: str) -> None:
    keys, text = flaws.published(f"PS{size}"), flaws.signing_input(f"PS{size}")
    exact = flaws.raw_rsa(flaws.pss(text, flaws.HASHES[size], salt=b"s" * (int(size) // 8)), text)
    assert verify_signature(exact, keys, EVERYTHING)
    none_passes(flaws.of_odd_pss(size), keys)


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_rsa_numbers_that_are_none_are_refused(algorithm: str) -> None:
    none_passes(flaws.of_odd_numbers_rsa(algorithm), flaws.published(algorithm))


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256"])
def test_json_serialization_is_refused_as_text_and_as_object(algorithm: str) -> None:
    texts = list(flaws.serialized_as_json(flaws.sign(algorithm)))
    none_passes(texts, flaws.published(algorithm))
    none_passes([(what, json.loads(text)) for what, text in texts if what != "detached"], flaws.published(algorithm))


# --- what is policy ------------------------------------------------------------------------------------------------


def test_by_default_the_text_names_its_key_and_the_key_its_use() -> None:
    strict = SignaturePolicy(("ES256",))
    named = flaws.sign("ES256")
    head = flaws.b64(json.dumps({"alg": "ES256"}).encode())
    text = f"{head}.{flaws.b64(flaws.PAYLOAD)}"
    unnamed = f"{text}.{flaws.b64(flaws.signature('ES256', text))}"
    bare = {"keys": [flaws.entry(flaws.key_for("ES256"))]}
    none_passes([("names no key", unnamed)], flaws.published("ES256"), strict)
    none_passes(
        [("names a key that names no use", named)], {"keys": [flaws.entry(flaws.key_for("ES256"), kid="k")]}, strict
    )
    lenient = SignaturePolicy(("ES256",), unnamed=True)
    assert verify_signature(unnamed, bare, lenient) == flaws.PAYLOAD
    assert verify_signature(unnamed, flaws.published("ES256"), lenient) == flaws.PAYLOAD
    none_passes([("names a key that has no name", named)], bare, lenient)
    two = {"keys": [*bare["keys"], flaws.entry(flaws.key_for("ES256", 1))]}
    none_passes([("two keys fit", unnamed)], two, lenient)


def test_a_key_id_that_is_there_and_is_none_is_never_overlooked() -> None:
    kids: list[Any] = [None, "", 1, ["k"], {}, "k\0", "k" * 256]
    for kid in kids:
        none_passes([(repr(kid), flaws.sign("ES256", kid=kid))], flaws.published("ES256"))


def test_a_critical_extension_is_refused_even_where_its_name_is_tolerated() -> None:
    tolerant = SignaturePolicy(("ES256",), tolerated_headers=frozenset({"crit", "b64", "exp", "x5t"}))
    keys = flaws.published("ES256")
    assert verify_signature(flaws.sign("ES256", x5t="AAAA"), keys, tolerant)
    for crit in ([], ["exp"], ["b64"], ["alg"], ["exp", "exp"], "exp", None):
        none_passes([(repr(crit), flaws.sign("ES256", crit=crit, exp=1, b64=False))], keys, tolerant)


def test_shared_secrets_are_keys_only_where_the_policy_lists_their_algorithm() -> None:
    claims = {"iss": "i", "aud": "a", "sub": "s", "iat": 100, "exp": 200}
    key = OctKey.generate_key(256)
    text = ".".join(flaws.b64(json.dumps(part).encode()) for part in ({"alg": "HS256", "kid": "k"}, claims))
    token = f"{text}.{flaws.b64(flaws.signature('HS256', text, key))}"
    keys = {"keys": [flaws.entry(key, use="sig", kid="k")]}
    policy = TokenPolicy("i", "a", algorithms=("HS256",), typ="JWT", required=("sub",))
    assert verify(token, keys, policy, 150) == claims
    with pytest.raises(InvalidToken):
        verify(token, keys, TokenPolicy("i", "a", typ="JWT", required=("sub",)), 150)
