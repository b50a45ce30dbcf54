"""A logout token ends what it names, at every service of the network; whatever is no logout token ends nothing."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from joserfc.jwk import ECKey

from stead.identity.egress import Target
from stead.identity.errors import InvalidGrant
from stead.identity.home import Home
from stead.identity.signals.notebook import Ended
from stead.identity.values import AccessToken, Grant
from tests.identity.signalling import LOGOUT, Foreign, Service, foreign, lonely, service, services

Make = Callable[[Foreign], str]


@pytest.fixture(scope="module")
async def issuer() -> AsyncIterator[Foreign]:
    async with foreign() as one:
        yield one


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    return lonely(tmp_path_factory.mktemp("signals"))


@pytest.fixture(scope="module")
async def hops(home: Home, issuer: Foreign) -> AsyncIterator[list[Service]]:
    async with services(home, ("broker", "portfolio-agent"), issuer=issuer.name, backchannel_logout=True) as both:
        yield both


async def test_the_end_of_a_session_reaches_every_hop_and_no_other_session(
    hops: list[Service], issuer: Foreign
) -> None:
    sid = secrets.token_hex(8)
    ended = [issuer.token(one.url, sid=sid) for one in hops]
    others = [issuer.token(one.url, sid="another") for one in hops]
    assert [await one.status(token) for one, token in zip(hops, ended, strict=True)] == [200, 200]
    reply = await hops[0].told(issuer.logout("broker", sid=sid, sub="alice"))
    assert (reply.status_code, reply.headers["cache-control"]) == (204, "no-store")
    assert await hops[0].status(ended[0]) == 401
    await hops[1].refuses(ended[1])
    assert [await one.status(token) for one, token in zip(hops, others, strict=True)] == [200, 200]


async def test_a_person_who_signed_out_everywhere_gets_in_again_by_signing_in_again(
    hops: list[Service], issuer: Foreign
) -> None:
    subject, now = secrets.token_hex(8), int(time.time())
    before = [issuer.token(hops[1].url, sub=subject, sid=sid) for sid in ("one", "two", None)]
    assert (await hops[0].told(issuer.logout("broker", sub=subject))).status_code == 204
    await asyncio.gather(*(hops[1].refuses(token) for token in before))
    after = issuer.token(hops[1].url, sub=subject, iat=now + 20, exp=now + 60)
    assert await hops[1].status(after) == 200


async def test_a_token_that_names_no_session_ends_with_any_of_its_person_s(
    hops: list[Service], issuer: Foreign
) -> None:
    subject = secrets.token_hex(8)
    nameless, named = issuer.token(hops[1].url, sub=subject), issuer.token(hops[1].url, sub=subject, sid="lives-on")
    assert (await hops[0].told(issuer.logout("broker", sub=subject, sid="of-hers"))).status_code == 204
    await hops[1].refuses(nameless)
    assert await hops[1].status(named) == 200


async def test_a_service_that_starts_later_knows_who_signed_out_before(
    hops: list[Service], issuer: Foreign, home: Home, tmp_path: Any
) -> None:
    sid = secrets.token_hex(8)
    assert (await hops[0].told(issuer.logout("broker", sid=sid))).status_code == 204
    described = {"issuer": issuer.name, "backchannel_logout": True}
    async with service(home, "late-agent", hops[0].http, **described) as late:
        await late.refuses(issuer.token(late.url, sid=sid))


async def test_nobody_goes_on_in_the_stead_of_who_signed_out_though_the_issuer_might_exchange(
    hops: list[Service], issuer: Foreign
) -> None:
    sid, workload = secrets.token_hex(8), hops[0].workload
    principal = await workload.verifier.verify(AccessToken(issuer.token(hops[0].url, sid=sid)))
    assert not workload.hearing.is_revoked(principal)
    assert (await hops[0].told(issuer.logout("broker", sid=sid))).status_code == 204
    assert workload.hearing.is_revoked(principal)
    asked = len(issuer.fetched)
    with pytest.raises(InvalidGrant, match="has ended"):
        await workload.exchange(Target(hops[1].url, ("x",), Grant.OBO), principal)
    assert len(issuer.fetched) == asked


FALSE: dict[str, Make] = {
    "forged": lambda issuer: issuer.logout("broker", sid="s", key=ECKey.generate_key("P-256", {"kid": "foreign-1"})),
    "for another client": lambda issuer: issuer.logout("finport-web", sid="s"),
    "of another issuer": lambda issuer: issuer.logout("broker", sid="s", iss="https://other.example"),
    "of no type": lambda issuer: issuer.logout("broker", sid="s", typ="JWT"),
    "of an access token's type": lambda issuer: issuer.logout("broker", sid="s", typ="at+jwt"),
    "an access token": lambda issuer: issuer.token("broker", sid="s"),
    "an ID token": lambda issuer: issuer.logout("broker", sid="s", typ="JWT", nonce="n", events=None),
    "with a nonce": lambda issuer: issuer.logout("broker", sid="s", nonce="n"),
    "of no event": lambda issuer: issuer.logout("broker", sid="s", events=None),
    "of another event": lambda issuer: issuer.logout("broker", sid="s", events={"urn:other": {}}),
    "whose event is no object": lambda issuer: issuer.logout("broker", sid="s", events={LOGOUT: True}),
    "whose events are a list": lambda issuer: issuer.logout("broker", sid="s", events=[LOGOUT]),
    "of nobody": lambda issuer: issuer.logout("broker"),
    "of an odd session": lambda issuer: issuer.logout("broker", sid=["s"]),
    "of an odd person": lambda issuer: issuer.logout("broker", sid="s", sub=7),
    "of an endless session name": lambda issuer: issuer.logout("broker", sid="s" * 300),
    "without a name": lambda issuer: issuer.logout("broker", sid="s", jti=None),
    "without an end": lambda issuer: issuer.logout("broker", sid="s", exp=None),
    "without a beginning": lambda issuer: issuer.logout("broker", sid="s", iat=None),
    "expired": lambda issuer: issuer.logout("broker", sid="s", iat=1_700_000_000, exp=1_700_000_060),
    "of the future": lambda issuer: issuer.logout("broker", sid="s", iat=4_000_000_000, exp=4_000_000_060),
    "good for a day": lambda issuer: issuer.logout("broker", sid="s", exp=int(time.time()) + 86_400),
    "unsigned": lambda issuer: issuer.logout("broker", sid="s").rpartition(".")[0] + ".",
    "no token": lambda issuer: "x",
}


@pytest.mark.parametrize("make", FALSE.values(), ids=FALSE)
async def test_whatever_is_no_logout_token_is_refused_and_ends_nothing(
    hops: list[Service], issuer: Foreign, make: Make
) -> None:
    living = issuer.token(hops[0].url, sid="s")
    reply = await hops[0].told(make(issuer))
    assert reply.status_code == 400
    assert reply.json().keys() == {"error", "error_description"}
    assert reply.headers["cache-control"] == "no-store"
    assert await hops[0].status(living) == 200


async def test_a_replayed_logout_token_is_refused_at_every_service(hops: list[Service], issuer: Foreign) -> None:
    token = issuer.logout("broker", sid=secrets.token_hex(8))
    first, again = [await hops[0].told(token) for _ in range(2)]
    assert (first.status_code, again.status_code) == (204, 400)
    assert "before" in again.json()["error_description"]


async def test_a_logout_token_s_own_audience_may_be_one_of_several(hops: list[Service], issuer: Foreign) -> None:
    assert (await hops[0].told(issuer.logout(["x", "broker"], sid="z"))).status_code == 204


@pytest.mark.parametrize(
    ("content", "headers", "status"),
    [
        (b"", {"content-type": "application/x-www-form-urlencoded"}, 400),
        (b"logout_token=a&logout_token=b", {"content-type": "application/x-www-form-urlencoded"}, 400),
        (b"logout_token=%FF%FE&&", {"content-type": "application/x-www-form-urlencoded"}, 400),
        (b"\xff", {"content-type": "application/x-www-form-urlencoded"}, 400),
        (b"&".join(b"a=b" for _ in range(100)), {"content-type": "application/x-www-form-urlencoded"}, 400),
        (b'{"logout_token": "x"}', {"content-type": "application/json"}, 400),
        (b"logout_token=x", {}, 400),
        (b"logout_token=" + b"x" * 20_000, {"content-type": "application/x-www-form-urlencoded"}, 413),
    ],
    ids=["empty", "two", "not UTF-8", "not ASCII", "a hundred fields", "JSON", "no type", "20 kB"],
)
async def test_a_body_that_is_no_form_with_one_token_is_refused(
    hops: list[Service], content: bytes, headers: dict[str, str], status: int
) -> None:
    reply = await hops[0].http.post(f"{hops[0].url}/backchannel-logout", content=content, headers=headers)
    assert reply.status_code == status


async def test_only_posts_are_taken(hops: list[Service]) -> None:
    reply = await hops[0].http.get(f"{hops[0].url}/backchannel-logout?logout_token=x")
    assert (reply.status_code, reply.headers["allow"]) == (405, "POST")


async def test_an_issuer_that_may_not_tell_costs_no_request_and_a_flood_of_key_ids_one(
    hops: list[Service], issuer: Foreign
) -> None:
    assert (await hops[0].told(issuer.logout("broker", sid="warm"))).status_code == 204
    known = len(issuer.fetched)
    for number in range(40):
        token = issuer.logout("broker", sid="s", iss=f"https://{number}.example")
        assert (await hops[0].told(token)).status_code == 400
    assert len(issuer.fetched) == known
    for number in range(40):
        claims = {"iss": issuer.name, "aud": "broker"}
        token = issuer.sign(claims, "logout+jwt", kid=f"k-{number}")
        assert (await hops[0].told(token)).status_code == 400
    assert len(issuer.fetched) <= known + 1


async def test_a_flood_of_false_tokens_does_not_fill_the_log(
    issuer: Foreign, tmp_path: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async with services(lonely(tmp_path), ("broker",), issuer=issuer.name, backchannel_logout=True) as (one,):
        for _ in range(90):
            assert (await one.told("x")).status_code == 400
    assert len([record for record in caplog.records if record.name.endswith("backchannel")]) == 60


async def test_without_the_setting_there_is_no_such_door(issuer: Foreign, tmp_path: Any) -> None:
    async with services(lonely(tmp_path), ("broker",), issuer=issuer.name) as (one,):
        sid = secrets.token_hex(8)
        assert (await one.told(issuer.logout("broker", sid=sid))).status_code == 415
        assert await one.status(issuer.token(one.url, sid=sid)) == 200
        assert not (one.workload.home.path / "data" / "signed-out.db").exists()


async def test_what_cannot_be_written_down_is_not_confirmed(issuer: Foreign, tmp_path: Any) -> None:
    async with services(lonely(tmp_path), ("broker",), issuer=issuer.name, backchannel_logout=True) as (one,):
        one.workload.hearing._book._database.execute("DROP TABLE ended")
        reply = await one.told(issuer.logout("broker", sid="s"))
        assert (reply.status_code, reply.headers["retry-after"]) == (503, "1")


async def test_an_issuer_whose_keys_are_away_may_try_again(tmp_path: Any) -> None:
    gone = Foreign("http://127.0.0.21:1")
    async with services(lonely(tmp_path), ("broker",), issuer=gone.name, backchannel_logout=True) as (one,):
        assert (await one.told(gone.logout("broker", sid="s"))).status_code == 503


async def test_what_one_service_knows_besides_reaches_every_hop(hops: list[Service], issuer: Foreign) -> None:
    subject = secrets.token_hex(8)
    nameless = issuer.token(hops[1].url, sub=subject)
    hops[0].workload.hearing.add(Ended(issuer.name, time.time(), "its-session", subject))
    await hops[1].refuses(nameless)
