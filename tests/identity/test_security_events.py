"""Shared Signals: a transmitter pushes CAEP's session-revoked as RFC 8935 has it, and what it names ends everywhere."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from tests.identity.signalling import Foreign, Service, foreign, lonely, services

SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
STREAM_UPDATED = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
AUDIENCE = "https://finport.example"
SECRET = "Bearer agreed-upon"
Make = Callable[[Foreign], str]


def event(issuer: Foreign, *, typ: str = "secevent+jwt", key: ECKey | None = None, **claims: Any) -> str:
    """A security event; a claim that is None is left out."""
    said = {
        "iss": issuer.name,
        "aud": AUDIENCE,
        "iat": int(time.time()),
        "jti": secrets.token_hex(8),
        "txn": "8675309",
        "sub_id": user(issuer, "alice"),
        "events": {SESSION_REVOKED: {"initiating_entity": "policy", "event_timestamp": int(time.time())}},
        **claims,
    }
    return issuer.sign({name: value for name, value in said.items() if value is not None}, typ, key)


def user(issuer: Foreign, subject: str) -> dict[str, Any]:
    return {"format": "iss_sub", "iss": issuer.name, "sub": subject}


def session(sid: Any, **more: Any) -> dict[str, Any]:
    return {"format": "complex", "session": {"format": "opaque", "id": sid}, **more}


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[Foreign]:
    async with foreign() as one:
        yield one


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    home = lonely(tmp_path_factory.mktemp("signals"))
    (home.path / "agreed").write_text(f"{SECRET}\n")
    return home


@pytest.fixture(scope="module")
async def hops(home: Home, issuer: Foreign) -> AsyncIterator[list[Service]]:
    said = {"audience": AUDIENCE, "authorization_file": str(home.path / "agreed")}
    async with services(home, ("broker", "portfolio-agent"), issuer=issuer.name, shared_signals=said) as both:
        yield both


async def pushed(service: Service, token: str, **more: str) -> httpx.Response:
    headers = {
        "content-type": "application/secevent+jwt",
        "accept": "application/json",
        "authorization": SECRET,
        **{name.replace("_", "-"): text for name, text in more.items()},
    }
    return await service.http.post(f"{service.url}/security-events", content=token, headers=headers)


async def test_a_revoked_session_ends_at_every_hop_and_the_person_s_others_do_not(
    hops: list[Service], issuer: Foreign
) -> None:
    sid, subject = secrets.token_hex(8), secrets.token_hex(8)
    ended = [issuer.token(one.url, sid=sid, sub=subject) for one in hops]
    other = issuer.token(hops[1].url, sid="other", sub=subject)
    assert [await one.status(token) for one, token in zip(hops, ended, strict=True)] == [200, 200]
    reply = await pushed(hops[0], event(issuer, sub_id=session(sid, user=user(issuer, subject))))
    assert (reply.status_code, reply.content, reply.headers["cache-control"]) == (202, b"", "no-store")
    await asyncio.gather(*(one.refuses(token) for one, token in zip(hops, ended, strict=True)))
    assert await hops[1].status(other) == 200


async def test_a_person_whose_sessions_were_revoked_is_out_until_they_sign_in_again(
    hops: list[Service], issuer: Foreign
) -> None:
    subject, now = secrets.token_hex(8), int(time.time())
    before = [issuer.token(hops[1].url, sub=subject, sid=sid) for sid in ("one", "two", None)]
    assert (await pushed(hops[0], event(issuer, sub_id=user(issuer, subject)))).status_code == 202
    await asyncio.gather(*(hops[1].refuses(token) for token in before))
    assert await hops[1].status(issuer.token(hops[1].url, sub=subject, iat=now + 20, exp=now + 60)) == 200


async def test_what_was_given_between_the_event_and_its_telling_ends_as_well(
    hops: list[Service], issuer: Foreign
) -> None:
    subject, now = secrets.token_hex(8), int(time.time())
    between = issuer.token(hops[0].url, sub=subject, iat=now - 5, exp=now + 60)
    said = {SESSION_REVOKED: {"event_timestamp": now - 60}}
    assert (await pushed(hops[0], event(issuer, sub_id=user(issuer, subject), events=said))).status_code == 202
    assert await hops[0].status(between) == 401


async def test_a_subject_that_is_narrower_than_a_person_ends_more_rather_than_nothing(
    hops: list[Service], issuer: Foreign
) -> None:
    subject = secrets.token_hex(8)
    device = {"format": "opaque", "id": "her-phone"}
    narrow = {"format": "complex", "user": user(issuer, subject), "device": device}
    assert (await pushed(hops[0], event(issuer, sub_id=narrow))).status_code == 202
    assert await hops[0].status(issuer.token(hops[0].url, sub=subject, sid="x")) == 401


async def test_an_event_that_comes_again_is_confirmed_again(hops: list[Service], issuer: Foreign) -> None:
    token = event(issuer, sub_id=session(secrets.token_hex(8)))
    assert [(await pushed(hops[0], token)).status_code for _ in range(3)] == [202, 202, 202]


@pytest.mark.parametrize(
    "events",
    [
        {VERIFICATION: {"state": "VGhpcyBpcyBhbiBleGFtcGxl"}},
        {STREAM_UPDATED: {"status": "paused", "reason": "maintenance"}},
        {"https://schemas.openid.net/secevent/caep/event-type/device-compliance-change": {"current_status": "x"}},
    ],
    ids=["verification", "stream updated", "of no concern"],
)
async def test_other_events_are_confirmed_and_end_nothing(
    hops: list[Service], issuer: Foreign, events: dict[str, Any]
) -> None:
    living = issuer.token(hops[0].url, sub="carol")
    token = event(issuer, events=events, sub_id=user(issuer, "carol"))
    assert (await pushed(hops[0], token)).status_code == 202
    assert await hops[0].status(living) == 200


def claims(code: str, **changed: Any) -> tuple[str, Make]:
    return code, lambda issuer: event(issuer, **changed)


FALSE: dict[str, tuple[str, Make]] = {
    "forged": ("invalid_key", lambda issuer: event(issuer, key=ECKey.generate_key("P-256", {"kid": "foreign-1"}))),
    "signed with an unknown key": ("invalid_key", lambda issuer: issuer.sign(body_of(issuer), "secevent+jwt", kid="x")),
    "of another transmitter": claims("invalid_issuer", iss="https://other.example"),
    "of no transmitter": claims("invalid_issuer", iss=None),
    "for somebody else": claims("invalid_audience", aud="https://other.example"),
    "for nobody": claims("invalid_audience", aud=None),
    "of another type": claims("invalid_request", typ="JWT"),
    "of a logout token's type": claims("invalid_request", typ="logout+jwt"),
    "that expires, as access tokens do": claims("invalid_request", exp=int(time.time()) + 60),
    "with a sub, as ID tokens have": claims("invalid_request", sub="alice"),
    "without a name": claims("invalid_request", jti=None),
    "of no time": claims("invalid_request", iat=None),
    "of an odd time": claims("invalid_request", iat=True),
    "of the future": claims("invalid_request", iat=int(time.time()) + 3600),
    "of last month": claims("invalid_request", iat=int(time.time()) - 31 * 86_400),
    "of no event": claims("invalid_request", events=None),
    "of empty events": claims("invalid_request", events={}),
    "whose events are a list": claims("invalid_request", events=[SESSION_REVOKED]),
    "whose event is no object": claims("invalid_request", events={SESSION_REVOKED: 1}),
    "of nobody": claims("invalid_request", sub_id=None),
    "of somebody by another name": claims("invalid_request", sub_id={"format": "email", "email": "a@example.com"}),
    "of an odd person": claims("invalid_request", sub_id={"format": "iss_sub", "iss": "x", "sub": 7}),
    "of an odd session": claims("invalid_request", sub_id=session(["s"])),
    "of a tenant": claims("invalid_request", sub_id={"format": "complex", "tenant": {"format": "opaque", "id": "t"}}),
    "of another issuer's person": claims(
        "access_denied", sub_id={"format": "iss_sub", "iss": "https://other.example", "sub": "alice"}
    ),
    "of another issuer's person's session": claims(
        "access_denied", sub_id=session("s", user={"format": "iss_sub", "iss": "https://o.example", "sub": "alice"})
    ),
    "no token": ("invalid_request", lambda issuer: "{}"),
    "unsigned": ("invalid_request", lambda issuer: event(issuer).rpartition(".")[0] + "."),
}


def body_of(issuer: Foreign) -> dict[str, Any]:
    return {"iss": issuer.name, "aud": AUDIENCE, "iat": int(time.time()), "jti": "j", "events": {SESSION_REVOKED: {}}}


@pytest.mark.parametrize(("code", "make"), FALSE.values(), ids=FALSE)
async def test_whatever_is_no_event_is_refused_by_its_code_and_ends_nothing(
    hops: list[Service], issuer: Foreign, code: str, make: Make
) -> None:
    living = issuer.token(hops[0].url, sid="s")
    reply = await pushed(hops[0], make(issuer))
    assert (reply.status_code, reply.json()["err"]) == (400, code)
    assert reply.json().keys() == {"err", "description"}
    assert (reply.headers["content-type"], reply.headers["content-language"]) == ("application/json", "en")
    assert await hops[0].status(living) == 200


@pytest.mark.parametrize("shown", ["", "Bearer guessed", "agreed-upon", f"{SECRET}2"])
async def test_a_transmitter_that_does_not_show_what_was_agreed_is_refused(
    hops: list[Service], issuer: Foreign, shown: str
) -> None:
    reply = await pushed(hops[0], event(issuer, sub_id=session("s")), authorization=shown)
    assert (reply.status_code, reply.json()["err"]) == (400, "authentication_failed")


@pytest.mark.parametrize("media_type", ["application/json", "application/jwt", "text/plain", ""])
async def test_a_body_of_another_type_is_refused(hops: list[Service], issuer: Foreign, media_type: str) -> None:
    reply = await pushed(hops[0], event(issuer), content_type=media_type)
    assert (reply.status_code, reply.json()["err"]) == (400, "invalid_request")


async def test_a_transmitter_of_its_own_speaks_for_the_issuer_s_people(issuer: Foreign, tmp_path: Any) -> None:
    async with foreign() as hub:
        said = {"transmitter": hub.name, "audience": AUDIENCE}
        async with services(lonely(tmp_path), ("broker",), issuer=issuer.name, shared_signals=said) as (one,):
            living = issuer.token(one.url, sub="dave")
            assert (await pushed(one, event(hub, sub_id=user(hub, "dave")))).json()["err"] == "access_denied"
            assert (await pushed(one, event(issuer, sub_id=user(issuer, "dave")))).json()["err"] == "invalid_issuer"
            assert await one.status(living) == 200
            assert (await pushed(one, event(hub, sub_id=user(issuer, "dave")))).status_code == 202
            assert await one.status(living) == 401
        assert "/.well-known/ssf-configuration" in hub.fetched


async def test_a_transmitter_whose_keys_are_away_is_asked_to_try_again(tmp_path: Any) -> None:
    gone = Foreign("http://127.0.0.21:1")
    async with services(lonely(tmp_path), ("broker",), issuer=gone.name, shared_signals={}) as (one,):
        reply = await pushed(one, event(gone, aud=one.url))
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


async def test_a_secret_that_cannot_be_read_stops_the_start(tmp_path: Any) -> None:
    said = {"authorization_file": str(tmp_path / "missing")}
    with pytest.raises(ConfigurationError, match="authorization_file"):
        async with services(lonely(tmp_path), ("broker",), issuer="https://as.example", shared_signals=said):
            pass
