"""One setting, and every token of the network is bound to its bearer's key: it works, and a stolen one is of no use."""

import secrets
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest

from stead.demo.cli.ask import ask_as
from stead.demo.cli.session import Session, signed_in
from stead.identity.values import BoundToken
from tests.journeys.finport import FinPort, start_network, stop_network

PORTFOLIO = "Show my portfolio"
PAY = "Transfer 250 EUR to Bob's savings"


@pytest.fixture(scope="module")
def bound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FinPort]:
    """A network in which nothing goes without proof, nor a proof without a nonce of whoever gets it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEAD_DPOP", "always")
        patch.setenv("STEAD_DPOP_NONCE", "true")
        network = start_network(tmp_path_factory.mktemp("bound") / "home")
        yield network
        stop_network(network)


@pytest.fixture
async def alice(bound: FinPort) -> AsyncIterator[Session]:
    session = await signed_in(bound.home, "alice")
    yield session
    await session.close()


async def test_reading_and_paying_work_with_every_hop_bound(bound: FinPort, alice: Session) -> None:
    for goal in (PORTFOLIO, PAY):
        answer = await ask_as(alice, goal, approve=True)
        assert answer["state"] == "TASK_STATE_COMPLETED", answer
        assert all(hop["cnf"].startswith("jkt:") for hop in answer["hops"]), answer["hops"]


async def test_a_token_stolen_from_the_wire_is_of_no_use_anywhere(bound: FinPort, alice: Session) -> None:
    broker = bound.urls["broker"]
    stolen = await alice.token(broker)
    assert isinstance(stolen, BoundToken)
    body = {"jsonrpc": "2.0", "id": 1, "method": "ListTasks", "params": {}}
    async with httpx.AsyncClient(trust_env=False) as thief:
        for scheme in ("Bearer", "DPoP"):
            headers = {"authorization": f"{scheme} {stolen.reveal()}", "a2a-version": "1.0"}
            answer = await thief.post(f"{broker}/a2a", json=body, headers=headers)
            assert (answer.status_code, answer.headers["www-authenticate"].split()[0]) == (401, "DPoP")


async def test_the_web_asks_with_bound_tokens(bound: FinPort, alice: Session) -> None:
    url = bound.urls["web"]
    page = await alice.browser.visit(f"{url}/login")
    own = {"origin": url, "x-csrf-token": page.html.partition('name="csrf" content="')[2].partition('"')[0]}
    said = {"text": PORTFOLIO, "message_id": secrets.token_hex(12)}
    asked = await alice.http.post(f"{url}/ask", json=said, headers=own)
    assert asked.status_code == 202, asked.text
    assert (await alice.http.get(f"{url}/network")).status_code == 200
