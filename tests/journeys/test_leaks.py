"""No token leaves the requests that it is made for: a word planted in every one is found nowhere, however encoded."""

import asyncio
import base64
import gzip
import json
import os
import pickle
import secrets
import shutil
import signal
import sqlite3
import time
import urllib.parse
import zlib
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from a2a.types import TaskState

from stead.demo.cli.ask import ask_as
from stead.demo.cli.broker import ENDED, Broker, challenges
from stead.demo.cli.session import Session, signed_in
from stead.identity import vaults
from stead.identity.driver import drive
from stead.identity.errors import ConfigurationError
from stead.identity.flows import ClientIdentity, Metadata, begin, discover, redeem, validate_callback
from stead.identity.flows.client_credentials import s2s
from stead.identity.flows.pushed_authorization import push
from stead.identity.flows.token_exchange import obo
from stead.identity.home import Home
from stead.identity.peek import peek_claims
from stead.identity.samples import ALICE, BOB
from stead.identity.server import ServerSettings
from stead.identity.settings import Settings
from stead.identity.values import AccessToken
from stead.identity.vault_keys import Wrapped
from stead.identity.vaults import VaultSettings
from tests.journeys.finport import FinPort, start_network
from tests.journeys.leaks import Search, told
from tests.journeys.processes import kill

TREND = "How will AAPL and MSFT trend, and what are they worth in my portfolio?"
PAY = "Transfer 4 EUR to Bob's savings"


@dataclass
class Left:
    """What a network said and kept, and the credentials that were in use meanwhile."""

    canary: str
    claims: dict[str, dict[str, Any]] = field(default_factory=dict)
    secrets: set[str] = field(default_factory=set)
    said: dict[str, bytes] = field(default_factory=dict)
    alive: Path = Path()
    ended: Path = Path()


class Tape:
    """Keeps every answer that an HTTP client gets, but those of a token endpoint."""

    def __init__(self, left: Left, who: str) -> None:
        self._left, self._who = left, who

    async def __call__(self, reply: httpx.Response) -> None:
        if reply.url.path == "/token" or "event-stream" in reply.headers.get("content-type", ""):
            return
        await reply.aread()
        head = f"{reply.status_code} {reply.headers.multi_items()}\n".encode()
        place = f"{self._who} {reply.request.method} {reply.url.host}{reply.url.path}"
        self._left.said[place] = self._left.said.get(place, b"") + head + reply.content


@pytest.fixture(scope="module")
async def left(tmp_path_factory: pytest.TempPathFactory) -> Left:
    """All that is left of a network on which much happened."""
    folder = tmp_path_factory.mktemp("leaks")
    seen = Left("tenant" + secrets.token_hex(12))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STEAD_ISSUER_CLAIMS", json.dumps({"tenant": seen.canary}))
        finport = start_network(folder / "home")
    try:
        await played(finport, seen)
        seen.alive, seen.ended = folder / "alive", finport.home.path
        await copied_in_the_middle_of_a_task(finport, seen)
    finally:
        finport.launcher.send_signal(signal.SIGINT)
        out, err = finport.launcher.communicate(timeout=30)
    seen.said |= {"launcher stdout": out, "launcher stderr": err}
    return seen


async def played(finport: FinPort, left: Left) -> None:
    """Scenes, refusals, an approval through a restart, bad calls, every page and every export."""
    async with recorded(finport, left, "alice") as alice, recorded(finport, left, "bob") as bob:
        transfer = await ask_as(alice, "Transfer 250 EUR to Bob's savings", approve=True)
        trend = await ask_as(alice, TREND)
        refused = await ask_as(bob, PAY)
        states = [one["state"].removeprefix("TASK_STATE_") for one in (transfer, trend, refused)]
        assert states == ["COMPLETED", "COMPLETED", "REJECTED"]
        left.said["answers"] = json.dumps([transfer, trend, refused]).encode()
        await declined(alice)
        await restarted(finport, alice)
        await bad_calls(finport, left, await every_kind(finport, alice, left))
    await commands(finport, left, transfer["task"])
    await web(finport, left, transfer["task"])


@asynccontextmanager
async def recorded(finport: FinPort, left: Left, person: str, who: str = "") -> AsyncIterator[Session]:
    """A person's session; what it is answered is kept, and its cookies and refresh token are never to be found."""
    session = await signed_in(finport.home, person)
    session.http.event_hooks["response"].append(Tape(left, who or person))
    try:
        yield session
    finally:
        cookies = {cookie.value or "" for cookie in session.http.cookies.jar}
        left.secrets |= {value for value in cookies if len(value) >= 16}
        left.secrets |= {session._refresh.reveal()} if session._refresh else set()
        await session.close()


