"""Clients that want it are told that a session ended: by a good logout token, until they have it, nowhere unsafe."""

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from stead.demo.network.addresses import network_of
from stead.demo.network.providers import corporate
from stead.identity.driver import fetch
from stead.identity.home import Home
from stead.identity.jwks import JwksCache
from stead.identity.server import Seed, logout_notices
from stead.identity.server.logout_notices import address_of, is_address
from stead.identity.server.store import Store
from stead.identity.signals.logout_token import Logout, logout_policy, read_logout
from stead.identity.verification import decode
from tests.agents.town import serving
from tests.identity.signalling import service
from tests.providers.oidc_provider import free_issuer as free_address
from tests.server.admission import metadata_of, register
from tests.server.issuers import BROKER, corporate_seed, issuer_of
from tests.server.parties import Login, answered, claims_of
from tests.server.world import World

WITHIN = 5.0
Answer = Callable[[int], Awaitable[Response]]


@dataclass
class Receiver:
    """A client's door. `answer` is told which attempt it is."""

    url: str
    told: "asyncio.Queue[str]" = field(default_factory=asyncio.Queue)
    answer: Answer | None = None
    attempts: int = 0

    @property
    def uri(self) -> str:
        return f"{self.url}/out?of=here"

    def app(self) -> Starlette:
        async def out(request: Request) -> Response:
            self.attempts += 1
            async with request.form() as form:
                assert list(form) == ["logout_token"]
                token = str(form["logout_token"])
            answer = Response(status_code=200) if self.answer is None else await self.answer(self.attempts)
            self.told.put_nowait(token)
            return answer

        return Starlette(routes=[Route("/out", out, methods=["POST"]), Route("/elsewhere", out, methods=["POST"])])

    async def next(self) -> str:
        async with asyncio.timeout(WITHIN):
            return await self.told.get()


@dataclass
class Place:
    """An issuer two of whose clients are told, and those two."""

    world: World
    web: Receiver
    transfer: Receiver

    async def read(self, token: str, client_id: str = "finport-web") -> Logout:
        """What a strict client makes of it."""
        issuer, http = self.world.issuer, self.world.http
        unverified = decode(token)
        keys = await JwksCache(lambda url: fetch(url, http), issuer.clock).keys(issuer.url, unverified.kid)
        return read_logout(
            unverified, keys, logout_policy(issuer.url, client_id, ("ES256",), frozenset()), issuer.clock()
        )

    async def sign_out(self, tokens: dict[str, Any]) -> None:
        hint = {"id_token_hint": tokens["id_token"]}
        assert (await self.world.http.get(f"{self.world.issuer.url}/logout", params=hint)).status_code == 200


@asynccontextmanager
async def issuing(home: Home, web: Receiver, transfer: Receiver, http: httpx.AsyncClient) -> AsyncIterator[Place]:
    uris = {"finport-web": web.uri, "transfer-agent": transfer.uri}

    def seeded(url: str) -> Seed:
        base = corporate_seed(home, url)
        return replace(
            base,
            clients=tuple(replace(one, backchannel_logout_uri=uris.get(one.client_id)) for one in base.clients),
        )

    async with issuer_of(home, "corporate", "FinPort Identity", seeded) as issuer:
        yield Place(World(issuer, http), web, transfer)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logout_notices, "PAUSES", (0.02, 0.02, 0.02))


@pytest.fixture
async def place(tmp_path: Any, http: httpx.AsyncClient) -> AsyncIterator[Place]:
    web, transfer = Receiver(free_address("127.0.0.31")), Receiver(free_address("127.0.0.32"))
    async with (
        serving(web.app(), web.url),
        serving(transfer.app(), transfer.url),
        issuing(Home(tmp_path / "home"), web, transfer, http) as made,
    ):
        yield made


