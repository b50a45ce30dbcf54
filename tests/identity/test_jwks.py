"""Other parties' keys: which are accepted, and how seldom they are fetched."""

import asyncio
import json
from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from stead.identity.errors import InvalidRequest, ProviderUnavailable
from stead.identity.jwks import COOL_DOWN, FRESH, LOCATED, MAX_KEYS, RETRY, STALE, JwksCache, algorithms_of, load_keys


def ec(kid: Any = "k", **changes: Any) -> dict[str, Any]:
    key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256", "kid": kid})
    return {**key.as_dict(private=False), **changes}


def test_the_three_kinds_of_key_are_kept() -> None:
    rsa = RSAKey.generate_key(2048, {"use": "sig", "kid": "r"}).as_dict(private=False)
    ed = OKPKey.generate_key("Ed25519", {"use": "sig", "kid": "o"}).as_dict(private=False)
    keys = load_keys({"keys": [ec("e"), rsa, ed]})
    assert set(keys) == {"e", "r", "o"}
    assert algorithms_of(keys["e"]) == {"ES256"}
    assert "RS256" in algorithms_of(keys["r"])
    assert "Ed25519" in algorithms_of(keys["o"])


def unfit() -> list[tuple[str, Any]]:
    private = ECKey.generate_key("P-256", {"use": "sig", "kid": "k"}).as_dict(private=True)
    small = {"kty": "RSA", "e": "AQAB", "n": "s" * 170 + "w"}
    return [
        ("private", private),
        ("rsa of 1024 bits", {**small, "use": "sig", "kid": "k"}),
        ("P-384 for ES256", ECKey.generate_key("P-384", {"use": "sig", "alg": "ES256", "kid": "k"}).as_dict(False)),
        ("secp256k1", ECKey.generate_key("secp256k1", {"use": "sig", "kid": "k"}).as_dict(private=False)),
        ("X25519", OKPKey.generate_key("X25519", {"use": "sig", "kid": "k"}).as_dict(private=False)),
        ("for encryption", ec(use="enc")),
        ("for nothing said", {name: value for name, value in ec().items() if name != "use"}),
        ("for signing only", ec(key_ops=["sign"])),
        ("odd key_ops", ec(key_ops="verify")),
        ("another algorithm", ec(alg="RS256")),
        ("odd algorithm", ec(alg=["ES256"])),
        ("no kid", {name: value for name, value in ec().items() if name != "kid"}),
        ("empty kid", ec("")),
        ("integer kid", {**ec(), "kid": 1}),
        ("long kid", ec("k" * 257)),
        ("off the curve", ec(y=ec()["x"])),
        ("no point", {"kty": "EC", "crv": "P-256", "use": "sig", "kid": "k"}),
        ("odd point", ec(x=1)),
        ("unknown kind", {"kty": "AKP", "use": "sig", "kid": "k", "alg": "ML-DSA-44", "pub": "AA"}),
        ("not a key", "k"),
        ("nothing", None),
    ]


@pytest.mark.parametrize(("what", "entry"), unfit(), ids=[what for what, _ in unfit()])
def test_an_unfit_key_is_passed_over(what: str, entry: Any) -> None:
    assert set(load_keys({"keys": [entry, ec("good")]})) == {"good"}


def test_the_larger_curves_are_kept_for_their_own_algorithms() -> None:
    for curve, algorithm in (("P-384", "ES384"), ("P-521", "ES512")):
        key = ECKey.generate_key(curve, {"use": "sig", "kid": "k"}).as_dict(private=False)
        assert algorithms_of(load_keys({"keys": [key]})["k"]) == {algorithm}


def test_a_published_secret_is_passed_over() -> None:
    secret = OctKey.generate_key(256, {"use": "sig", "kid": "k"}).as_dict(private=True)
    assert load_keys({"keys": [secret]}) == {}
    assert set(load_keys({"keys": [secret]}, symmetric=True)) == {"k"}


def test_a_set_of_secrets_and_public_keys_is_refused_as_a_whole() -> None:
    secret = OctKey.generate_key(256, {"use": "sig", "kid": "k"}).as_dict(private=True)
    for symmetric in (False, True):
        with pytest.raises(InvalidRequest, match="mixes"):
            load_keys({"keys": [ec("good"), secret]}, symmetric=symmetric)


def test_a_key_id_used_twice_names_no_key() -> None:
    assert set(load_keys({"keys": [ec("a"), ec("a"), ec("b")]})) == {"b"}


