"""Proof of possession (RFC 9449): one proof, one request, one token, one key. Everything else is an attack, by name."""

import json
import secrets
from base64 import urlsafe_b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from stead.identity.dpop import LIFETIME, MAX_PROOF, Proof, check_proof, digest_of, sign_proof, target
from stead.identity.errors import InvalidProof, InvalidRequest, ProviderUnavailable
from stead.identity.replay import MemoryReplays, Replays, SharedReplays
from stead.identity.values import AccessToken
from tests.identity import flaws

NOW = 1_800_000_000
URL = "https://transfer.example/a2a"
TOKEN = AccessToken("a-token")
KEY = ECKey.generate_key("P-256")


def forged(key: Any = KEY, *, drop: str = "", alg: str = "ES256", header: Any = None, **claims: Any) -> str:
    """A proof that is true but for what is changed."""
    public = key.as_dict(private=False) if hasattr(key, "as_dict") else {}
    bare = {name: value for name, value in public.items() if name in ("kty", "crv", "x", "y", "n", "e")}
    said = {"jti": "j", "htm": "POST", "htu": URL, "iat": NOW, "ath": digest_of(TOKEN), **claims}
    said.pop(drop, None)
    head = {"typ": "dpop+jwt", "alg": alg, "jwk": bare, **(header or {})}
    segments = [urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in (head, said)]
    signature = JWSRegistry.algorithms[alg].sign(".".join(segments).encode(), key)
    return ".".join([*segments, urlsafe_b64encode(signature).rstrip(b"=").decode()])


def checked(proof: str, *, method: str = "POST", url: str = URL, now: float = NOW, token: AccessToken = TOKEN) -> Proof:
    return check_proof(proof, method, url, now, token=token)


def test_a_proof_for_this_request_and_this_token_is_good() -> None:
    proof = checked(sign_proof(KEY, "POST", URL, NOW, token=TOKEN))
    assert proof.thumbprint == KEY.thumbprint()


def test_every_proof_is_another_one() -> None:
    first, second = (checked(sign_proof(KEY, "POST", URL, NOW, token=TOKEN)) for _ in range(2))
    assert first.jti != second.jti


@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (ECKey.generate_key("P-256"), "ES256"),
        (OKPKey.generate_key("Ed25519"), "Ed25519"),
        (RSAKey.generate_key(2048), "RS256"),
        (RSAKey.generate_key(2048), "PS256"),
    ],
    ids=["ES256", "Ed25519", "RS256", "PS256"],
)
def test_foreign_clients_may_use_their_own_algorithms(key: Any, alg: str) -> None:
    assert checked(forged(key, alg=alg)).thumbprint == key.thumbprint()


@pytest.mark.parametrize(
    "said",
    [
        {"htm": "GET"},
        {"htm": "post"},
        {"htm": None},
        {"htm": ["POST"]},
        {"htu": "https://transfer.example/mcp"},
        {"htu": "https://transfer.example/a2a/"},
        {"htu": "https://transfer.example:8443/a2a"},
        {"htu": "http://transfer.example/a2a"},
        {"htu": "https://transfer.example.evil/a2a"},
        {"htu": "https://user@transfer.example/a2a"},
        {"htu": "javascript:alert(1)"},
        {"htu": None},
        {"htu": [URL]},
    ],
    ids=json.dumps,
)
def test_a_proof_made_for_another_request_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidProof, match="another request"):
        checked(forged(**said))


@pytest.mark.parametrize(
    "same",
    [
        "HTTPS://Transfer.Example/a2a",
        "https://transfer.example:443/a2a",
        f"{URL}?query=1",
        f"{URL}#fragment",
        "https://transfer.example/%61%32a",
    ],
)
def test_another_spelling_of_the_same_address_is_the_same(same: str) -> None:
    assert checked(forged(htu=same)).jti == "j"


def test_an_address_without_a_path_is_one_with_a_slash() -> None:
    assert target("https://a.example") == target("https://a.example/")
    with pytest.raises(InvalidRequest):
        target("ftp://a.example/")


@pytest.mark.parametrize("said", [{"ath": "x"}, {"ath": None}, {"ath": digest_of(AccessToken("another"))}], ids=str)
def test_a_proof_made_for_another_token_is_refused(said: dict[str, Any]) -> None:
    with pytest.raises(InvalidProof, match="another token"):
        checked(forged(**said))


