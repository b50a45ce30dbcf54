"""The questions that were put to persons, and what became of them. Each is answered once, whoever races for it.

Holds no credential: codes and tokens lie in the vault, under the task.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Column, Integer, RowMapping, String, Table, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stead.agents.kit.calls import metadata
from stead.identity.challenge import Challenge, PinnedOperation
from stead.identity.types import Json


class Answered(StrEnum):
    """Where a challenge is. `REDEEMING`: the person said yes, and the credential is being fetched."""

    OPEN = "open"
    REDEEMING = "redeeming"
    GRANTED = "granted"
    DECLINED = "declined"
    EXPIRED = "expired"
    CANCELED = "canceled"


challenges = Table(
    "challenges",
    metadata,
    Column("id", String, primary_key=True),
    Column("task", String, nullable=False, index=True),
    Column("owner", String, nullable=False),
    Column("wire", JSON, nullable=False),
    Column("operation", JSON, nullable=False),
    Column("state", String, nullable=False),
    Column("granted", JSON, nullable=True),
    Column("consent_id", String, nullable=True),
    Column("expires_at", Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Question:
    """A challenge with the operation it pins, who may answer it, and what came of it."""

    challenge: Challenge
    operation: PinnedOperation
    owner: str
    state: Answered
    granted: tuple[Json, ...] | None
    consent_id: str | None


class Challenges:
    """All questions of one agent."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def add(self, challenge: Challenge, operation: PinnedOperation, owner: str) -> Question:
        """Keeps a new question; one that is there already stays as it is, and is returned."""
        row = {
            "id": challenge.id,
            "task": challenge.task,
            "owner": owner,
            "wire": challenge.as_json(),
            "operation": _operation_json(operation),
            "state": Answered.OPEN.value,
            "expires_at": challenge.expires_at,
        }
        async with self._engine.begin() as connection:
            await connection.execute(insert(challenges).values(row).on_conflict_do_nothing())
            found = await connection.execute(select(challenges).where(challenges.c.id == challenge.id))
            return _question(found.mappings().one())

    async def get(self, challenge: str) -> Question | None:
        """The question of this id."""
        async with self._engine.connect() as connection:
            found = await connection.execute(select(challenges).where(challenges.c.id == challenge))
            row = found.mappings().first()
        return None if row is None else _question(row)

    async def of_task(self, task: str) -> list[Question]:
        """The questions of a task."""
        async with self._engine.connect() as connection:
            found = await connection.execute(select(challenges).where(challenges.c.task == task))
            return [_question(row) for row in found.mappings().all()]

    async def move(self, challenge: str, before: Answered, after: Answered, **granted: Any) -> bool:
        """Moves a question on, unless somebody was faster. One statement, so that exactly one wins.

        With `granted` details and `consent_id` for the one that was granted.
        """
        async with self._engine.begin() as connection:
            moved = await connection.execute(
                update(challenges)
                .where(challenges.c.id == challenge, challenges.c.state == before.value)
                .values(state=after.value, **granted)
            )
        return moved.rowcount == 1


def _question(row: RowMapping) -> Question:
    return Question(
        challenge=Challenge.from_json(row["wire"]),
        operation=_operation(row["operation"]),
        owner=row["owner"],
        state=Answered(row["state"]),
        granted=None if row["granted"] is None else tuple(row["granted"]),
        consent_id=row["consent_id"],
    )


def _operation_json(operation: PinnedOperation) -> Json:
    return {
        "details": dict(operation.details),
        "audience": operation.audience,
        "scopes": list(operation.scopes),
        "explanation": operation.explanation,
        "may_add": sorted(operation.may_add),
    }


def _operation(stored: Json) -> PinnedOperation:
    return PinnedOperation(
        details=stored["details"],
        audience=stored["audience"],
        scopes=tuple(stored["scopes"]),
        explanation=stored["explanation"],
        may_add=frozenset(stored["may_add"]),
    )
