"""Which message became which task, so that a repeated message is answered with the task it has."""

from sqlalchemy import Column, MetaData, String, Table, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

MAX_KEY = 128
"""Characters of a message id, which is a key."""

_metadata = MetaData()
_requests = Table(
    "requests",
    _metadata,
    Column("owner", String(500), primary_key=True),
    Column("message", String(MAX_KEY), primary_key=True),
    Column("task", String(36), nullable=False),
)


class Requests:
    """Tasks by (owner, message id)."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self) -> None:
        """Makes the table."""
        async with self._engine.begin() as connection:
            await connection.run_sync(_metadata.create_all)

    async def claim(self, owner: str, message: str, task: str) -> str:
        """`task`, or the one that this message of this owner has already."""
        async with self._engine.begin() as connection:
            row = {"owner": owner, "message": message, "task": task}
            await connection.execute(insert(_requests).values(row).on_conflict_do_nothing())
            found = await connection.execute(
                select(_requests.c.task).where(_requests.c.owner == owner, _requests.c.message == message)
            )
            return str(found.scalar_one())
