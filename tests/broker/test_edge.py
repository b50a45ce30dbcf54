"""The broker as an A2A agent at its edge: its card, its two bindings, and bad input of every kind."""

import json
from typing import Any

import pytest

from tests.broker.world import Person, World, answer, message, state


async def test_the_card_shows_what_the_network_can_be_asked(world: World, alice: Person) -> None:
    card = (await alice.http.get(f"{world.network.broker}/.well-known/agent-card.json")).json()
    assert "Show my portfolio" in card["skills"][0]["examples"]
    assert card["capabilities"]["streaming"]
    assert card["supportedInterfaces"][0]["url"] == f"{world.network.broker}/a2a"


async def test_the_metadata_names_issuer_and_scopes(world: World, alice: Person) -> None:
    told = (await alice.http.get(f"{world.network.broker}/.well-known/oauth-protected-resource")).json()
    assert told["authorization_servers"] == [world.network.corporate_idp]
    assert set(told["scopes_supported"]) == {"broker:ask", "registry:admin", "task:notify"}


async def test_the_rest_binding_does_the_same(world: World, alice: Person) -> None:
    response = await alice.http.post(
        f"{world.network.broker}/rest/message:send", json=message("Show my portfolio"), headers=alice.headers
    )
    assert response.status_code == 200, response.text
    task = response.json()["task"]
    assert (state(task), answer(task)) == ("COMPLETED", "portfolio did summary.")
    seen = await alice.http.get(f"{world.network.broker}/rest/tasks/{task['id']}", headers=alice.headers)
    assert seen.json()["id"] == task["id"]


@pytest.mark.parametrize(
    "path", ["/a2a", "/rest/message:send", "/rest/message:stream", "/rest/tasks", "/registry", "/push"]
)
async def test_nothing_is_served_without_a_token(world: World, alice: Person, path: str) -> None:
    body: Any = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message("Show my portfolio")}
    response = await alice.http.post(f"{world.network.broker}{path}", json=body)
    assert response.status_code == 401


@pytest.mark.parametrize("path", ["/a2a", "/rest/message:send", "/rest/tasks"])
async def test_a_token_without_the_scope_asks_nothing(world: World, path: str) -> None:
    admin = await world.person("admin", "registry:admin")
    body: Any = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": message("Show my portfolio")}
    response = await admin.http.post(f"{world.network.broker}{path}", json=body, headers=admin.headers)
    assert response.status_code in (403, 405)
    assert not world.agents["portfolio"].calls


@pytest.mark.parametrize("path", ["/acme/rest/message:send", "/acme/a2a", "/rest/acme/message:send", "/docs", "/"])
async def test_no_other_path_reaches_the_methods(world: World, alice: Person, path: str) -> None:
    response = await alice.http.post(
        f"{world.network.broker}{path}", json=message("Show my portfolio"), headers=alice.headers
    )
    assert response.status_code == 404
    assert not world.agents["portfolio"].calls


BAD = [
    (b"{", -32700),
    (b"[]", -32600),
    (b"[" * 100_000, -32700),
    (b'{"jsonrpc":"2.0","id":1,"id":2,"method":"GetTask"}', -32700),
    (b'{"jsonrpc":"2.0","id":1,"method":"NoSuchMethod","params":{}}', -32601),
    (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{"message":7}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"SendMessage","params":{}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"nope"}}', -32001),
    (b'{"jsonrpc":"2.0","id":1,"method":"GetTask","params":{"id":"nope","historyLength":-1}}', -32602),
    (b'{"jsonrpc":"2.0","id":1,"method":"GetExtendedAgentCard","params":{}}', -32007),
    (
        b'{"jsonrpc":"2.0","id":1,"method":"CreateTaskPushNotificationConfig","params":{"taskId":"a","url":"http://x"}}',
        -32003,
    ),
]


@pytest.mark.parametrize(("body", "code"), BAD)
async def test_bad_input_gets_an_error_of_the_protocol(world: World, alice: Person, body: bytes, code: int) -> None:
    headers = {**alice.headers, "content-type": "application/json"}
    response = await alice.http.post(f"{world.network.broker}/a2a", content=body, headers=headers)
    assert response.status_code < 500
    assert response.json()["error"]["code"] == code, response.text
    assert "Traceback" not in response.text


async def test_a_huge_body_is_refused(world: World, alice: Person) -> None:
    response = await alice.http.post(
        f"{world.network.broker}/a2a",
        content=b" " * 1_000_000,
        headers={**alice.headers, "content-type": "application/json"},
    )
    assert response.status_code == 413


async def test_a_message_id_that_is_no_key_is_refused(alice: Person) -> None:
    answered = await alice.rpc("SendMessage", message("Show my portfolio", key="k" * 129))
    assert answered["error"]["code"] == -32602


async def test_a_message_to_no_task_is_refused(alice: Person) -> None:
    answered = await alice.rpc("SendMessage", message("Show my portfolio", task="0" * 36))
    assert answered["error"]["code"] == -32001


async def test_a_finished_task_takes_no_message(alice: Person) -> None:
    task = await alice.ask("Show my portfolio")
    answered = await alice.rpc("SendMessage", message("and now?", task=task["id"]))
    assert answered["error"]["code"] == -32004


async def test_tasks_are_listed_newest_first(alice: Person) -> None:
    made = [(await alice.ask("Show my portfolio"))["id"] for _ in range(2)]
    listed = [task["id"] for task in (await alice.rpc("ListTasks", {"pageSize": 2}))["result"]["tasks"]]
    assert listed == made[::-1]


async def test_odd_words_do_no_harm(alice: Person) -> None:
    for goal in (
        "'; DROP TABLE tasks; --",
        "<script>alert(1)</script>",
        "\u202eoiloftrop ym wohS",
        "💸" * 500,
        "a" * 5000,
    ):
        task = await alice.ask(goal)
        assert state(task) == "REJECTED"
        json.dumps(task)
