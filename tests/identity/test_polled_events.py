"""Security events that a service fetches (RFC 8936) count as pushed ones do, and their sender learns of each."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.demo.cli.revoking import revocation
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.flows.discovery import Metadata
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.signals.poll import Settled, poll
from stead.identity.types import Json
from stead.identity.types import Response as Answer
from tests.agents.town import serving
from tests.identity.signalling import Foreign, foreign, lonely, services
from tests.identity.test_security_events import AUDIENCE, SECRET, event, pushed, session, user
from tests.providers.oidc_provider import free_issuer as free_address


@dataclass
class Stream:
    """A transmitter's end of a stream: keeps each event until it is told what became of it."""

    url: str
    waiting: dict[str, str] = field(default_factory=dict)
    acknowledged: list[str] = field(default_factory=list)
    refused: dict[str, Json] = field(default_factory=dict)
    strangers: int = 0
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/poll", self.answer, methods=["POST"])])

    async def answer(self, request: Request) -> Response:
        if request.headers.get("authorization") != SECRET:
            self.strangers += 1
            self.told.set()
            return Response(status_code=401)
        asked = await request.json()
        assert asked["returnImmediately"] is True
        self.acknowledged += asked.get("ack", [])
        self.refused |= asked.get("setErrs", {})
        for name in (*asked.get("ack", []), *asked.get("setErrs", {})):
            self.waiting.pop(name, None)
            self.told.set()
        first = dict(list(self.waiting.items())[: min(asked["maxEvents"], 2)])
        return JSONResponse({"sets": first, "moreAvailable": len(first) < len(self.waiting)})

    def put(self, token: str, name: str) -> str:
        self.waiting[name] = token
        return name

    async def until(self, *names: str) -> None:
        async with asyncio.timeout(8):
            while not {*names} <= {*self.acknowledged, *self.refused}:
                self.told.clear()
                await self.told.wait()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stead.identity.signals.poll.EVERY", 0.1)


@pytest.fixture
async def issuer() -> AsyncIterator[Foreign]:
    async with foreign() as one:
        yield one


@pytest.fixture
async def stream() -> AsyncIterator[Stream]:
    one = Stream(free_address("127.0.0.23"))
    async with serving(one.app(), one.url):
        yield one


def fetched(stream: Stream, path: Any, secret: str = SECRET) -> dict[str, Any]:
    (path / "agreed").write_text(secret)
    agreed = str(path / "agreed")
    return {"audience": AUDIENCE, "authorization_file": agreed, "poll": f"{stream.url}/poll", "poll_by": "broker"}


async def test_what_one_service_fetches_ends_at_every_hop(issuer: Foreign, stream: Stream, tmp_path: Any) -> None:
    said = fetched(stream, tmp_path)
    names = ("broker", "portfolio-agent")
    async with services(lonely(tmp_path), names, issuer=issuer.name, shared_signals=said) as (broker, portfolio):
        sids = [secrets.token_hex(4) for _ in range(5)]
        tokens = [issuer.token(portfolio.url, sid=sid) for sid in sids]
        assert [await portfolio.status(token) for token in tokens] == [200] * 5
        jtis = [stream.put(event(issuer, jti=f"j-{sid}", sub_id=session(sid)), f"j-{sid}") for sid in sids]
        async with asyncio.timeout(5):
            await asyncio.gather(*(portfolio.refuses(token) for token in tokens))
        await stream.until(*jtis)
        assert (sorted(stream.acknowledged), stream.refused, stream.waiting) == (sorted(jtis), {}, {})
        assert (await pushed(broker, event(issuer))).status_code == 415