@asynccontextmanager
async def waiting(session: Session) -> AsyncIterator[tuple[Broker, str, dict[str, Any]]]:
    """A transfer that waits for its person: the broker, the task, and what the person is asked."""
    broker = Broker(session)
    try:
        async for task in broker.follow(PAY):
            if challenges(task):
                break
        yield broker, task.id, challenges(task)[0]
    finally:
        await broker.close()


async def ended(broker: Broker, task: str) -> int:
    async with asyncio.timeout(60):
        while (state := (await broker.task(task)).status.state) not in ENDED:
            await asyncio.sleep(0.1)
    return state


async def declined(alice: Session) -> None:
    async with waiting(alice) as (broker, task, challenge):
        await broker.decline(task, challenge["id"])
        assert await ended(broker, task) == TaskState.TASK_STATE_REJECTED


async def copied_in_the_middle_of_a_task(finport: FinPort, left: Left) -> None:
    """Keeps the files as they are while a task waits for its person, and then lets it end."""
    async with recorded(finport, left, "alice") as alice, waiting(alice) as (broker, task, challenge):
        shutil.copytree(finport.home.path, left.alive)
        await broker.decline(task, challenge["id"])
        await ended(broker, task)
    async with asyncio.timeout(30):
        while any(entries(finport.home).values()):
            await asyncio.sleep(0.1)


def entries(home: Home) -> dict[str, int]:
    """How many secrets each vault of a network holds."""
    counted = {}
    for name in vaults.names(home):
        with closing(sqlite3.connect(home.database(name))) as database:
            counted[name] = int(database.execute("SELECT count(*) FROM entries").fetchone()[0])
    return counted


async def restarted(finport: FinPort, alice: Session) -> None:
    async with waiting(alice) as (broker, task, challenge):
        await kill(finport, "broker")
        await kill(finport, "agents.transfer")
        await alice.approve(challenge["link"])
        assert await ended(broker, task) == TaskState.TASK_STATE_COMPLETED


async def every_kind(finport: FinPort, alice: Session, left: Left) -> dict[str, AccessToken]:
    """One token of each kind that the two issuers mint, obtained as whoever it is for would obtain it."""
    network, home = finport.home.network, finport.home
    corporate = await drive(discover(network.corporate_idp), alice.http)

    def client(name: str) -> ClientIdentity:
        return ClientIdentity(name, home.key(name), network.corporate_idp)

    async def stand_in(name: str, subject: AccessToken, audience: str, scope: str) -> AccessToken:
        flow = obo(client(name), corporate, subject_token=subject, audience=audience, scopes=(scope,), now=time.time())
        return (await drive(flow, alice.http)).access_token

    portfolio, holdings, quotes = (
        network.agents["portfolio"],
        network.mcp_servers["holdings"],
        network.mcp_servers["quotes"],
    )
    login = await alice.token(network.broker)
    once = await stand_in("broker", login, portfolio, "portfolio:read")
    service = s2s(client("market-data-agent"), corporate, audience=quotes, scopes=("quotes:read",), now=time.time())
    made = {
        "login": login,
        "on behalf": once,
        "on behalf, twice": await stand_in("portfolio-agent", once, holdings, "holdings:read"),
        "service": (await drive(service, alice.http)).access_token,
    }
    left.claims |= {kind: dict(peek_claims(token)) for kind, token in made.items()}
    made["bank"] = await approved_at_the_bank(finport, alice, left)
    return made


