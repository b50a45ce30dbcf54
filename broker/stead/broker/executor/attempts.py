"""Which calls without an idempotency key of their own were begun: such a call is made once, or said to be in doubt."""

from sqlalchemy import Column, MetaData, String, Table
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

_metadata = MetaData()
_attempts = Table("attempts", _metadata, Column("key", String(200), primary_key=True))


class Attempts:
    """Calls by key, in the broker's database."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self) -> None:
        """Makes the table."""
        async with self._engine.begin() as connection:
            await connection.run_sync(_metadata.create_all)

    async def begin(self, key: str) -> bool:
        """Notes that the call begins, durably. False when it was begun before."""
        async with self._engine.begin() as connection:
            done = await connection.execute(insert(_attempts).values(key=key).on_conflict_do_nothing())
            return bool(done.rowcount)