async def test_what_is_no_event_is_told_by_its_code_and_ends_nothing(
    issuer: Foreign, stream: Stream, tmp_path: Any
) -> None:
    said = fetched(stream, tmp_path)
    async with services(lonely(tmp_path), ("broker",), issuer=issuer.name, shared_signals=said) as (broker,):
        living = issuer.token(broker.url, sub="alice")
        stream.put(event(issuer, jti="j-1", aud="https://other.example"), "j-1")
        stream.put(event(issuer, jti="j-2", iss="https://other.example"), "j-2")
        stream.put(event(issuer, jti="j-3"), "j-4")
        stream.put("no token", "j-5")
        stream.put(event(issuer, jti="j-6", sub_id=user(issuer, "dave")), "j-6")
        await stream.until("j-1", "j-2", "j-4", "j-5", "j-6")
        assert {name: told["err"] for name, told in stream.refused.items()} == {
            "j-1": "invalid_audience",
            "j-2": "invalid_issuer",
            "j-4": "invalid_request",
            "j-5": "invalid_request",
        }
        assert stream.acknowledged == ["j-6"]
        assert await broker.status(living) == 200


async def test_a_transmitter_that_does_not_know_us_keeps_its_events_and_harms_nothing(
    issuer: Foreign, stream: Stream, tmp_path: Any
) -> None:
    said = fetched(stream, tmp_path, "Bearer guessed")
    async with services(lonely(tmp_path), ("broker",), issuer=issuer.name, shared_signals=said) as (broker,):
        stream.put(event(issuer, jti="j-1", sub_id=user(issuer, "erin")), "j-1")
        async with asyncio.timeout(8):
            await stream.told.wait()
        assert await broker.status(issuer.token(broker.url, sub="erin")) == 200
    assert list(stream.waiting) == ["j-1"]


async def test_the_doctor_asks_for_no_event_and_says_who_fetches_them(
    issuer: Foreign, stream: Stream, tmp_path: Any
) -> None:
    stream.put(event(issuer, jti="j-1"), "j-1")
    found = []
    async with httpx.AsyncClient(trust_env=False) as http:
        for secret in (SECRET, "Bearer guessed"):
            said = {"issuer": issuer.name, "shared_signals": fetched(stream, tmp_path, secret)}
            described = IssuerSettings.model_validate(said)
            found += [one async for one in revocation(http, Metadata(issuer.name), described, "http://127.0.0.1:1")]
    assert [one.good for one in found] == [True, True, True, False]
    assert "within 5 s of a security event there, which is fetched" in found[0].told
    assert found[1].told == f"are fetched from {stream.url}/poll by broker"
    assert list(stream.waiting) == ["j-1"]


async def test_events_are_not_fetched_in_the_clear(tmp_path: Any) -> None:
    said = {"poll": "http://signals.example/poll", "poll_by": "broker"}
    with pytest.raises(ConfigurationError, match="plain http"):
        async with services(lonely(tmp_path), ("broker",), issuer="https://as.example", shared_signals=said):
            pass


@pytest.mark.parametrize(
    "answer",
    [
        Answer(500),
        Answer(302, {"location": "http://169.254.169.254/"}),
        Answer(200, {"content-type": "application/json"}, b'{"sets": []}'),
        Answer(200, {"content-type": "application/json"}, b'{"sets": {"j": 7}}'),
        Answer(
            200,
            {"content-type": "application/json"},
            b'{"sets": {' + b",".join(b'"%d":"x"' % n for n in range(99)) + b"}}",
        ),
        Answer(200, {"content-type": "text/html"}, b"<p>"),
    ],
    ids=["down", "a redirect", "a list", "a number", "too many", "a page"],
)
def test_an_answer_that_is_none_does_no_harm(answer: Answer) -> None:
    asked = poll("https://signals.example/poll", None, Settled(["j-1"], {"j-2": {"err": "invalid_key"}}))
    request = next(asked)
    assert request.json == {
        "maxEvents": 20,
        "returnImmediately": True,
        "ack": ["j-1"],
        "setErrs": {"j-2": {"err": "invalid_key"}},
    }
    with pytest.raises(ProviderUnavailable):
        asked.send(answer)
