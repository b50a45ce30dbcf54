"""The metadata of issuers: found when needed, waited for at the start, kept while its issuer is away."""

import asyncio
from typing import Any

import pytest

from stead.identity.driver import bare_client
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.providers import KEEP, Providers


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> Any:
        return self.now


@pytest.fixture
def clock() -> Any:
    return Clock()


@pytest.fixture
async def providers(clock: Any) -> Any:
    async with bare_client() as client:
        yield Providers(client, clock)


async def test_many_who_ask_at_once_cause_one_request(providers: Any, issuer: Any) -> None:
    found = await asyncio.gather(*(providers.metadata(issuer.url) for _ in range(20)))
    assert {each.issuer for each in found} == {issuer.url}
    assert issuer.discovered == 1


async def test_metadata_is_asked_for_again_after_a_while(providers: Any, issuer: Any, clock: Any) -> None:
    await providers.metadata(issuer.url)
    clock.now += KEEP + 1
    await providers.metadata(issuer.url)
    assert issuer.discovered == 2


async def test_what_was_known_stays_known_while_the_issuer_is_away(
    providers: Any, issuer: Any, places: Any, clock: Any
) -> None:
    known = await providers.metadata(issuer.url)

    async def away(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    places[1].app = away
    clock.now += KEEP + 1
    assert await providers.metadata(issuer.url) is known


async def test_a_failure_is_not_remembered(providers: Any, issuer: Any) -> None:
    issuer.document = {"issuer": "https://another.example"}
    with pytest.raises(ConfigurationError):
        await providers.metadata(issuer.url)
    issuer.document = {}
    assert (await providers.metadata(issuer.url)).issuer == issuer.url


async def test_an_issuer_that_never_comes_is_given_up(providers: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("stead.identity.providers.PATIENCE", 0.2)
    with pytest.raises(ProviderUnavailable, match="cannot be reached"):
        await providers.metadata("http://127.0.0.1:1")
