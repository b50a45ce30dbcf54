"""A thief who reads everything on the wire to Transfer and to payments, and can do nothing with it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from stead.identity.egress import Target, shown
from stead.identity.types import Json
from stead.identity.values import AccessToken, BoundToken, Grant
from tests.agents.town import Town, challenge_of, message

TRANSFER, PAYMENTS = "transfer", "payments"
UNSAID = {"host", "content-length", "connection", "accept-encoding"}


@dataclass(frozen=True)
class Seen:
    """One request as it was on the wire: everything that a proxy, a log or a core dump has of it."""

    url: str
    headers: dict[str, str]
    body: bytes

    @property
    def token(self) -> AccessToken:
        return AccessToken(self.headers["authorization"].partition(" ")[2])


@dataclass
class Wire:
    """All that went to the two services, while Alice paid once."""

    town: Town
    seen: list[Seen] = field(default_factory=list)

    async def read(self, request: Any) -> None:
        sent = {name: text for name, text in request.headers.items() if name not in UNSAID}
        self.seen.append(Seen(str(request.url), sent, request.content))

    def calls(self, service: str) -> list[Seen]:
        """Those that make something happen."""
        network = self.town.home.network
        origin = {TRANSFER: network.agents["transfer"], PAYMENTS: network.mcp_servers["payments"]}[service]
        word = {TRANSFER: b"SendMessage", PAYMENTS: b"execute_payment"}[service]
        return [one for one in self.seen if one.url.startswith(origin) and word in one.body]


@pytest.fixture(scope="module")
async def wire(place: Town) -> AsyncIterator[Wire]:
    wire = Wire(place)
    async with place.agent("transfer") as transfer:
        place.broker.http.event_hooks = {"request": [wire.read], "response": []}
        transfer.http2.event_hooks = {"request": [wire.read], "response": []}
        task = await place.ask("alice", "send", {"payee": "Bob's savings", "amount": "250"})
        await place.authorize(challenge_of(task)["link"], place.browser("alice"))
        await place.until("alice", task["id"], "COMPLETED")
        assert len(place.payments()) == 1
        yield wire


async def sent_again(one: Seen, **headers: str | None) -> httpx.Response:
    said = {name: text for name, text in {**one.headers, **headers}.items() if text is not None}
    async with httpx.AsyncClient(trust_env=False) as thief:
        return await thief.post(one.url, content=one.body, headers=said)


def refused(answer: httpx.Response) -> None:
    assert answer.status_code == 401, answer.text
    assert answer.headers["www-authenticate"].startswith("DPoP "), answer.headers


both = pytest.mark.parametrize("service", [TRANSFER, PAYMENTS])


@both
async def test_every_call_that_moves_something_is_bound_without_any_setting(wire: Wire, service: str) -> None:
    assert wire.calls(service)
    for one in wire.calls(service):
        assert one.headers["authorization"].startswith("DPoP ")
        assert one.headers["dpop"].count(".") == 2


@both
async def test_the_stolen_token_is_no_bearer_token(wire: Wire, service: str) -> None:
    for one in wire.calls(service):
        refused(await sent_again(one, authorization=f"Bearer {one.token.reveal()}", dpop=None))
        refused(await sent_again(one, authorization=f"Bearer {one.token.reveal()}"))


@both
async def test_the_stolen_token_alone_is_nothing(wire: Wire, service: str) -> None:
    for one in wire.calls(service):
        refused(await sent_again(one, dpop=None))


@both
async def test_the_whole_request_replayed_is_refused(wire: Wire, service: str) -> None:
    for one in wire.calls(service):
        answer = await sent_again(one)
        refused(answer)
        assert "invalid_dpop_proof" in answer.headers["www-authenticate"]


@both
async def test_the_thiefs_own_key_is_the_wrong_one(wire: Wire, service: str) -> None:
    key = ECKey.generate_key("P-256")
    for one in wire.calls(service):
        forged = shown(BoundToken(one.token.reveal(), key), "POST", one.url)
        refused(await sent_again(one, **forged))


@both
async def test_a_proof_of_another_call_does_not_fit_this_one(wire: Wire, service: str) -> None:
    other = TRANSFER if service == PAYMENTS else PAYMENTS
    for one in wire.calls(service):
        refused(await sent_again(one, dpop=wire.calls(other)[-1].headers["dpop"]))
        two = f"{one.headers['dpop']}, {one.headers['dpop']}"
        refused(await sent_again(one, dpop=two))


async def test_a_token_that_was_never_bound_moves_nothing_at_transfer(wire: Wire) -> None:
    town = wire.town
    broker = town.broker
    principal = await town.person("alice")
    url = town.agents["transfer"]
    unbound = await broker.exchange(Target(url, ("transfer:create",), Grant.OBO, txn="root-task"), principal)
    assert not isinstance(unbound, BoundToken)
    body: Json = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage"}
    body["params"] = message("send", {"payee": "Bob's savings", "amount": "250"})
    async with httpx.AsyncClient(trust_env=False) as thief:
        headers = {"authorization": f"Bearer {unbound.reveal()}", "a2a-version": "1.0"}
        answer = await thief.post(f"{url}/a2a", json=body, headers=headers)
    refused(answer)


async def test_after_all_that_the_money_moved_once(wire: Wire) -> None:
    assert len(wire.town.payments()) == 1


async def test_who_asks_is_told_beforehand_that_both_take_bound_tokens_only(wire: Wire) -> None:
    network = wire.town.home.network
    async with httpx.AsyncClient(trust_env=False) as anybody:
        card = (await anybody.get(f"{network.agents['transfer']}/.well-known/agent-card.json")).json()
        resource = (await anybody.get(f"{network.mcp_servers['payments']}/.well-known/oauth-protected-resource")).json()
    (identity,) = [one for one in card["capabilities"]["extensions"] if one["uri"].endswith("identity:v1")]
    assert identity["params"]["skills"]["send"]["bound"] is True
    assert resource["stead_tools"]["execute_payment"]["bound"] is True
    assert "ES256" in resource["dpop_signing_alg_values_supported"]