def test_a_proof_without_its_tokens_digest_is_refused() -> None:
    with pytest.raises(InvalidProof, match="another token"):
        checked(forged(drop="ath"))


@pytest.mark.parametrize("age", [-(LIFETIME + 30), -3600, 31, 3600], ids=str)
def test_a_stale_or_a_future_proof_is_refused(age: float) -> None:
    with pytest.raises(InvalidProof, match="not fresh"):
        checked(forged(iat=NOW + int(age)))


@pytest.mark.parametrize("iat", [None, "now", True, 1e30, NOW + 0.5, [NOW], -1], ids=str)
def test_a_proof_with_an_odd_time_is_refused(iat: object) -> None:
    with pytest.raises(InvalidProof):
        checked(forged(iat=iat))


@pytest.mark.parametrize("jti", [None, "", 7, "x" * 129, ["j"]], ids=str)
def test_a_proof_without_a_usable_identifier_is_refused(jti: object) -> None:
    with pytest.raises(InvalidProof):
        checked(forged(jti=jti))


@pytest.mark.parametrize(
    "header",
    [
        {"typ": "JWT"},
        {"typ": "at+jwt"},
        {"typ": None},
        {"typ": "DPoP+JWT"},
        {"kid": "k"},
        {"jku": "http://127.0.0.1:1/keys"},
        {"x5u": "http://127.0.0.1:1/cert"},
        {"crit": ["exp"]},
        {"b64": False},
        {"jwk": None},
        {"jwk": {"kty": "EC"}},
        pytest.param({"jwk": [KEY.as_dict(private=False)]}, id="a list of keys"),
        {"jwk": {"kty": "oct", "k": "c2VjcmV0"}},
    ],
    ids=str,
)
def test_a_header_that_is_not_one_of_a_proof_is_refused(header: dict[str, Any]) -> None:
    with pytest.raises(InvalidProof):
        checked(forged(header=header))


def test_a_proof_that_carries_its_private_key_is_refused() -> None:
    with pytest.raises(InvalidProof, match="public key"):
        checked(forged(header={"jwk": KEY.as_dict(private=True)}))


def test_a_proof_signed_with_another_key_than_it_carries_is_refused() -> None:
    other = ECKey.generate_key("P-256").as_dict(private=False)
    with pytest.raises(InvalidProof, match="signature"):
        checked(forged(header={"jwk": {name: other[name] for name in ("kty", "crv", "x", "y")}}))


def test_symmetric_and_unsigned_proofs_are_refused() -> None:
    secret = OctKey.generate_key(256)
    proof = forged(secret, alg="HS256", header={"jwk": {"kty": "oct", "k": secret.as_dict()["k"]}})
    with pytest.raises(InvalidProof):
        checked(proof)
    payload = forged().split(".")[1]
    for alg in ("none", "None", "HS256", ""):
        head = json.dumps({"typ": "dpop+jwt", "alg": alg, "jwk": KEY.as_dict(private=False)})
        with pytest.raises(InvalidProof):
            checked(f"{urlsafe_b64encode(head.encode()).decode().rstrip('=')}.{payload}.AAAA")


def test_a_weak_rsa_key_is_refused() -> None:
    with pytest.warns(match=r".*"):
        weak = RSAKey.generate_key(1024)
    with pytest.raises(InvalidProof):
        checked(forged(weak, alg="RS256"))


