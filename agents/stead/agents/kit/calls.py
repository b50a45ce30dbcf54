"""Who called what: the kit's own index of tasks, by which a repeated call finds its task and a restart what was left.

Holds handles and what tells callers apart, never a token nor all that one says.
"""

from collections.abc import Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    MetaData,
    RowMapping,
    String,
    Table,
    UniqueConstraint,
    select,
    update,
)
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stead.identity.confirmation import Confirmation
from stead.identity.types import Json
from stead.identity.values import AccessToken, Actor, Arrival, Grant, Principal

metadata = MetaData()
calls = Table(
    "calls",
    metadata,
    Column("task", String, primary_key=True),
    Column("owner", String, nullable=False),
    Column("actor", String, nullable=False),
    Column("message", String, nullable=False),
    Column("skill", String, nullable=False),
    Column("input", JSON, nullable=False),
    Column("principal", JSON, nullable=False),
    Column("arrival", JSON, nullable=True),
    Column("push", String, nullable=True),
    Column("ended", Boolean, nullable=False, default=False),
    Column("made", Float, nullable=False),
    UniqueConstraint("owner", "actor", "message"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One accepted call. `message` is the caller's own key for it: the same on every retry."""

    task: str
    message: str
    skill: str
    input: Json
    principal: Principal
    arrival: Arrival | None
    push: str | None
    made: float

    @property
    def actor(self) -> str:
        """Who makes the call: the current actor, else the caller itself."""
        return actor_of(self.principal)

    @property
    def key(self) -> str:
        """What idempotency keys derive from: the same on every retry of this call, and for no other call."""
        return f"{self.principal.owner}|{self.actor}|{self.message}"


def actor_of(principal: Principal) -> str:
    """The current actor, who alone counts (RFC 8693 s4.1); a client that calls for itself is its own."""
    return principal.client_id if principal.actor is None else principal.actor.subject


class Calls:
    """The index, in the agent's own database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, record: Record) -> str:
        """Keeps the call unless its caller made it before. Returns the task it has, atomically the same for both."""
        row = _row(record)
        async with self._engine.begin() as connection:
            await connection.execute(insert(calls).values(row).on_conflict_do_nothing())
            found = await connection.execute(
                select(calls.c.task).where(
                    calls.c.owner == row["owner"], calls.c.actor == row["actor"], calls.c.message == row["message"]
                )
            )
            return str(found.scalar_one())

    async def get(self, task: str) -> Record:
        """The call that became this task. Raises `KeyError` when there is none."""
        async with self._engine.connect() as connection:
            row = (await connection.execute(select(calls).where(calls.c.task == task))).mappings().first()
        if row is None:
            raise KeyError(task)
        return _record(row)

    async def among(self, tasks: Sequence[str]) -> dict[str, Record]:
        """The calls that became these tasks, by task."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(calls).where(calls.c.task.in_(tasks)))).mappings().all()
        return {row["task"]: _record(row) for row in rows}

    async def end(self, task: str, *, forget_key: bool = False) -> None:
        """Notes that the task is over. With `forget_key` the caller's next try is a call of its own."""
        message = {"message": f"interrupted:{task}"} if forget_key else {}
        async with self._engine.begin() as connection:
            await connection.execute(update(calls).where(calls.c.task == task).values(ended=True, **message))

    async def receiver(self, task: str, url: str | None) -> None:
        """Notes who is told when the task changes."""
        async with self._engine.begin() as connection:
            await connection.execute(update(calls).where(calls.c.task == task).values(push=url))

    async def open(self) -> list[Record]:
        """The calls that are not over."""
        async with self._engine.connect() as connection:
            rows = (await connection.execute(select(calls).where(calls.c.ended.is_(False)))).mappings().all()
        return [_record(row) for row in rows]


def _row(record: Record) -> dict[str, Any]:
    arrival = record.arrival
    return {
        "task": record.task,
        "owner": record.principal.owner,
        "actor": record.actor,
        "message": record.message,
        "skill": record.skill,
        "input": record.input,
        "principal": principal_json(record.principal, _KEPT),
        "arrival": None if arrival is None else {"hop": arrival.hop, "trace": arrival.trace, "jti": arrival.jti},
        "push": record.push,
        "ended": False,
        "made": record.made,
    }


def _record(row: RowMapping) -> Record:
    return Record(
        task=row["task"],
        message=row["message"],
        skill=row["skill"],
        input=row["input"],
        principal=principal_from(row["principal"]),
        arrival=None if row["arrival"] is None else Arrival(**row["arrival"]),
        push=row["push"],
        made=row["made"],
    )


_KEPT = frozenset({"name", "sid", "auth_time", "acr", "amr"})
"""Who called, and by which login: all that a call is told apart by. The rest of a token stays with the token."""


def principal_json(principal: Principal, claims: Set[str] | None = None) -> Json:
    """A principal without its token; of its further claims those that are named, or all."""
    return {
        "issuer": principal.issuer,
        "subject": principal.subject,
        "audience": principal.audience,
        "client_id": principal.client_id,
        "scopes": sorted(principal.scopes),
        "jti": principal.jti,
        "expires_at": principal.expires_at,
        "grant": principal.grant.value,
        "actor": None if principal.actor is None else principal.actor.as_claim(),
        "txn": principal.txn,
        "confirmation": None if principal.confirmation is None else principal.confirmation.as_claim(),
        "chain_from": principal.chain_from,
        "receipts": list(principal.receipts),
        "claims": {name: said for name, said in principal.claims.items() if claims is None or name in claims},
    }


def principal_from(stored: Json, token: AccessToken | None = None) -> Principal:
    """What `principal_json` kept, with a token if one is at hand."""
    return Principal(
        **{
            **stored,
            "scopes": frozenset(stored["scopes"]),
            "grant": Grant(stored["grant"]),
            "actor": None if stored["actor"] is None else Actor.from_claim(stored["actor"]),
            "confirmation": Confirmation.from_claim(bound) if (bound := stored.get("confirmation")) else None,
            "receipts": tuple(stored.get("receipts", ())),
            "claims": MappingProxyType(stored["claims"]),
            "token": token,
        }
    )