@pytest.mark.parametrize("document", [{}, {"keys": {}}, {"keys": None}, {"keys": [ec("k")] * (MAX_KEYS + 1)}])
def test_what_is_no_key_set_is_refused(document: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        load_keys(document)


# --- the cache -----------------------------------------------------------------------------------------------------


async def test_the_metadata_tells_where_the_keys_are(issuer: Any, web: Any, clock: Any) -> None:
    keys = await JwksCache(web, clock).keys(issuer.name, "k1")
    assert set(keys) == {"k1"}
    assert web.fetched == [f"{issuer.name}/.well-known/oauth-authorization-server", f"{issuer.name}/jwks"]


async def test_openid_metadata_is_the_second_choice(issuer: Any, web: Any, clock: Any) -> None:
    name = "http://127.0.0.2:9001/realms/x"
    web.pages = {
        f"{name}/.well-known/openid-configuration": {"issuer": name, "jwks_uri": "http://127.0.0.2:9001/jwks"},
        "http://127.0.0.2:9001/jwks": issuer.jwks(),
    }
    assert "k1" in await JwksCache(web, clock).keys(name, "k1")
    assert web.fetched[0] == "http://127.0.0.2:9001/.well-known/oauth-authorization-server/realms/x"


async def test_a_configured_address_needs_no_metadata(issuer: Any, web: Any, clock: Any) -> None:
    await JwksCache(web, clock).keys(issuer.name, "k1", jwks_uri=f"{issuer.name}/jwks")
    assert web.fetched == [f"{issuer.name}/jwks"]


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://127.0.0.2:9001/", "jwks_uri": "http://127.0.0.2:9001/jwks"},
        {"issuer": "http://127.0.0.3:9001", "jwks_uri": "http://127.0.0.2:9001/jwks"},
        {"jwks_uri": "http://127.0.0.2:9001/jwks"},
        {"issuer": "http://127.0.0.2:9001"},
        {"issuer": "http://127.0.0.2:9001", "jwks_uri": "http://169.254.169.254/latest"},
        {"issuer": "http://127.0.0.2:9001", "jwks_uri": "file:///etc/passwd"},
        {"issuer": "http://127.0.0.2:9001", "jwks_uri": "http://127.0.0.2:9001@127.0.0.9/jwks"},
        {"issuer": "http://127.0.0.2:9001", "jwks_uri": "https://user:pw@127.0.0.2/jwks"},
        {"issuer": "http://127.0.0.2:9001", "jwks_uri": ["http://127.0.0.2:9001/jwks"]},
    ],
)
async def test_metadata_of_another_issuer_or_place_is_refused(
    issuer: Any, web: Any, clock: Any, metadata: dict[str, Any]
) -> None:
    web.pages = {f"{issuer.name}/.well-known/oauth-authorization-server": metadata}
    with pytest.raises(ProviderUnavailable):
        await JwksCache(web, clock).keys(issuer.name, "k1")
    assert all(".well-known" in url for url in web.fetched)


async def test_an_issuer_on_https_never_has_its_keys_on_plain_http(web: Any, clock: Any) -> None:
    name = "https://idp.example"
    web.pages = {f"{name}/.well-known/oauth-authorization-server": {"issuer": name, "jwks_uri": "http://idp.example/j"}}
    with pytest.raises(ProviderUnavailable):
        await JwksCache(web, clock).keys(name, "k1")


async def test_a_known_key_is_not_fetched_again(issuer: Any, web: Any, clock: Any) -> None:
    cache = JwksCache(web, clock)
    for _ in range(5):
        await cache.keys(issuer.name, "k1")
    assert len(web.fetched) == 2


async def test_a_flood_of_unknown_key_ids_causes_one_fetch_a_cool_down(issuer: Any, web: Any, clock: Any) -> None:
    cache = JwksCache(web, clock)
    await cache.keys(issuer.name, "k1")
    clock.now += COOL_DOWN
    web.fetched.clear()
    await asyncio.gather(*(cache.keys(issuer.name, f"random-{number}") for number in range(10_000)))
    assert web.fetched == [f"{issuer.name}/jwks"]
    clock.now += COOL_DOWN - 1
    await cache.keys(issuer.name, "another")
    assert len(web.fetched) == 1
    clock.now += 1
    await cache.keys(issuer.name, "another")
    assert len(web.fetched) == 2


async def test_all_who_wait_share_one_fetch(issuer: Any, web: Any, clock: Any) -> None:
    web.gate = asyncio.Event()
    cache = JwksCache(web, clock)
    waiting = [asyncio.create_task(cache.keys(issuer.name, "k1")) for _ in range(50)]
    await asyncio.sleep(0)
    web.gate.set()
    assert all("k1" in keys for keys in await asyncio.gather(*waiting))
    assert len(web.fetched) == 2


