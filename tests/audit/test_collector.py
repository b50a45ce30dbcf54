"""The collector on the real wire: real tokens, real shipping, and who may see what."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from stead.identity.audit.check import Problem, check
from stead.identity.audit.collector import collector
from stead.identity.audit.event import genesis, seal
from stead.identity.audit.heads import Head, read, sign
from stead.identity.home import Home, Network
from stead.identity.types import Json
from stead.identity.values import Arrival, Grant, Principal
from stead.identity.workload import Workload
from tests.audit.issuing import Issuer, listening, serving

HOP = "a" * 16


@dataclass
class Town:
    """An issuer, a collector, and the means to write to and read from it."""

    home: Home
    issuer: Issuer
    trail: str
    http: httpx.AsyncClient

    def workload(self, name: str, url: str = "http://127.0.0.1:9") -> Workload:
        return Workload.open(name, url=url, home=self.home)

    def person(self, subject: str = "alice", scope: str = "trail:read", **claims: Any) -> dict[str, str]:
        claims = {"sub": subject, "client_id": "finport-web", "aud": self.trail, "scope": scope, "sid": "s", **claims}
        return {"authorization": f"Bearer {self.issuer.sign(**claims)}"}

    def service(self, name: str, scope: str = "audit:write") -> dict[str, str]:
        signed = self.issuer.sign(sub=name, client_id=name, aud=self.trail, scope=scope)
        return {"authorization": f"Bearer {signed}"}

    async def ship(self, batch: Any, headers: dict[str, str] | None = None) -> httpx.Response:
        headers = self.service("broker") if headers is None else headers
        if isinstance(batch, dict) and "head" not in batch:
            batch = batch | {"head": self.head(batch)}
        return await self.http.post(f"{self.trail}/events", json=batch, headers=headers)

    def head(self, batch: Json) -> str | None:
        """The head of a batch, signed as its workload would."""
        try:
            last = batch["events"][-1]
            return sign(Head(batch["instance"], 0, last["seq"], last["hash"]), self.home.key(str(batch["instance"])))
        except (KeyError, IndexError, TypeError):
            return None

    async def read(self, path: str, headers: dict[str, str], **query: Any) -> httpx.Response:
        return await self.http.get(f"{self.trail}{path}", headers=headers, params=query)

    async def trail_of(self, task: str, person: str = "alice", **query: Any) -> httpx.Response:
        return await self.read(f"/tasks/{task}/trail", self.person(person), **query)


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    async with founded(tmp_path) as town:
        yield town


@pytest.fixture(scope="module")
async def old_town(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Town]:
    """A town for tests that leave nothing behind: starting one takes its time."""
    async with founded(tmp_path_factory.mktemp("old-town")) as town:
        yield town


@asynccontextmanager
async def founded(path: Path) -> AsyncIterator[Town]:
    home = Home(path / "home")
    (issuing, issuer_url), (collecting, trail_url) = listening(), listening()
    issuer = Issuer(issuer_url, home.key("issuer-corporate"))
    elsewhere = "http://127.0.0.1:9"
    home.record(Network(elsewhere, elsewhere, trail_url, issuer_url, elsewhere))
    async with (
        serving(issuer.app(), issuing),
        serving(collector(Workload.open("trail", url=trail_url, home=home)), collecting),
        httpx.AsyncClient(trust_env=False) as http,
    ):
        yield Town(home, issuer, trail_url, http)


def begin(workload: Workload, task: str, person: str = "alice", hop: str = HOP, *, issuer: str) -> None:
    """What the broker's ingress and its task store write when a person asks."""
    principal = Principal(
        issuer=issuer,
        subject=person,
        audience="http://127.0.0.1:9",
        client_id="finport-web",
        scopes=frozenset({"broker:ask"}),
        jti=f"jti-{person}-{task}",
        expires_at=2_000_000_000,
        grant=Grant.LOGIN,
        claims={"name": person.title()},
    )
    workload.journal.ingress(
        arrival=Arrival(hop, "b" * 32, principal.jti),
        principal=principal,
        operation="SendMessage",
        resource="broker.ask",
        decision="allow",
    )
    workload.journal.bind(hop, task, jti=principal.jti)


def chain(*tasks: str, instance: str = "broker", start: int = 1, prev: str | None = None) -> list[Json]:
    events, prev = [], prev or genesis(instance, 0)
    for seq, task in enumerate(tasks, start=start):
        values = {"seq": seq, "time": 1.0, "instance": instance, "replica": 0, "kind": "task", "hop": HOP}
        line, prev = seal({**values, "task": task, "prev": prev})
        events.append(json.loads(line))
    return events


