"""The collector's database: events as they were shipped, found by hop, parent and task.

An index, not the record: what it loses is shipped again, because its reply says what it holds.
"""

import asyncio
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    and_,
    event,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from stead.identity.audit.errors import ChainDiffers
from stead.identity.audit.event import Event, Kind, genesis
from stead.identity.audit.heads import Head
from stead.identity.types import Json

MAX_EVENTS = 5_000
"""Events that are looked at for one trail."""

_CHUNK, _DEPTH = 400, 24
_metadata = MetaData()
_events = Table(
    "events",
    _metadata,
    Column("instance", String(256), primary_key=True),
    Column("replica", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("time", Float, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("hop", String(512), nullable=False, index=True),
    Column("parent_hop", String(512), index=True),
    Column("task", String(512), index=True),
    Column("iss", String(512)),
    Column("sub", String(512)),
    Column("jti", String(512)),
    Column("hash", String(64), nullable=False),
    Column("body", Text, nullable=False),
)
_chains = Table(
    "chains",
    _metadata,
    Column("instance", String(256), primary_key=True),
    Column("replica", Integer, primary_key=True),
    Column("seq", Integer, nullable=False),
    Column("hash", String(64), nullable=False),
    Column("receipt", Text),
)
_callees = Table(
    "callees",
    _metadata,
    Column("aud", String(512), primary_key=True),
    Column("instance", String(256), nullable=False),
)
_INDEXED = ("instance", "replica", "seq", "time", "kind", "hop", "parent_hop", "task", "iss", "sub", "jti", "hash")


class Index:
    """The events collected so far. One writer at a time; readers see whole batches only."""

    def __init__(self, path: Path) -> None:
        self._engine = _engine(path)
        self._turn = asyncio.Lock()
        self._preparing = asyncio.Lock()
        self._ready = False

    async def close(self) -> None:
        """Closes all connections."""
        await self._engine.dispose()

    async def take(self, instance: str, replica: int, events: Sequence[Event]) -> Head:
        """Keeps what is new of a batch and returns the head of the chain as it is held now.

        Takes nothing when there is a hole before the batch. Raises `ChainDiffers` when the batch contradicts the chain.
        """
        async with self._turn:
            await self._prepare()
            async with self._engine.begin() as connection:
                return await _take(connection, instance, replica, events)

    async def keep_receipt(self, head: Head, receipt: str) -> None:
        """Keeps the newest receipt of a chain."""
        place = and_(_chains.c.instance == head.instance, _chains.c.replica == head.replica)
        async with self._turn, self._engine.begin() as connection:
            await connection.execute(update(_chains).where(place).values(receipt=receipt))

    async def receipt(self, head: Head) -> str | None:
        """The newest receipt of a chain."""
        place = and_(_chains.c.instance == head.instance, _chains.c.replica == head.replica)
        async with self._engine.connect() as connection:
            found: str | None = await connection.scalar(select(_chains.c.receipt).where(place))
            return found

    async def chains(self) -> list[Json]:
        """The head and the receipt of every chain, by name."""
        await self._prepare()
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(_chains).order_by(_chains.c.instance, _chains.c.replica))
            return [dict(row._mapping) for row in rows]

    async def about(self, task: str) -> list[Event]:
        """All events that the trail of `task` may be made of, and perhaps a few that it is not."""
        await self._prepare()
        async with self._engine.connect() as connection:
            return await _related(connection, task)

    async def callees(self) -> dict[str, str]:
        """Clients by audience, as far as they have confirmed a call."""
        await self._prepare()
        async with self._engine.connect() as connection:
            return {row.aud: row.instance for row in await connection.execute(select(_callees))}

    async def of_person(self, iss: str | None, sub: str, since: float, limit: int) -> list[Event]:
        """Calls in the stead of a subject, newest first, with their ends; by any issuer where `iss` is None."""
        await self._prepare()
        newest = select(_events.c.hop).where(_events.c.sub == sub, _events.c.time >= since)
        newest = newest.where(_events.c.kind.in_((Kind.EGRESS, Kind.INGRESS)))
        if iss is not None:
            newest = newest.where(_events.c.iss == iss)
        async with self._engine.connect() as connection:
            hops = set(await connection.scalars(newest.order_by(_events.c.time.desc()).limit(limit)))
            found = await _select(connection, _events.c.hop, hops)
        # A hop id is the caller's to choose, so that another's call may have the same one.
        return [each for each in found if each.kind is Kind.OUTCOME or (each.sub == sub and iss in (None, each.iss))]

    async def tasks(self, root: str, owner: tuple[str | None, str] | None, limit: int) -> list[Json]:
        """Tasks that `root` began, newest first: of one (iss, sub), or of everybody."""
        await self._prepare()
        async with self._engine.connect() as connection:
            rows = await connection.execute(_tasks(root, owner, limit))
            return [{"task": row.task, "started": row.started, "iss": row.iss, "sub": row.sub} for row in rows]

    async def _prepare(self) -> None:
        if self._ready:
            return
        async with self._preparing:
            if not self._ready:
                async with self._engine.begin() as connection:
                    await connection.run_sync(_metadata.create_all)
                self._ready = True


def _engine(path: Path) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)

    def prepare(connection: Any, _: object) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 5000"):
            connection.execute(f"PRAGMA {pragma}")

    event.listen(engine.sync_engine, "connect", prepare)
    return engine


