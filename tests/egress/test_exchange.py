"""The cache in front of the token endpoint: one flight for all, renewed ahead, and never the wrong party's token."""

import asyncio
import itertools
from dataclasses import replace
from typing import Any

import pytest

from stead.identity.errors import GrantRefused, InvalidScope, ProviderUnavailable
from stead.identity.exchange import ExchangeKey, Exchanges
from stead.identity.flows import TokenSet
from stead.identity.signals.revoked import Revoked
from stead.identity.values import AccessToken, Actor

KEY = ExchangeKey(
    "https://as", "https://as|alice", Actor("broker"), "https://portfolio", frozenset({"portfolio:read"}), login=("s1",)
)


class Endpoint:
    """Counts, and grants tokens that live `life` seconds from its clock; `fail` makes it refuse."""

    def __init__(self, life: Any = 300.0) -> None:
        self.now, self.life, self.count = 1000.0, life, 0
        self.fail: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def clock(self) -> Any:
        return self.now

    async def obtain(self) -> Any:
        self.count += 1
        number = self.count
        await self.gate.wait()
        if self.fail is not None:
            raise self.fail
        return TokenSet(AccessToken(f"token-{number}"), self.now + self.life, KEY.scopes)

    def waits(self) -> Any:
        self.gate = asyncio.Event()
        return self.gate


@pytest.fixture
def endpoint() -> Any:
    return Endpoint()


@pytest.fixture
async def exchanges(endpoint: Any) -> Any:
    opened = Exchanges(endpoint.clock)
    yield opened
    await opened.aclose()


async def landed(exchanges: Any) -> None:
    """Waits for renewals that nobody waits for."""
    while exchanges._flights:
        await asyncio.sleep(0)


async def text(exchanges: Any, key: Any, endpoint: Any) -> Any:
    return (await exchanges.get(key, endpoint.obtain)).access_token.reveal()


async def test_a_token_is_obtained_once_and_used_again(exchanges: Any, endpoint: Any) -> None:
    assert [await text(exchanges, KEY, endpoint) for _ in range(3)] == ["token-1"] * 3


async def test_a_hundred_callers_share_one_flight(exchanges: Any, endpoint: Any) -> None:
    gate = endpoint.waits()
    callers = [asyncio.create_task(text(exchanges, KEY, endpoint)) for _ in range(100)]
    await asyncio.sleep(0)
    gate.set()
    assert set(await asyncio.gather(*callers)) == {"token-1"}
    assert endpoint.count == 1


@pytest.mark.parametrize(
    "other",
    [
        {"owner": "https://as|bob"},
        {"owner": "https://other|alice"},
        {"issuer": "https://other"},
        {"actor": None},
        {"actor": Actor("portfolio-agent", prior=Actor("broker"))},
        {"actor": Actor("broker", issuer="https://other")},
        {"audience": "https://portfolio/"},
        {"audience": "https://transfer"},
        {"scopes": frozenset()},
        {"scopes": frozenset({"portfolio:read", "portfolio:write"})},
        {"txn": "task-1"},
        {"cnf": "thumbprint"},
        {"login": ("s2",)},
        {"given": frozenset({"broker:ask"})},
    ],
)
async def test_a_token_never_crosses_to_another_party(exchanges: Any, endpoint: Any, other: Any) -> None:
    first = await text(exchanges, KEY, endpoint)
    assert await text(exchanges, replace(KEY, **other), endpoint) != first
    assert await text(exchanges, KEY, endpoint) == first


async def test_the_order_of_scopes_does_not_matter(exchanges: Any, endpoint: Any) -> None:
    for order in itertools.permutations(("a", "b", "c")):
        await text(exchanges, replace(KEY, scopes=frozenset(order)), endpoint)
    assert endpoint.count == 1


async def test_a_token_near_its_end_is_renewed_while_it_is_still_used(exchanges: Any, endpoint: Any) -> None:
    await text(exchanges, KEY, endpoint)
    endpoint.now += 239
    assert await text(exchanges, KEY, endpoint) == "token-1"
    assert endpoint.count == 1
    endpoint.now += 2  # less than a fifth is left
    assert await text(exchanges, KEY, endpoint) == "token-1"
    await landed(exchanges)
    assert await text(exchanges, KEY, endpoint) == "token-2"


async def test_thirty_seconds_count_where_a_fifth_is_less(exchanges: Any, endpoint: Any) -> None:
    endpoint.life = 100
    await text(exchanges, KEY, endpoint)
    endpoint.now += 71
    await text(exchanges, KEY, endpoint)
    await landed(exchanges)
    assert endpoint.count == 2


async def test_a_short_lived_token_is_not_renewed_all_the_time(exchanges: Any, endpoint: Any) -> None:
    endpoint.life = 20
    await text(exchanges, KEY, endpoint)
    endpoint.now += 9
    await text(exchanges, KEY, endpoint)
    assert endpoint.count == 1


async def test_an_expired_token_is_never_handed_out(exchanges: Any, endpoint: Any) -> None:
    await text(exchanges, KEY, endpoint)
    endpoint.now += 296
    assert await text(exchanges, KEY, endpoint) == "token-2"