async def test_one_who_gives_up_does_not_take_the_fetch_along(issuer: Any, web: Any, clock: Any) -> None:
    web.gate = asyncio.Event()
    cache = JwksCache(web, clock)
    first, second = (asyncio.create_task(cache.keys(issuer.name, "k1")) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    web.gate.set()
    assert "k1" in await second


async def test_a_rotated_key_is_found_at_its_first_use(issuer: Any, web: Any, clock: Any) -> None:
    cache = JwksCache(web, clock)
    await cache.keys(issuer.name, "k1")
    web.publish(issuer, issuer.new_key("k2"))
    clock.now += COOL_DOWN
    assert "k2" in await cache.keys(issuer.name, "k2")


async def test_a_removed_key_is_gone_when_the_set_is_no_longer_fresh(issuer: Any, web: Any, clock: Any) -> None:
    removed: list[str] = []
    cache = JwksCache(web, clock, on_removal=removed.append)
    await cache.keys(issuer.name, "k1")
    web.pages[f"{issuer.name}/jwks"] = {"keys": [issuer.new_key("k2").as_dict(private=False)]}
    clock.now += FRESH
    assert set(await cache.keys(issuer.name, "k1")) == {"k2"}
    assert removed == [issuer.name]


async def test_a_key_swapped_under_its_old_id_counts_as_removed(issuer: Any, web: Any, clock: Any) -> None:
    removed: list[str] = []
    cache = JwksCache(web, clock, on_removal=removed.append)
    await cache.keys(issuer.name, "k1")
    web.pages[f"{issuer.name}/jwks"] = {"keys": [issuer.new_key("k1").as_dict(private=False)]}
    clock.now += FRESH
    await cache.keys(issuer.name, "k1")
    assert removed == [issuer.name]


@pytest.mark.parametrize(
    "answer", [None, b"", b"<html>", b"x" * 300_000, b'{"keys": 1}', json.dumps({"keys": [{}] * 10_000}).encode()]
)
async def test_a_provider_that_fails_is_bridged_for_a_while_and_no_longer(
    issuer: Any, web: Any, clock: Any, answer: bytes | None
) -> None:
    cache = JwksCache(web, clock)
    await cache.keys(issuer.name, "k1")
    web.pages[f"{issuer.name}/jwks"] = answer
    clock.now += STALE - 1
    assert "k1" in await cache.keys(issuer.name, "k1")
    clock.now += COOL_DOWN
    with pytest.raises(ProviderUnavailable):
        await cache.keys(issuer.name, "k1")


async def test_a_provider_that_starts_late_is_soon_found(issuer: Any, web: Any, clock: Any) -> None:
    pages, web.pages = web.pages, {}
    cache = JwksCache(web, clock)
    with pytest.raises(ProviderUnavailable):
        await cache.keys(issuer.name, "k1")
    web.pages = pages
    clock.now += RETRY
    assert "k1" in await cache.keys(issuer.name, "k1")


def moved(issuer: Any, web: Any) -> str:
    """The issuer's keys are elsewhere from now on; a stranger has the place where they were."""
    old, new = f"{issuer.name}/jwks", f"{issuer.name}/new-jwks"
    web.pages[new] = web.pages[old]
    web.pages[old] = {"keys": [ec("k1")]}
    web.pages[f"{issuer.name}/.well-known/oauth-authorization-server"]["jwks_uri"] = new
    return old


async def test_an_abandoned_place_of_keys_is_not_believed_for_ever(issuer: Any, web: Any, clock: Any) -> None:
    cache = JwksCache(web, clock)
    true = (await cache.keys(issuer.name, "k1"))["k1"]
    moved(issuer, web)
    clock.now += LOCATED
    assert (await cache.keys(issuer.name, "k1"))["k1"].thumbprint() == true.thumbprint()


async def test_keys_that_moved_are_found_when_their_old_place_fails(issuer: Any, web: Any, clock: Any) -> None:
    cache = JwksCache(web, clock)
    true = (await cache.keys(issuer.name, "k1"))["k1"]
    del web.pages[moved(issuer, web)]
    for _ in range(2):
        clock.now += FRESH
        now = (await cache.keys(issuer.name, "k1"))["k1"]
    assert now.thumbprint() == true.thumbprint()
    assert web.fetched[-1] == f"{issuer.name}/new-jwks"


async def test_an_unforeseen_failure_of_the_fetch_is_an_unavailable_provider(issuer: Any, clock: Any) -> None:
    async def fetch(url: str) -> bytes:
        raise OSError(url)

    with pytest.raises(ProviderUnavailable):
        await JwksCache(fetch, clock).keys(issuer.name, "k1")


async def test_two_issuers_with_the_same_key_id_keep_their_own_keys(issuer: Any, web: Any, clock: Any) -> None:
    other = type(issuer)(name="http://127.0.0.3:9001")
    web.publish(other)
    cache = JwksCache(web, clock)
    ours, theirs = await cache.keys(issuer.name, "k1"), await cache.keys(other.name, "k1")
    assert ours["k1"].thumbprint() == issuer.key.thumbprint()
    assert theirs["k1"].thumbprint() == other.key.thumbprint()