async def test_whoever_signs_out_is_signed_out_of_their_clients(place: Place) -> None:
    tokens, other = await place.world.login(), await place.world.login()
    await place.sign_out(tokens)
    logout = await place.read(await place.web.next())
    said = claims_of(tokens["id_token"])
    assert (logout.ended.sid, logout.ended.subject) == (said["sid"], "alice")
    assert logout.ended.sid != claims_of(other["id_token"])["sid"]
    await place.sign_out(tokens)
    await place.sign_out(other)
    assert (await place.read(await place.web.next())).ended.sid == claims_of(other["id_token"])["sid"]
    assert (place.web.attempts, place.transfer.attempts) == (2, 0)


async def test_a_person_who_asks_for_it_in_the_browser_is_signed_out_of_their_clients(place: Place) -> None:
    async with place.world.browser() as browser:
        login = Login()
        page = await browser.get("/authorize", login.parameters(place.world.web, "openid broker:ask", BROKER))
        code = answered(await browser.sign_in(page, "bob", "bob-demo"))["code"]
        assert (await place.world.redeem(login, code)).status_code == 200
        await browser.submit(await browser.get("/logout"))
    assert (await place.read(await place.web.next())).ended.subject == "bob"


async def test_a_client_that_is_away_is_told_when_it_is_back_with_a_token_of_its_own_each_time(place: Place) -> None:
    async def twice_busy(attempt: int) -> Response:
        return Response(status_code=503 if attempt < 3 else 204)

    place.web.answer = twice_busy
    await place.sign_out(await place.world.login())
    tokens = [await place.web.next() for _ in range(3)]
    assert len({(await place.read(token)).jti for token in tokens}) == 3


async def test_a_client_that_never_answers_well_is_asked_so_often_and_no_more(place: Place) -> None:
    async def broken(attempt: int) -> Response:
        return Response(status_code=500)

    place.web.answer = broken
    await place.sign_out(await place.world.login())
    for _ in range(4):
        await place.web.next()
    place.web.answer = None
    await place.sign_out(await place.world.login())
    await place.web.next()
    assert place.web.attempts == 5


async def test_a_client_that_refuses_is_not_asked_again(place: Place) -> None:
    async def refusing(attempt: int) -> Response:
        return Response(status_code=400)

    place.web.answer = refusing
    await place.sign_out(await place.world.login())
    await place.web.next()
    place.web.answer = None
    await place.sign_out(await place.world.login())
    await place.web.next()
    assert place.web.attempts == 2


async def test_a_client_that_hangs_keeps_nobody_waiting(place: Place) -> None:
    stuck = asyncio.Event()

    async def hanging(attempt: int) -> Response:
        await stuck.wait()
        return Response()

    place.web.answer = hanging
    await place.sign_out(await place.world.login())
    async with asyncio.timeout(WITHIN):
        while place.web.attempts == 0:
            await asyncio.sleep(0.01)
    place.web.answer = None
    await place.sign_out(await place.world.login())
    await place.web.next()
    stuck.set()
    await place.web.next()


async def test_a_redirect_is_not_followed(place: Place) -> None:
    async def away(attempt: int) -> Response:
        return RedirectResponse(f"{place.transfer.url}/elsewhere", 307)

    place.web.answer = away
    await place.sign_out(await place.world.login())
    for _ in range(4):
        await place.web.next()
    assert place.transfer.attempts == 0


async def test_a_stolen_refresh_token_that_is_used_again_signs_its_client_out(place: Place) -> None:
    tokens = await place.world.login()
    refresh = [("grant_type", "refresh_token"), ("refresh_token", tokens["refresh_token"])]
    assert [(await place.world.web.token(*refresh)).status_code for _ in range(2)] == [200, 400]
    assert (await place.read(await place.web.next())).ended.sid == claims_of(tokens["id_token"])["sid"]