async def approved_at_the_bank(finport: FinPort, alice: Session, left: Left) -> AccessToken:
    network, home = finport.home.network, finport.home
    bank: Metadata = await drive(discover(network.bank_idp), alice.http)
    payments, callback = network.mcp_servers["payments"], f"{network.agents['transfer']}/callback"
    client = ClientIdentity("transfer-agent", home.key("transfer-agent"), network.bank_idp)
    details = {
        "type": "payment_initiation",
        "actions": ["initiate"],
        "locations": [payments],
        "instructedAmount": {"currency": "EUR", "amount": "5.00"},
        "creditorName": BOB.name,
        "creditorAccount": {"iban": BOB.accounts[0].iban},
        "endToEndId": secrets.token_hex(8),
        "task_id": secrets.token_hex(8),
    }
    asked = begin(
        client,
        bank,
        redirect_uri=callback,
        scopes=("openid", "payments"),
        resources=(payments,),
        authorization_details=(details,),
    )
    asked = await drive(push(client, bank, asked, now=time.time()), alice.http)
    page = await alice.browser.visit(asked.url, until=callback)
    answer = urllib.parse.parse_qsl(urllib.parse.urlsplit(page.url).query)
    flow = redeem(client, bank, asked, validate_callback(asked, answer), now=time.time())
    tokens = await drive(flow, alice.http)
    left.claims |= {"bank": dict(peek_claims(tokens.access_token)), "bank ID token": dict(tokens.id_token or {})}
    return tokens.access_token


async def bad_calls(finport: FinPort, left: Left, tokens: dict[str, AccessToken]) -> None:
    """Tokens where they do not belong, and requests that are none: the answers and logs must not repeat them."""
    urls = finport.urls
    doors = [f"{urls['broker']}/a2a", *(f"{url}/a2a" for url in urls["agents"].values())]
    doors += [f"{url}/mcp" for url in urls["mcp_servers"].values()]
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    listing = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}
    left_with = Tape(left, "stranger")
    async with httpx.AsyncClient(timeout=30, trust_env=False, event_hooks={"response": [left_with]}) as http:
        for kind, token in tokens.items():
            bearer = {"authorization": f"Bearer {token.reveal()}"}
            altered = {"authorization": f"Bearer {token.reveal()[:-8]}AAAAAAAA"}
            for door in doors:
                await http.post(door, json=call, headers={**bearer, **listing})
                await http.post(door, json=call, headers={**altered, **listing})
                await http.post(door, content=b'{"jsonrpc": "2.0", "id": 1, "method": ', headers=bearer)
                await http.post(door, content=token.reveal(), headers={**bearer, "content-type": "application/json"})
                await http.post(door, json=misplaced(token), headers={**bearer, **listing})
                await http.get(f"{door}/{token.reveal()}", params={"access_token": token.reveal()})
            for idp in (urls["corporate_idp"], urls["bank_idp"]):
                await http.get(f"{idp}/userinfo", headers=bearer)
                await http.get(f"{idp}/authorize", params={"client_id": token.reveal(), "state": token.reveal()})
                for path in ("revoke", "introspect", "par"):
                    form = {"token": token.reveal(), "client_assertion": token.reveal()}
                    await http.post(f"{idp}/{path}", data=form)
            assert left.said[f"stranger POST {httpx.URL(urls['broker']).host}/a2a"], kind