async def test_renewing_ahead_bridges_a_provider_that_is_away_without_hammering_it(
    exchanges: Any, endpoint: Any
) -> None:
    await text(exchanges, KEY, endpoint)
    endpoint.now += 250
    endpoint.fail = ProviderUnavailable("It is away.")
    for _ in range(10):
        assert await text(exchanges, KEY, endpoint) == "token-1"
        await landed(exchanges)
    assert endpoint.count == 2
    endpoint.now += 6
    await text(exchanges, KEY, endpoint)
    await landed(exchanges)
    assert endpoint.count == 3


async def test_a_right_that_is_gone_ends_the_token_that_was_held(exchanges: Any, endpoint: Any) -> None:
    await text(exchanges, KEY, endpoint)
    endpoint.now += 250
    endpoint.fail = InvalidScope("Alice is no customer any more.")
    await text(exchanges, KEY, endpoint)
    await landed(exchanges)
    with pytest.raises(InvalidScope):
        await text(exchanges, KEY, endpoint)


async def test_a_failure_is_not_remembered(exchanges: Any, endpoint: Any) -> None:
    endpoint.fail = GrantRefused("No.")
    with pytest.raises(GrantRefused):
        await text(exchanges, KEY, endpoint)
    endpoint.fail = None
    assert await text(exchanges, KEY, endpoint) == "token-2"


async def test_a_caller_is_not_refused_for_the_stale_token_of_another(exchanges: Any) -> None:
    stale, fresh = Endpoint(), Endpoint()
    stale.fail = GrantRefused("The subject token expired.")
    gate = stale.waits()
    first = asyncio.create_task(exchanges.get(KEY, stale.obtain))
    await asyncio.sleep(0)
    second = asyncio.create_task(exchanges.get(KEY, fresh.obtain))
    await asyncio.sleep(0)
    gate.set()
    with pytest.raises(GrantRefused):
        await first
    assert (await second).access_token.reveal() == "token-1"


async def test_one_caller_s_cancellation_is_not_everybody_s(exchanges: Any, endpoint: Any) -> None:
    gate = endpoint.waits()
    impatient, patient = (asyncio.create_task(text(exchanges, KEY, endpoint)) for _ in range(2))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient == "token-1"
    assert endpoint.count == 1


async def test_the_cache_is_bounded_and_drops_what_was_used_least_lately(endpoint: Any) -> None:
    exchanges = Exchanges(endpoint.clock, capacity=2)
    keys = [replace(KEY, owner=f"https://as|{name}") for name in ("a", "b", "c")]
    for key in (keys[0], keys[1], keys[0], keys[2]):
        await text(exchanges, key, endpoint)
    assert len(exchanges) == 2
    assert await text(exchanges, keys[0], endpoint) == "token-1"
    assert await text(exchanges, keys[1], endpoint) == "token-4"
    await exchanges.aclose()


async def test_a_token_that_was_refused_is_forgotten(exchanges: Any, endpoint: Any) -> None:
    tokens = await exchanges.get(KEY, endpoint.obtain)
    exchanges.forget(tokens.access_token)
    assert await text(exchanges, KEY, endpoint) == "token-2"


async def test_signing_out_forgets_one_owner_only(exchanges: Any, endpoint: Any) -> None:
    bob = replace(KEY, owner="https://as|bob")
    await text(exchanges, KEY, endpoint)
    kept = await text(exchanges, bob, endpoint)
    exchanges.forget_owner(KEY.owner)
    assert await text(exchanges, bob, endpoint) == kept
    assert await text(exchanges, KEY, endpoint) == "token-3"


async def test_closing_ends_what_is_under_way(endpoint: Any) -> None:
    exchanges = Exchanges(endpoint.clock)
    endpoint.waits()
    waiting = asyncio.create_task(text(exchanges, KEY, endpoint))
    await asyncio.sleep(0)
    await exchanges.aclose()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_what_rests_on_a_revoked_login_is_forgotten_and_nothing_else(exchanges: Any, endpoint: Any) -> None:
    logins = [replace(KEY, login=("finport-web", sid, 1, "pwd")) for sid in ("s-1", "s-2")]
    elsewhere = replace(logins[0], issuer="https://other", owner="https://other|alice")
    for key in (*logins, elsewhere):
        await exchanges.get(key, endpoint.obtain)
    exchanges.forget_revoked(KEY.issuer, Revoked(frozenset({"s-1"})).covers_login)
    assert set(exchanges._held) == {logins[1], elsewhere}


async def test_what_was_obtained_before_a_moment_is_forgotten_a_service_s_own_too(
    exchanges: Any, endpoint: Any
) -> None:
    own = replace(KEY, owner="broker", actor=None, login=())
    for key in (KEY, own):
        await exchanges.get(key, endpoint.obtain)
    moment, endpoint.now = endpoint.now, endpoint.now + 1
    fresh = replace(own, audience="https://later")
    await exchanges.get(fresh, endpoint.obtain)
    exchanges.forget_revoked(KEY.issuer, Revoked(before=moment).covers_login)
    assert set(exchanges._held) == {fresh}
