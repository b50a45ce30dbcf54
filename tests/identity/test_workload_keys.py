"""Whose key is it? Asked where workloads are registered, and nowhere else."""

import json
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from stead.identity.errors import ProviderUnavailable
from stead.identity.home import Home, public_jwk
from stead.identity.jwks import Keys
from stead.identity.types import Json
from stead.identity.workload_keys import FRESH, RETRY, Source, WorkloadKeys, kept, published, registered

ISSUER, ORIGIN = "http://127.0.0.2:1", "http://127.0.0.9:1"
KEY = ECKey.generate_key("P-256", {"kid": "k", "alg": "ES256", "use": "sig"})
JWKS = {"keys": [public_jwk(KEY)]}
METADATA = "/.well-known/oauth-protected-resource"


class Web:
    """Documents by address; anything else is not there. Counts what was asked."""

    def __init__(self, documents: dict[str, object]) -> None:
        self.documents = documents
        self.asked: list[str] = []

    async def fetch(self, url: str) -> bytes:
        self.asked.append(url)
        if url not in self.documents:
            raise ProviderUnavailable("There is nothing there.")
        return json.dumps(self.documents[url]).encode()


def issuer(web: Web, place: object = f"{ISSUER}/client-keys") -> Source:
    async def metadata() -> Json:
        return {"issuer": ISSUER} if place is None else {"issuer": ISSUER, "stead_client_keys_uri": place}

    return registered(metadata, web.fetch)


async def found(*sources: Source, client: str = "broker") -> Keys:
    return await WorkloadKeys(sources).of(client)


async def test_the_issuer_at_which_a_workload_is_a_client_says_its_keys() -> None:
    web = Web({f"{ISSUER}/client-keys?client_id=broker": JWKS})
    assert set(await found(issuer(web))) == {"k"}


async def test_what_a_register_does_not_know_is_not_looked_for_elsewhere(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.key("broker")
    web = Web({f"{ISSUER}/client-keys?client_id=broker": {"keys": []}})
    assert not await found(issuer(web), kept(home))


async def test_an_issuer_without_a_register_leaves_it_to_the_state_directory(tmp_path: Path) -> None:
    home = Home(tmp_path)
    key = home.key("broker")
    sources = issuer(Web({}), None), kept(home)
    assert set(await found(*sources)) == {key.kid}
    assert not await found(*sources, client="rogue")
    assert not (tmp_path / "keys" / "rogue.json").exists(), "looking makes no key"


async def test_a_workload_publishes_its_key_at_its_registered_origin() -> None:
    document = {"resource": ORIGIN, "stead_client_id": "broker", "jwks_uri": f"{ORIGIN}/.well-known/jwks.json"}
    web = Web({f"{ORIGIN}{METADATA}": document, f"{ORIGIN}/.well-known/jwks.json": JWKS})
    assert set(await found(published({"broker": ORIGIN}.get, web.fetch))) == {"k"}
    assert not await found(published({"broker": ORIGIN}.get, web.fetch), client="rogue")


@pytest.mark.parametrize(
    "lie",
    [
        {"stead_client_id": "rogue"},
        {"resource": "http://127.0.0.8:1"},
        {"jwks_uri": "http://127.0.0.8:1/jwks"},
        {"jwks_uri": None},
    ],
)
async def test_an_origin_that_speaks_for_another_is_not_believed(lie: dict[str, object]) -> None:
    document = {"resource": ORIGIN, "stead_client_id": "broker", "jwks_uri": f"{ORIGIN}/.well-known/jwks.json"}
    web = Web({f"{ORIGIN}{METADATA}": document | lie, "http://127.0.0.8:1/jwks": JWKS})
    assert not await found(published({"broker": ORIGIN}.get, web.fetch))
    assert not any("127.0.0.8" in url for url in web.asked)


@pytest.mark.parametrize("place", ["http://127.0.0.8:1/keys", 5, "nonsense"])
async def test_a_register_at_another_origin_is_not_asked(place: object) -> None:
    web = Web({})
    with pytest.raises(ProviderUnavailable):
        await found(issuer(web, place))
    assert web.asked == []


@pytest.mark.parametrize("place", ["http://[", "nonsense", f"{ORIGIN}/none", f"{ORIGIN}/list", f"{ORIGIN}/mixed"])
async def test_a_workload_that_publishes_nonsense_is_unavailable_and_no_fault_of_who_asks(place: str) -> None:
    document = {"resource": ORIGIN, "stead_client_id": "broker", "jwks_uri": place}
    mixed = {"keys": [*JWKS["keys"], {"kty": "oct", "k": "AAAA", "kid": "s"}]}
    web = Web({f"{ORIGIN}{METADATA}": document, f"{ORIGIN}/list": [JWKS], f"{ORIGIN}/mixed": mixed})
    with pytest.raises(ProviderUnavailable):
        await found(published({"broker": ORIGIN}.get, web.fetch))


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b", "", ".", "a?client_id=b", "x" * 300, "broker\n"])
async def test_what_is_no_client_id_is_not_looked_up(name: str, tmp_path: Path) -> None:
    web = Web({})
    assert not await found(issuer(web), kept(Home(tmp_path)), client=name)
    assert web.asked == []


async def test_a_register_that_is_away_is_not_taken_for_an_empty_one() -> None:
    with pytest.raises(ProviderUnavailable):
        await found(issuer(Web({})))


async def test_keys_are_kept_a_while_and_absence_a_shorter_one() -> None:
    now = [1000.0]
    web = Web({f"{ISSUER}/client-keys?client_id=broker": JWKS, f"{ISSUER}/client-keys?client_id=new": {"keys": []}})
    keys = WorkloadKeys((issuer(web),), lambda: now[0])
    for client in ("broker", "broker", "new", "new"):
        await keys.of(client)
    assert len(web.asked) == 2
    now[0] += RETRY
    await keys.of("broker")
    await keys.of("new")
    assert len(web.asked) == 3
    now[0] += FRESH
    await keys.of("broker")
    assert len(web.asked) == 4