def misplaced(token: AccessToken) -> dict[str, Any]:
    """A call that holds a token where a name belongs."""
    params = {"name": token.reveal(), "arguments": {"symbols": [token.reveal()]}, "id": token.reveal()}
    return {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": params}


async def commands(finport: FinPort, left: Left, task: str) -> None:
    """What the command line prints."""
    for words in (
        ("ask", TREND, "--as", "alice", "--json"),
        ("ask", PAY, "--as", "carol", "--approve"),
        ("plan", PAY, "--as", "alice", "--json"),
        ("trail", "export", task, "--json"),
        ("trail", "export", task, "--mermaid"),
        ("trail", "export", task, "--svg"),
        ("trail", "show", task),
        ("trail", "verify", "--as", "admin", "--json"),
        ("trail", "who", "--task", task),
        ("trail", "for", "--user", "alice"),
        ("trail", "events", "raw"),
        ("trail", "events", "ocsf"),
        ("trail", "keys"),
        ("vault", "rotate", "--json"),
        ("vault", "status", "--json"),
        ("registry", "list", "--json", "--as", "admin"),
        ("agents", "show", "transfer", "--json"),
    ):
        code, out, err = await finport.stead(*words)
        assert code == 0, (words, err)
        left.said[f"stead {words[:3]}"] = out.encode() + err.encode()


async def web(finport: FinPort, left: Left, task: str) -> None:
    """What a signed-in person's browser is sent."""
    async with recorded(finport, left, "alice", "browser of alice") as alice:
        url = finport.urls["web"]
        page = await alice.browser.visit(f"{url}/login")
        assert page.status == 200
        own = {"origin": url, "x-csrf-token": page.html.partition('name="csrf" content="')[2].partition('"')[0]}
        said = {"text": "Show my portfolio", "message_id": secrets.token_hex(12)}
        asked = await alice.http.post(f"{url}/ask", json=said, headers=own)
        assert asked.status_code == 202, asked.text
        for path in (
            "/",
            "/session",
            "/state",
            "/network",
            *(f"/tasks/{task}/{what}" for what in ("trail", "plan", "raw")),
        ):
            assert (await alice.http.get(f"{url}{path}")).status_code == 200, path
        for cheat in ("audience", "nobody", "altered", "unsigned", "widen", "approval"):
            assert (await alice.http.post(f"{url}/cheats/{cheat}", json={}, headers=own)).status_code == 200, cheat
        left.said["events of the web"] = await streamed(alice.http, f"{url}/events")
        form = {"csrf": own["x-csrf-token"]}
        over = await alice.http.post(f"{url}/logout", data=form, headers={"origin": url}, follow_redirects=False)
        assert over.status_code == 303


async def streamed(http: httpx.AsyncClient, url: str) -> bytes:
    seen = b""
    async with http.stream("GET", url) as reply:
        assert reply.status_code == 200
        try:
            async with asyncio.timeout(2):
                async for chunk in reply.aiter_bytes():
                    seen += chunk
        except TimeoutError:
            pass
    return seen


async def test_the_canary_is_in_every_token_of_both_issuers(left: Left) -> None:
    assert {kind: claims.get("tenant") for kind, claims in left.claims.items()} == dict.fromkeys(
        ("login", "on behalf", "on behalf, twice", "service", "bank", "bank ID token"), left.canary
    )
    assert left.claims["on behalf, twice"]["act"] == {"sub": "portfolio-agent", "act": {"sub": "broker"}}
    assert left.claims["bank"]["sub"] == ALICE.bank_subject


async def test_no_file_of_the_network_holds_a_token(left: Left) -> None:
    search = Search(left.canary, *left.secrets)
    found = search.folder(left.alive) | search.folder(left.ended)
    assert not found, told(found)


async def test_no_database_of_a_network_in_the_middle_of_a_task_holds_a_plain_key(left: Left) -> None:
    home = Home(left.alive)
    databases = b"".join(path.read_bytes() for path in home.folder("data").iterdir())
    data_keys = [key for name in vaults.names(home) for key in _data_keys(home, name)]
    wrapping = [path.read_bytes() for path in home.folder("secrets").iterdir()]
    assert len(data_keys) >= 5, "a task was waiting: there is more than the naming keys of broker, web and agent"
    assert not any(key in databases or key.hex().encode() in databases for key in (*data_keys, *wrapping))


async def test_every_secret_is_gone_at_the_end_of_its_task_or_session(left: Left) -> None:
    """Whatever way a task ended: done, declined, refused, through a restart of broker and agent."""
    alive = entries(Home(left.alive))
    assert alive["broker-vault"] >= 1
    assert alive["transfer-agent-vault"] >= 1
    after = entries(Home(left.ended))
    assert after == dict.fromkeys(after, 0)
    assert {"broker-vault", "transfer-agent-vault", "web-vault"} <= after.keys()


def _data_keys(home: Home, name: str) -> Iterator[bytes]:
    service = VaultSettings().service(home, name)
    with closing(sqlite3.connect(home.database(name))) as database:
        for place, by, sealed in database.execute("SELECT place, wrapped_by, wrapped FROM data_keys"):
            yield service.unwrap(Wrapped(by, sealed), place)


async def test_no_page_answer_export_or_output_holds_a_token(left: Left) -> None:
    assert len(left.said) > 60
    search = Search(left.canary)
    found = {leak for place, data in left.said.items() for leak in search.data(place, data)}
    assert not found, told(found)


async def test_there_was_something_to_find(left: Left) -> None:
    """The same search finds what is rightly there: in databases, logs of the audit, pages and exports."""
    kept = {leak.place for leak in Search(ALICE.accounts[0].iban, PAY).folder(left.ended)}
    assert any(place.startswith("data/payments-mcp.db payments") for place in kept), kept
    assert any(place.startswith("data/broker") for place in kept), kept
    journals = {leak.place for leak in Search("payments.execute_payment").folder(left.ended)}
    assert {"audit/transfer-agent.jsonl", "audit/payments-mcp.jsonl"} <= journals
    said = {place for place, data in left.said.items() if Search("portfolio.summary").data(place, data)}
    assert any(place.startswith("browser of alice") for place in said), said
    assert "answers" in said


@pytest.mark.parametrize("claim", ["sub", "act", "authorization_details", "cnf", "transfer_limit"])
def test_an_operator_cannot_plant_a_claim_that_gives_a_right(home: Home, claim: str) -> None:
    with pytest.raises(ConfigurationError, match="own to make"):
        ServerSettings("http://127.0.0.2:1", "Any", "corporate", home, "key", extra_claims={claim: "x"})


def test_claims_for_the_issuers_are_read_from_the_file(home: Home) -> None:
    (home.folder(".") / "stead.yaml").write_text("issuer_claims: {tenant: acme}\n")
    assert Settings.load(home).issuer_claims == {"tenant": "acme"}


WORD = "tenant" + "5e1f0c" * 4
ENCODINGS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "base64": base64.b64encode,
    "base64url": base64.urlsafe_b64encode,
    "base64 of base64": lambda data: base64.b64encode(base64.b64encode(data)),
    "base64, shifted by one": lambda data: base64.b64encode(b"x" + data),
    "base64, shifted by two": lambda data: base64.b64encode(b"xy" + data),
    "base64, without padding": lambda data: base64.urlsafe_b64encode(b"x" + data).rstrip(b"="),
    "hex": lambda data: data.hex().encode(),
    "hex, upper case": lambda data: data.hex().upper().encode(),
    "percent": lambda data: b"".join(b"%%%02X" % byte for byte in data),
    "percent, twice": lambda data: b"".join(b"%%25%02X" % byte for byte in data),
    "JSON escapes": lambda data: b"".join(b"\\u%04x" % byte for byte in data),
    "JSON in JSON": lambda data: json.dumps(json.dumps({"a": data.decode()})).encode(),
    "HTML": lambda data: b"".join(b"&#x%x;" % byte for byte in data),
    "UTF-16": lambda data: data.decode().encode("utf-16"),
    "base64 of UTF-16": lambda data: base64.b64encode(data.decode().encode("utf-16")),
    "zlib": zlib.compress,
    "zlib, stored": lambda data: zlib.compress(data, 0),
    "gzip": gzip.compress,
    "pickle": pickle.dumps,
    "base64 of pickle": lambda data: base64.b64encode(pickle.dumps({"token": data.decode()})),
    "base64 of zlib of pickle": lambda data: base64.b64encode(zlib.compress(pickle.dumps({"token": data}))),
    "gzip of base64": lambda data: gzip.compress(base64.b64encode(data)),
}


