"""A session of the page ends when its provider says so, with all that is kept for it; other sessions go on."""

import asyncio
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from stead.demo.cli.browser import Browser
from stead.demo.web.endings import Endings
from stead.demo.web.session import Session, Sessions
from stead.identity.signals.notebook import Ended
from stead.identity.signals.revoked import Revoked
from tests.web.conftest import Tab
from tests.web.world import World

if TYPE_CHECKING:
    from stead.demo.web.credentials import Credentials
    from stead.demo.web.following import Following
    from stead.identity.signals.hearing import Hearing

WITHIN = 5.0


async def signed_out_at_the_provider(world: World, tab: Tab) -> None:
    provider = world.home.network.corporate_idp
    form = (await Browser(tab.http, {}).visit(f"{provider}/logout")).forms()[0]
    done = await tab.http.post(
        f"{provider}/logout", data=form.fields | dict(form.buttons[:1]), headers={"origin": provider}
    )
    assert done.status_code < 400


async def over(tab: Tab) -> None:
    async with asyncio.timeout(WITHIN):
        while (await tab.http.get("/session")).status_code != 401:
            await asyncio.sleep(0.05)


async def test_whoever_signs_out_at_the_provider_is_signed_out_of_the_page(world: World, alice: Tab) -> None:
    elsewhere = await Tab(world).sign_in("alice")
    await signed_out_at_the_provider(world, alice)
    await over(alice)
    assert (await elsewhere.http.get("/session")).status_code == 200
    await elsewhere.http.aclose()


async def test_an_open_page_is_told_and_nothing_is_kept_of_the_session(world: World, tab: Tab) -> None:
    secrets_before = kept(world)
    alice = await tab.sign_in("alice")
    assert kept(world) > secrets_before
    async with alice.http.stream("GET", "/events", timeout=20) as stream:
        await signed_out_at_the_provider(world, alice)
        async with asyncio.timeout(WITHIN):
            async for line in stream.aiter_lines():
                if "The session has ended." in line:
                    break
            while kept(world) != secrets_before:
                await asyncio.sleep(0.02)


async def test_after_a_mass_revocation_who_is_still_signed_in_goes_on_with_new_tokens(world: World, alice: Tab) -> None:
    assert (await alice.http.get("/state")).status_code == 200
    issuer, before = world.home.network.corporate_idp, sealed(world)
    world.workload.hearing._hear(issuer, Revoked(before=time.time() - 5))
    assert (await alice.http.get("/state")).status_code == 200
    assert sealed(world) == before
    world.workload.hearing._hear(issuer, Revoked(before=time.time()))
    assert (await alice.http.get("/state")).status_code == 200
    assert sealed(world) != before
    world.workload.hearing._hear(issuer, Revoked())


def sealed(world: World) -> str:
    """All that the web's vault holds."""
    with closing(sqlite3.connect(world.home.database("web-vault"))) as database:
        return "".join(line for line in database.iterdump() if line.startswith("INSERT"))


def kept(world: World) -> int:
    """How many secrets the web's vault holds."""
    return sealed(world).count("INSERT")


def test_a_file_from_before_sessions_had_names_is_read_on(tmp_path: Path) -> None:
    path = tmp_path / "web.db"
    with closing(sqlite3.connect(path)) as old:
        old.execute(
            "CREATE TABLE sessions (key TEXT PRIMARY KEY, issuer TEXT NOT NULL, subject TEXT NOT NULL,"
            " name TEXT NOT NULL, ends REAL NOT NULL, seen REAL NOT NULL)"
        )
        old.execute("INSERT INTO sessions VALUES ('k', 'https://as', 'alice', 'Alice', 9e9, 5)")
        old.commit()
    sessions = Sessions(path, b"secret", lambda: 6.0)
    (session,) = sessions.of("https://as")
    assert (session.subject, session.sid, session.begun) == ("alice", None, 0.0)
    assert sessions.begin("https://as", "bob", "Bob", sid="s-1")[1].sid == "s-1"
    sessions.close()


async def test_whose_session_it_was_is_told_to_services_whose_tokens_name_none(tmp_path: Path) -> None:
    """The provider named the session alone; only the page knows the person."""
    added: list[Ended] = []
    hearing = SimpleNamespace(tell=lambda told: None, add=added.append)
    sessions = Sessions(tmp_path / "web.db", b"secret", lambda: 100.0)
    for name, sid in (("alice", "s-1"), ("bob", "s-2")):
        sessions.begin("https://as", name, name.title(), sid=sid)
    forgotten: list[str] = []
    left: asyncio.Queue[str] = asyncio.Queue()

    async def leave(session: Session) -> None:
        left.put_nowait(session.subject)

    endings = Endings(
        cast("Hearing", hearing),
        sessions,
        cast("Credentials", SimpleNamespace(forget=lambda session: forgotten.append(session.subject))),
        cast("Following", SimpleNamespace(leave=leave)),
        lambda: 101.0,
    )
    async with endings:
        endings._heard("https://as", Revoked(frozenset({"s-1"})))
        assert await left.get() == "alice"
    assert added == [Ended("https://as", 101.0, "s-1", "alice")]
    assert forgotten == ["alice"]
    assert [one.subject for one in sessions.of("https://as")] == ["bob"]
    sessions.close()