async def _take(connection: AsyncConnection, instance: str, replica: int, events: Sequence[Event]) -> Head:
    head = await _head(connection, instance, replica)
    new = [each for each in events if each.seq > head.seq]
    await _compare(connection, head, [each for each in events if each.seq <= head.seq])
    if not new or new[0].seq != head.seq + 1:
        return head
    if new[0].prev != head.hash:
        raise ChainDiffers(f"Event {new[0].seq} of {instance} does not follow the chain that was collected.")
    await connection.execute(insert(_events), [_row(each) for each in new])
    await _learn(connection, new)
    return await _advance(connection, head, new[-1])


async def _head(connection: AsyncConnection, instance: str, replica: int) -> Head:
    place = and_(_chains.c.instance == instance, _chains.c.replica == replica)
    row = (await connection.execute(select(_chains).where(place))).one_or_none()
    if row is None:
        start = genesis(instance, replica)
        await connection.execute(insert(_chains).values(instance=instance, replica=replica, seq=0, hash=start))
        return Head(instance, replica, 0, start)
    return Head(instance, replica, row.seq, row.hash)


async def _advance(connection: AsyncConnection, head: Head, newest: Event) -> Head:
    place = and_(_chains.c.instance == head.instance, _chains.c.replica == head.replica)
    await connection.execute(update(_chains).where(place).values(seq=newest.seq, hash=newest.hash))
    return Head(head.instance, head.replica, newest.seq, newest.hash)


async def _compare(connection: AsyncConnection, head: Head, known: Sequence[Event]) -> None:
    if not known:
        return
    chain = and_(_events.c.instance == head.instance, _events.c.replica == head.replica)
    held = select(_events.c.seq, _events.c.hash).where(chain, _events.c.seq.between(known[0].seq, known[-1].seq))
    hashes = {row.seq: row.hash for row in await connection.execute(held)}
    if any(hashes.get(each.seq) != each.hash for each in known):
        raise ChainDiffers(f"Events of {head.instance} differ from those that were collected.")


async def _learn(connection: AsyncConnection, events: Sequence[Event]) -> None:
    """The first to confirm a call for an audience gives it its name in pictures; it decides nothing else."""
    claims = {each.aud: each.instance for each in events if each.kind is Kind.INGRESS and each.aud}
    if not claims:
        return
    known = set(await connection.scalars(select(_callees.c.aud).where(_callees.c.aud.in_(list(claims)))))
    new = [{"aud": aud, "instance": instance} for aud, instance in claims.items() if aud not in known]
    if new:
        await connection.execute(insert(_callees), new)


async def _related(connection: AsyncConnection, task: str) -> list[Event]:
    found: dict[tuple[str, int, int], Event] = {}
    seen: set[str] = set()
    frontier = set(await connection.scalars(select(_events.c.hop).where(_events.c.task == task)))
    for _ in range(_DEPTH):
        frontier -= seen
        if not frontier or len(found) >= MAX_EVENTS:
            break
        seen |= frontier
        here = await _select(connection, _events.c.hop, frontier)
        below = await _select(connection, _events.c.parent_hop, frontier)
        found |= {(each.instance, each.replica, each.seq): each for each in (*here, *below)}
        frontier = _made_there(here, below)
    return list(found.values())


def _made_there(here: Iterable[Event], below: Iterable[Event]) -> set[str]:
    """Hops made by one that received the hop above: what others say was made for it is not looked at further."""
    received = {(each.hop, each.instance) for each in here if each.kind is Kind.INGRESS}
    return {each.hop for each in below if (each.parent_hop, each.instance) in received}


async def _select(connection: AsyncConnection, column: ColumnElement[Any], values: set[str]) -> list[Event]:
    wanted = sorted(values)
    rows: list[str] = []
    for start in range(0, len(wanted), _CHUNK):
        chunk = column.in_(wanted[start : start + _CHUNK])
        rows += await connection.scalars(select(_events.c.body).where(chunk).limit(MAX_EVENTS))
    return [_stored(body) for body in rows]


def _tasks(root: str, owner: tuple[str | None, str] | None, limit: int) -> Any:
    bound, call = _events.alias(), _events.alias()
    same_call = and_(
        call.c.kind == Kind.INGRESS.value,
        call.c.instance == root,
        call.c.hop == bound.c.hop,
        or_(bound.c.jti.is_(None), bound.c.jti == call.c.jti),
    )
    began = and_(bound.c.instance == root, bound.c.task.is_not(None), bound.c.kind.in_((Kind.TASK, Kind.INGRESS)))
    started = func.min(call.c.time).label("started")
    query = select(bound.c.task, started, call.c.iss, call.c.sub).join(call, same_call).where(began)
    if owner is not None:
        query = query.where(call.c.sub == owner[1])
        if owner[0] is not None:
            query = query.where(call.c.iss == owner[0])
    return query.group_by(bound.c.task, call.c.iss, call.c.sub).order_by(started.desc()).limit(limit)


def _row(each: Event) -> Json:
    return {**{name: getattr(each, name) for name in _INDEXED}, "body": json.dumps(each.as_json())}


def _stored(body: str) -> Event:
    value = json.loads(body)
    return Event(**{**value, "kind": Kind(value["kind"])})