def jwt(claims: dict[str, Any]) -> bytes:
    parts = ({"alg": "ES256", "kid": "k", "typ": "at+jwt"}, claims)
    signed = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in parts]
    return b".".join([*signed, base64.urlsafe_b64encode(b"s" * 64).rstrip(b"=")])


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("glued", [b"", b"SUCCESS", b"ab"])
def test_the_search_finds_a_planted_word_in_every_encoding(encoding: str, glued: bytes) -> None:
    planted = b'{"before": "\xff' + glued + ENCODINGS[encoding](WORD.encode()) + b'", "after": 1}'
    assert Search(WORD).data("here", planted)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_search_finds_a_token_in_every_encoding(encoding: str) -> None:
    token = jwt({"iss": "http://127.0.0.2:1", "a": "b", "tenant": WORD})
    found = Search(WORD).data("here", b'"' + ENCODINGS[encoding](token) + b'"')
    assert found
    assert any("JWT" in leak.how for leak in Search("another word, of length").data("here", ENCODINGS[encoding](token)))


def test_the_search_finds_a_word_in_a_database_and_in_its_log(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE kept (a TEXT, b BLOB)")
        connection.execute("INSERT INTO kept VALUES ('x', ?)", (base64.b64encode(zlib.compress(WORD.encode())),))
        connection.commit()
        places = {leak.place for leak in Search(WORD).folder(tmp_path)}
        assert {"a.db kept", "a.db-wal"} <= places
    assert {leak.place for leak in Search(WORD).folder(tmp_path)} == {"a.db", "a.db kept"}


def test_the_search_finds_a_word_in_the_name_of_a_file(tmp_path: Path) -> None:
    (tmp_path / WORD).write_bytes(b"")
    assert Search(WORD).folder(tmp_path)


def test_the_search_finds_nothing_in_what_holds_nothing() -> None:
    innocent = os.urandom(200_000) + base64.b64encode(os.urandom(200_000)) + secrets.token_hex(50_000).encode()
    assert not Search(WORD).data("here", innocent)