def batch(events: list[Json], instance: str = "broker", **more: Any) -> Json:
    return {"instance": instance, "replica": 0, "events": events, **more}


async def test_what_a_workload_journals_its_owner_can_read(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
        reply = await town.trail_of("t", wait=5)
    trail = reply.json()
    assert (reply.status_code, trail["task"], trail["version"]) == (200, "t", 2)
    assert [(hop["sub"], hop["grant"], hop["confirmed"]) for hop in trail["hops"]] == [("alice", "login", True)]
    assert reply.headers["cache-control"] == "no-store"


async def test_another_persons_task_is_not_there(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
        assert (await town.trail_of("t", wait=5)).status_code == 200
        foreign, absent = await town.trail_of("t", "bob"), await town.trail_of("absent", "bob")
    assert (foreign.status_code, absent.status_code) == (404, 404)
    assert foreign.json() == absent.json()
    assert foreign.json()["error"] == "not_found"


async def test_the_same_name_at_another_issuer_is_another_person(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer="http://127.0.0.3:1")
        assert (await town.read("/tasks/t/trail", town.person("x", "audit:read"), wait=5)).status_code == 200
        assert (await town.trail_of("t")).status_code == 404


async def test_an_auditor_reads_every_trail_and_lists_every_task(town: Town) -> None:
    auditor = town.person("admin", "audit:read")
    async with town.workload("broker") as broker:
        begin(broker, "t1", "alice", "1" * 16, issuer=town.issuer.url)
        begin(broker, "t2", "bob", "2" * 16, issuer=town.issuer.url)
        assert (await town.read("/tasks/t2/trail", auditor, wait=5)).status_code == 200
        listed = (await town.read("/tasks", auditor)).json()["tasks"]
        own = (await town.read("/tasks", town.person())).json()["tasks"]
        newest = (await town.read("/tasks", auditor, limit=1)).json()["tasks"]
    assert [task["task"] for task in listed] == ["t2", "t1"]
    assert [(task["task"], task["sub"]) for task in own] == [("t1", "alice")]
    assert [task["task"] for task in newest] == ["t2"]


async def test_a_waiting_reader_gets_the_next_version_as_it_comes(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
        seen = (await town.trail_of("t", wait=5)).json()["version"]
        waiting = asyncio.create_task(town.trail_of("t", after=seen, wait=10))
        begin(broker, "other", "bob", "c" * 16, issuer=town.issuer.url)
        assert (await town.trail_of("other", "bob", wait=5)).status_code == 200
        assert not waiting.done(), "another's events are no news"
        started = time.monotonic()
        broker.journal.outcome(hop=HOP, outcome="completed")
        trail = (await waiting).json()
    assert time.monotonic() - started < 2
    assert (trail["version"], trail["hops"][0]["outcome"]) == (seen + 1, "completed")


async def test_a_reader_who_waits_in_vain_gets_the_same_version(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
        seen = (await town.trail_of("t", wait=5)).json()["version"]
        reply = await town.trail_of("t", after=seen, wait=0.05)
    assert (reply.status_code, reply.json()["version"]) == (200, seen)


async def test_the_end_of_a_process_ships_what_is_left(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
    assert (await town.trail_of("t")).status_code == 200


async def test_shipping_and_looking_leave_no_hops_behind(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
        await town.trail_of("t", wait=5)
    assert (town.home.folder("audit") / "trail.jsonl").read_bytes() == b""


async def test_a_batch_counts_once_however_often_it_comes(town: Town) -> None:
    events = chain("t1", "t2")
    replies = [await town.ship(batch(events)) for _ in range(3)]
    assert [reply.json()["seq"] for reply in replies] == [2, 2, 2]
    overlapping = chain("t1", "t2", "t3")
    assert (await town.ship(batch(overlapping[1:]))).json()["seq"] == 3


async def test_parallel_copies_of_a_batch_count_once(town: Town) -> None:
    replies = await asyncio.gather(*(town.ship(batch(chain("t1", "t2"))) for _ in range(8)))
    assert {reply.json()["seq"] for reply in replies} == {2}


async def test_a_hole_is_not_taken_and_the_reply_says_what_is_held(town: Town) -> None:
    events = chain("t1", "t2", "t3")
    assert (await town.ship(batch(events[:1]))).json()["seq"] == 1
    assert (await town.ship(batch(events[2:]))).json()["seq"] == 1
    assert (await town.ship(batch(events[1:]))).json()["seq"] == 3


@pytest.mark.parametrize("forged", [chain("t1", "forged"), chain("t1", "forged", "t3"), chain("f1", "f2", "f3")[2:]])
async def test_a_chain_written_anew_is_refused(town: Town, forged: list[Json]) -> None:
    await town.ship(batch(chain("t1", "t2")))
    reply = await town.ship(batch(forged))
    assert (reply.status_code, reply.json()["error"]) == (409, "invalid_request")


async def test_a_workload_cannot_write_in_anothers_name(old_town: Town) -> None:
    assert (await old_town.ship(batch(chain("t")), old_town.service("rogue-agent"))).status_code == 403
    mixed = batch(chain("t"), "rogue-agent")
    assert (await old_town.ship(mixed, old_town.service("rogue-agent"))).status_code == 400


async def test_nobody_writes_in_a_persons_stead(old_town: Town) -> None:
    for headers in (
        old_town.person(scope="audit:write"),
        old_town.person(scope="audit:write", sub="broker", client_id="broker", act={"sub": "web"}),
        old_town.service("broker", "trail:read"),
    ):
        assert (await old_town.ship(batch(chain("t")), headers)).status_code == 403


async def test_a_writer_does_not_read_and_a_stranger_does_nothing(old_town: Town) -> None:
    reply = await old_town.read("/tasks", old_town.service("broker"))
    assert (reply.status_code, reply.json()["error"]) == (403, "insufficient_scope")
    assert "insufficient_scope" in reply.headers["www-authenticate"]
    assert (await old_town.read("/tasks", {})).status_code == 401
    assert (await old_town.ship(batch(chain("t")), {})).status_code == 401


async def test_a_token_for_another_audience_is_refused(old_town: Town) -> None:
    headers = old_town.person(aud="http://127.0.0.1:9")
    assert (await old_town.read("/tasks", headers)).status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        [],
        {},
        {"instance": "broker", "events": []},
        {"instance": "broker", "events": [{}]},
        {"instance": "broker", "events": "x"},
        {"instance": "broker", "replica": True, "events": chain("t")},
        {"instance": 5, "events": chain("t")},
        batch([*chain("t1"), *chain("t1")]),
        batch([{**chain("t")[0], "seq": 10**30}]),
        batch([{**chain("t")[0], "task": "tampered"}]),
        batch([{**chain("t")[0], "time": -1}]),
    ],
)
async def test_a_malformed_batch_is_refused_in_words(old_town: Town, body: Any) -> None:
    reply = await old_town.ship(body)
    assert reply.status_code == 400
    assert reply.json()["error"] == "invalid_request"


@pytest.mark.parametrize("query", [{"wait": "x"}, {"after": "-1"}, {"wait": "nan"}, {"after": "inf"}])
async def test_a_malformed_question_is_refused_in_words(old_town: Town, query: dict[str, str]) -> None:
    assert (await old_town.trail_of("t", **query)).status_code == 400


async def test_the_receipt_shows_a_tail_that_was_cut(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
    folder, key = town.home.folder("audit"), town.home.key("trail")
    assert check(folder, key=key) == []
    path = folder / "broker.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])
    assert {finding.problem for finding in check(folder, key=key)} == {Problem.MISSING}


async def test_no_token_is_in_the_database(town: Town) -> None:
    async with town.workload("broker") as broker:
        begin(broker, "t", issuer=town.issuer.url)
        await town.trail_of("t", wait=5)
    stored = b"".join(path.read_bytes() for path in town.home.folder("data").glob("trail.db*"))
    # A receipt is a signature and no credential; it is the one thing that may look like a token.
    signed = [json.loads(path.read_text())["receipt"] for path in town.home.folder("audit").glob("*.ack")]
    for receipt in signed:
        stored = stored.replace(receipt.encode(), b"")
    assert b"at+jwt" not in stored
    assert b"Bearer" not in stored


async def test_the_service_describes_itself(old_town: Town) -> None:
    document = (await old_town.read("/.well-known/oauth-protected-resource", {})).json()
    assert document["resource"] == old_town.trail
    assert set(document["scopes_supported"]) == {"trail:read", "audit:read", "audit:write"}
    assert (await old_town.read("/healthz", {})).status_code == 200


class TestHeads:
    """What is shipped is signed by who wrote it, as the register says, or is not taken."""

    async def test_a_batch_without_a_signed_head_is_not_taken(self, town: Town) -> None:
        reply = await town.ship(batch(chain("t"), head=None))
        assert (reply.status_code, reply.json()["error"]) == (403, "invalid_request")
        assert (await town.ship(batch(chain("t")))).json()["seq"] == 1

    @pytest.mark.parametrize("kid", ["unregistered", None])
    async def test_a_head_signed_by_another_key_is_not_taken(self, old_town: Town, kid: str | None) -> None:
        stranger = ECKey.generate_key("P-256", {"kid": kid or str(old_town.home.key("broker").kid)})
        last = chain("t")[-1]
        head = sign(Head("broker", 0, last["seq"], last["hash"]), stranger)
        assert (await old_town.ship(batch(chain("t"), head=head))).status_code == 403

    async def test_a_key_that_the_batch_brings_along_is_not_looked_at(self, old_town: Town) -> None:
        stranger = ECKey.generate_key("P-256", {"kid": "mine"})
        last = chain("t")[-1]
        payload = json.dumps({"instance": "broker", "replica": 0, "seq": last["seq"], "hash": last["hash"]})
        header = {"alg": "ES256", "typ": "stead-audit-head", "kid": "mine", "jwk": stranger.as_dict(private=False)}
        head = jws.serialize_compact(header, payload, stranger)
        jwks = {"keys": [stranger.as_dict(private=False)]}
        assert (await old_town.ship(batch(chain("t"), head=head, jwks=jwks))).status_code == 403

    async def test_a_head_of_another_event_is_not_taken(self, old_town: Town) -> None:
        signed = old_town.head(batch(chain("t1")))
        assert (await old_town.ship(batch(chain("t1", "t2"), head=signed))).status_code == 403

    async def test_a_workload_that_nobody_registered_ships_nothing(self, old_town: Town) -> None:
        last = chain("t", instance="stranger-agent")[-1]
        head = sign(Head("stranger-agent", 0, 1, last["hash"]), ECKey.generate_key("P-256", {"kid": "k"}))
        shipped = batch(chain("t", instance="stranger-agent"), "stranger-agent", head=head)
        assert (await old_town.ship(shipped, old_town.service("stranger-agent"))).status_code == 403

    async def test_a_receipt_holds_both_signatures(self, town: Town) -> None:
        receipt = (await town.ship(batch(chain("t")))).json()["receipt"]
        head = read(receipt, town.home.key("trail"))
        assert head.signed is not None
        assert read(head.signed, town.home.key("broker")).place == head.place

    async def test_an_older_batch_gets_the_receipt_that_was_given_for_the_newest(self, town: Town) -> None:
        newest = (await town.ship(batch(chain("t1", "t2")))).json()["receipt"]
        assert (await town.ship(batch(chain("t1")))).json() == {"seq": 2, "receipt": newest}

    async def test_an_auditor_sees_the_heads_that_are_held_and_nobody_else_does(self, town: Town) -> None:
        receipt = (await town.ship(batch(chain("t")))).json()["receipt"]
        [held] = (await town.read("/chains", town.person("admin", "audit:read"))).json()["chains"]
        assert (held["instance"], held["seq"], held["receipt"]) == ("broker", 1, receipt)
        assert (await town.read("/chains", town.person())).status_code == 403


class TestInAPersonsStead:
    async def test_a_person_reads_what_was_done_for_them(self, town: Town) -> None:
        async with town.workload("broker") as broker:
            begin(broker, "t1", "alice", "1" * 16, issuer=town.issuer.url)
            begin(broker, "t2", "bob", "2" * 16, issuer=town.issuer.url)
        document = (await town.read("/hops", town.person())).json()
        assert [(hop["task"], hop["sub"]) for hop in document["hops"]] == [("t1", "alice")]
        later = (await town.read("/hops", town.person(), since=time.time() + 60)).json()
        assert later["hops"] == []

    async def test_a_call_that_belongs_to_no_task_is_told_too(self, town: Town) -> None:
        async with town.workload("broker") as broker:
            begin(broker, "t1", "alice", "1" * 16, issuer=town.issuer.url)
            direct = Principal(
                town.issuer.url, "alice", broker.url, "stead-cli", frozenset({"x"}), "j9", 2_000_000_000, Grant.LOGIN
            )
            arrival = Arrival("9" * 16, "b" * 32, "j9")
            broker.journal.ingress(
                arrival=arrival,
                principal=direct,
                operation="SendMessage",
                resource="portfolio.summary",
                decision="deny",
            )
        hops = (await town.read("/hops", town.person())).json()["hops"]
        assert [(hop["task"], hop["decision"]) for hop in hops] == [("t1", "allow"), (None, "deny")]

    async def test_nobody_reads_what_was_done_for_another_without_the_right(self, town: Town) -> None:
        async with town.workload("broker") as broker:
            begin(broker, "t1", "alice", "1" * 16, issuer=town.issuer.url)
        refused = await town.read("/hops", town.person("bob"), sub="alice")
        assert (refused.status_code, refused.json()["error"]) == (403, "insufficient_scope")
        assert (
            await town.read("/hops", town.person("alice", iss="http://127.0.0.3:1"), sub="alice")
        ).status_code == 401
        allowed = await town.read("/hops", town.person("admin", "audit:read"), sub="alice")
        assert [hop["task"] for hop in allowed.json()["hops"]] == ["t1"]
