"""The broker while the key service of its vault is away."""

from typing import Any

import pytest

from stead.broker.edge.card import REST_PATH
from stead.broker.executor.office import current
from stead.identity.errors import ProviderUnavailable
from stead.identity.vault_keys import KeyService, Wrapped
from tests.broker.world import Person, message, state

GOAL = "Show my portfolio"


class Away:
    """A key service that is away, with the keys that were there before."""

    def __init__(self, keys: KeyService) -> None:
        self._keys = keys
        self.is_back = False

    def current(self) -> str:
        return self._keys.current()

    def knows(self, by: str) -> bool:
        return self._keys.knows(by)

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        return self._there().wrap(key, context)

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        return self._there().unwrap(wrapped, context)

    def _there(self) -> KeyService:
        if not self.is_back:
            raise ProviderUnavailable("The key service cannot be reached.", hint="Try again in a moment.")
        return self._keys


@pytest.fixture
def away(alice: Person, monkeypatch: pytest.MonkeyPatch) -> Away:
    vault: Any = current().subjects.vault._vault
    keys = Away(vault.keys)
    monkeypatch.setattr(vault, "keys", keys)
    return keys


@pytest.mark.parametrize("method", ["SendMessage", "SendStreamingMessage"])
async def test_a_task_whose_token_cannot_be_kept_is_refused_as_unavailable_and_may_be_asked_again(
    alice: Person, away: Away, method: str
) -> None:
    asked = message(GOAL, key=f"away-{method}")
    url = f"{alice.world.network.broker}/a2a"
    body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": asked}
    refused = await alice.http.post(url, json=body, headers=alice.headers)
    assert refused.status_code == 503
    error = refused.json()["error"]
    assert (refused.json()["id"], error["code"]) == (7, -32053)
    assert error["data"] == [{"reason": "TEMPORARILY_UNAVAILABLE", "hint": "Try again in a moment."}]
    assert alice.token not in refused.text
    away.is_back = True
    task = (await alice.rpc("SendMessage", asked))["result"]["task"]
    assert state(task) == "COMPLETED"


async def test_over_rest_it_is_unavailable_too(alice: Person, away: Away) -> None:
    url = f"{alice.world.network.broker}{REST_PATH}/message:send"
    refused = await alice.http.post(url, json=message(GOAL, key="away-rest"), headers=alice.headers)
    assert refused.status_code == 503
    assert (refused.json()["error"], refused.json()["hint"]) == ("temporarily_unavailable", "Try again in a moment.")
    away.is_back = True
    again = await alice.http.post(url, json=message(GOAL, key="away-rest"), headers=alice.headers)
    assert state(again.json()["task"]) == "COMPLETED"