async def test_a_restart_loses_no_notice(
    tmp_path: Any, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logout_notices, "PAUSES", (0.3,) * 20)
    home, web = Home(tmp_path / "home"), Receiver(free_address("127.0.0.31"))
    async with issuing(home, web, web, http) as place:
        await place.sign_out(await place.world.login())
    async with serving(web.app(), web.url), issuing(home, web, web, http):
        assert decode(await web.next()).claims["sub"] == "alice"


async def test_our_own_page_believes_what_our_own_issuer_sends(tmp_path: Any, http: httpx.AsyncClient) -> None:
    home = Home(tmp_path / "home")
    web = Receiver(free_address("127.0.0.31"))
    async with issuing(home, web, web, http) as place:
        issuer = place.world.issuer.url
        async with service(home, "finport-web", http, issuer=issuer, backchannel_logout=True) as page:
            tokens, token = await place.world.login(), ""
            async with serving(web.app(), web.url):
                await place.sign_out(tokens)
                token = await web.next()
            assert (await page.told(token)).status_code == 204
            assert page.workload.hearing._book.revoked(issuer).sessions == {claims_of(tokens["id_token"])["sid"]}


@pytest.mark.parametrize("wanted", [True, False])
def test_the_network_s_own_issuer_tells_the_page_where_the_settings_want_it(tmp_path: Any, wanted: bool) -> None:
    home = Home(tmp_path / "home")
    network = network_of(home)
    said = {"issuers": [{"issuer": network.corporate_idp, "backchannel_logout": wanted}]}
    (home.path / "stead.yaml").write_text(json.dumps(said))
    corporate(home, network.corporate_idp)
    store = Store(home.database("issuer-corporate"))
    with store.transaction():
        told = [address_of(store, client) for client in ("finport-web", "broker")]
    store.close()
    assert told == [f"{network.web}/backchannel-logout" if wanted else None, None]


async def test_a_client_that_registers_says_where_it_wants_to_be_told(place: Place) -> None:
    uri = f"{place.web.url}/out"
    wanted = metadata_of(ECKey.generate_key("P-256"), backchannel_logout_uri=uri)
    replies = [await register(place.world, wanted) for _ in range(2)]
    assert [reply.json()["backchannel_logout_uri"] for reply in replies] == [uri, uri]
    assert (
        "backchannel_logout_uri"
        not in (await register(place.world, metadata_of(ECKey.generate_key("P-256"), client_name="x"))).json()
    )


@pytest.mark.parametrize(
    "uri",
    [
        "http://evil.example/out",
        "http://169.254.169.254/latest/meta-data",
        "https://169.254.169.254/out",
        "https://[::ffff:169.254.169.254]/out",
        "https://metadata.google.internal/out",
        "https://a.example/out#fragment",
        "https://user@a.example/out",
        "https://a.example",
        "http://[::1/out",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "/out",
        "",
        "https://a.example/" + "x" * 600,
    ],
)
async def test_an_address_that_is_not_to_be_posted_to_is_refused(place: Place, uri: str) -> None:
    wanted = metadata_of(ECKey.generate_key("P-256"), client_name=secrets.token_hex(4), backchannel_logout_uri=uri)
    reply = await register(place.world, wanted)
    assert (reply.status_code, reply.json()["error"]) == (400, "invalid_client_metadata")


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [
        ("https://app.example/out", True),
        ("https://issuer.example/out", True),
        ("http://app.example/out", False),
        ("https://127.0.0.1/out", False),
        ("https://localhost/out", False),
        ("https://10.0.0.1/out", False),
        ("https://[::1]/out", False),
        ("https://2130706433/out", False),
    ],
)
def test_a_public_issuer_posts_to_nothing_that_is_near_to_it(uri: str, is_one: bool) -> None:
    assert is_address(uri, "https://issuer.example") is is_one


async def test_the_metadata_says_so(place: Place) -> None:
    said = (await place.world.http.get(f"{place.world.issuer.url}/.well-known/openid-configuration")).json()
    assert said["backchannel_logout_supported"] is True
    assert said["backchannel_logout_session_supported"] is True