@pytest.mark.parametrize("exponent", [3, 2**64 + 1, 2**2040 + 1])
def test_a_proof_that_would_take_long_to_check_is_not_checked(exponent: int) -> None:
    """Anybody may send one to a token endpoint, before anything else is looked at."""
    key = RSAKey.generate_key(2048).as_dict(private=False)
    said = flaws.b64(exponent.to_bytes((exponent.bit_length() + 7) // 8))
    bare = {"kty": "RSA", "n": key["n"], "e": said}
    with pytest.raises(InvalidProof, match="does not fit"):
        checked(forged(RSAKey.generate_key(2048), alg="RS256", header={"jwk": bare}))


@pytest.mark.parametrize("point", flaws.small_points(), ids=bytes.hex)
def test_an_ed25519_key_under_which_anybody_makes_proofs_is_refused(point: bytes) -> None:
    head = {"typ": "dpop+jwt", "alg": "EdDSA", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": flaws.b64(point)}}
    claims = {"htm": "POST", "htu": URL, "iat": NOW, "ath": digest_of(TOKEN)}
    with pytest.raises(InvalidProof):
        checked(flaws.forged_under(point, head, claims))


@pytest.mark.parametrize(
    "proof", ["", "x", "a.b", "a.b.c.d", "a.b.c\n", "\x00", "é.é.é", "a." + "b" * MAX_PROOF + ".c"]
)
def test_what_is_no_proof_is_refused(proof: str) -> None:
    with pytest.raises(InvalidProof):
        checked(proof)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_changed_in_a_proof_it_is_only_ever_refused(data: Any) -> None:
    proof = sign_proof(KEY, "POST", URL, NOW, token=TOKEN)
    position = data.draw(st.integers(0, len(proof) - 1))
    letter = data.draw(st.characters(codec="latin-1"))
    if letter == proof[position]:
        return
    with pytest.raises(InvalidProof):
        checked(proof[:position] + letter + proof[position + 1 :])


# --- that it is used once ------------------------------------------------------------------------------------------


class Clock:
    now = float(NOW)

    def __call__(self) -> float:
        return self.now


@pytest.fixture(params=["memory", "shared"])
def replays(request: pytest.FixtureRequest, tmp_path: Path) -> Replays:
    kind = MemoryReplays if request.param == "memory" else lambda **more: SharedReplays(tmp_path / "proofs.db", **more)
    made: Replays = kind(clock=Clock(), capacity=320)
    return made


def test_a_replayed_proof_is_refused(replays: Replays) -> None:
    replays.spend("key", "jti", NOW + 60)
    replays.spend("key", "another", NOW + 60)
    replays.spend("another", "jti", NOW + 60)
    with pytest.raises(InvalidProof, match="used before"):
        replays.spend("key", "jti", NOW + 60)


def test_a_replica_knows_what_another_has_spent(tmp_path: Path) -> None:
    first, second = (SharedReplays(tmp_path / "proofs.db") for _ in range(2))
    jti = secrets.token_hex(4)
    first.spend("key", jti, NOW + 1e6)
    with pytest.raises(InvalidProof):
        second.spend("key", jti, NOW + 1e6)
    first.close()
    with pytest.raises(ProviderUnavailable):
        first.spend("key", "new", NOW + 1e6)


def test_a_flood_of_proofs_lets_nobody_in_and_forgets_nobody() -> None:
    clock = Clock()
    replays = MemoryReplays(clock, capacity=3)
    for number in range(3):
        replays.spend(f"key-{number}", "0", NOW + 60)
    with pytest.raises(ProviderUnavailable):
        replays.spend("key", "one more", NOW + 60)
    with pytest.raises(InvalidProof):
        replays.spend("key-0", "0", NOW + 60)
    clock.now = NOW + 61
    replays.spend("key", "later", NOW + 120)
    assert len(replays) == 1


def test_a_flood_of_proofs_by_one_caller_keeps_only_that_caller_out(replays: Replays) -> None:
    spent, refused = 0, 0
    for number in range(400):
        try:
            replays.spend("flooding", str(number), NOW + 60)
            spent += 1
        except ProviderUnavailable:
            refused += 1
    assert 160 <= spent <= 180
    assert refused == 400 - spent
    for number in range(19):
        replays.spend("steady", str(number), NOW + 60)
        replays.spend(f"one-of-many-{number}", "0", NOW + 60)


class _Watched(float):
    """An end that tells how often it was looked at."""

    looks = 0

    def __gt__(self, other: float) -> bool:
        _Watched.looks += 1
        return super().__gt__(other)


def test_a_flood_of_proofs_a_full_store_is_not_searched_for_each_one_that_it_refuses() -> None:
    replays, held = MemoryReplays(lambda: 1_000.0, capacity=50), 50
    for number in range(held):
        replays.spend(str(number), "0", _Watched(1_090))
    for number in range(held, 10 * held):
        with pytest.raises(ProviderUnavailable):
            replays.spend("key", str(number), 1_090)
    assert _Watched.looks <= held
    assert len(replays) == held
