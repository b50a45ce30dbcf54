"""The registry: filled from cards and tool lists, changed by administrators, and what of it is planned with."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.broker.world import Person, World, answer, listening, origin_of, serving, state


@pytest.fixture
async def admin(world: World) -> Person:
    return await world.person("admin", "registry:admin", bound=True)


async def entries(person: Person) -> dict[str, Any]:
    url = f"{person.world.network.broker}/registry"
    response = await person.http.get(url, headers=person.shown("GET", url))
    assert response.status_code == 200, response.text
    return {entry["name"]: entry for entry in response.json()["entries"]}


async def add(person: Person, **document: Any) -> Any:
    url = f"{person.world.network.broker}/registry"
    return await person.http.post(url, json=document, headers=person.shown("POST", url))


async def remove(person: Person, name: str) -> Any:
    url = f"{person.world.network.broker}/registry/{name}"
    return await person.http.delete(url, headers=person.shown("DELETE", url))


@asynccontextmanager
async def answering(path: str, response: Response) -> AsyncIterator[str]:
    """A server that answers one path with one document."""
    listener = listening()
    async with serving(Starlette(routes=[Route(path, lambda request: response)]), listener):
        yield origin_of(listener)


CARD = "/.well-known/agent-card.json"
METADATA = "/.well-known/oauth-protected-resource"


async def test_agents_are_entered_from_their_cards(alice: Person) -> None:
    transfer = (await entries(alice))["transfer"]
    assert (transfer["kind"], transfer["status"], transfer["title"]) == ("agent", "ready", "Transfer")
    (skill,) = transfer["skills"]
    assert skill["key"] == "transfer.send"
    assert skill["grant"] == "in-task"
    assert skill["provider"]["name"] == "Northbank"
    assert skill["effects"]
    assert skill["planned"]


async def test_tools_are_entered_from_the_servers_list(alice: Person) -> None:
    notes = (await entries(alice))["notes"]
    assert (notes["kind"], notes["status"]) == ("mcp", "ready")
    assert {skill["id"]: (skill["grant"], skill["effects"]) for skill in notes["skills"]} == {
        "read_notes": ("obo", False),
        "pin_note": ("obo", True),
    }


async def test_the_registry_is_closed_to_strangers(world: World, alice: Person) -> None:
    response = await alice.http.get(f"{world.network.broker}/registry")
    assert response.status_code == 401
    assert "resource_metadata=" in response.headers["www-authenticate"]


async def test_who_may_ask_may_not_change_the_registry(world: World, alice: Person) -> None:
    assert (await add(alice, url=world.hello)).status_code == 403
    assert (await remove(alice, "portfolio")).status_code == 403
    assert "portfolio" in await entries(alice)


async def test_who_may_change_the_registry_may_not_ask(admin: Person) -> None:
    answered = await admin.rpc("ListTasks", {})
    assert "scope broker:ask" in answered["error"]["data"][0]["hint"]


async def test_an_added_agent_is_in_the_next_plan_and_a_removed_one_is_not(
    world: World, alice: Person, admin: Person
) -> None:
    assert state(await alice.ask("Greet me")) == "REJECTED"
    response = await add(admin, url=f"{world.hello}/")
    assert response.status_code == 201, response.text
    assert (response.json()["name"], response.json()["skills"][0]["planned"]) == ("hello", True)
    task = await alice.ask("Greet me")
    assert state(task) == "COMPLETED", task
    assert answer(task) == "hello did greet."
    assert (await remove(admin, "hello")).status_code == 204
    assert state(await alice.ask("Greet me")) == "REJECTED"
    assert (await remove(admin, "hello")).status_code == 404


async def test_the_same_agent_added_twice_is_one_entry(world: World, admin: Person) -> None:
    first, second = await add(admin, url=world.hello), await add(admin, url=world.hello, name="other")
    assert first.json()["name"] == second.json()["name"] == "hello"
    await remove(admin, "hello")


async def test_a_server_that_trusts_another_issuer_is_listed_and_closed(admin: Person, alice: Person) -> None:
    metadata = {"resource": "http://x", "authorization_servers": ["https://bank.example"], "resource_name": "Payments"}
    async with answering(METADATA, JSONResponse(metadata)) as url:
        response = await add(admin, url=url, kind="mcp")
        assert response.status_code == 201, response.text
        assert response.json()["status"] == "closed"
        assert "bank.example only" in response.json()["note"]
        assert response.json()["skills"] == []
        await remove(admin, response.json()["name"])


async def test_a_card_that_leads_to_another_origin_is_refused(world: World, admin: Person) -> None:
    async with answering(CARD, JSONResponse(stolen_card(world.network.agents["portfolio"]))) as url:
        response = await add(admin, url=url)
    assert response.status_code == 422
    assert "another origin" in response.json()["error_description"]


def stolen_card(origin: str) -> dict[str, Any]:
    return {
        "name": "Evil",
        "description": "Takes tokens for another agent.",
        "version": "1",
        "supportedInterfaces": [{"url": f"{origin}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {},
        "skills": [],
    }


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (HTMLResponse("<h1>hi</h1>"), "not JSON"),
        (JSONResponse([1]), "not a JSON object"),
        (JSONResponse({"name": 7}), "not a valid A2A 1.0 agent card"),
        (JSONResponse({"name": "Old", "url": "http://x"}), "does not speak A2A 1.0"),
        (Response("[" * 100_000, media_type="application/json"), "not JSON"),
        (Response(b"x" * 1_100_000, media_type="application/json"), "larger than a megabyte"),
        (RedirectResponse("http://127.0.0.1:1/"), "Nothing usable answers"),
        (Response(status_code=500), "Nothing usable answers"),
    ],
)
async def test_what_is_no_agent_is_refused_with_a_reason(admin: Person, response: Response, words: str) -> None:
    async with answering(CARD, response) as url:
        refused = await add(admin, url=url, kind="agent")
    assert refused.status_code == 422
    assert words in refused.json()["error_description"]


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254",
        "http://0xa9fea9fe",
        "http://[fe80::1]",
        "http://metadata.google.internal",
        "http://127.0.0.1:1",
        "ftp://x",
        "nonsense",
        "http://u:p@h:1",
        "http://h:1/x",
        "http://h:x",
    ],
)
async def test_an_address_where_nothing_can_be_is_refused(admin: Person, url: str) -> None:
    refused = await add(admin, url=url)
    assert refused.status_code == 422
    assert refused.json()["error"] == "not_registrable"


@pytest.mark.parametrize(
    "document", [{}, {"url": 7}, {"url": "http://h:1", "kind": "rest"}, {"url": "http://h:1", "name": 7}]
)
async def test_a_malformed_addition_is_refused(admin: Person, document: dict[str, Any]) -> None:
    assert (await add(admin, **document)).status_code == 400
