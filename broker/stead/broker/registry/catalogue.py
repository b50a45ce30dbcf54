"""The registry's table: entries by name, as documents. Knows SQL; nothing of cards or servers."""

from collections.abc import Sequence

from sqlalchemy import JSON, Column, MetaData, String, Table, delete, select
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stead.broker.registry.entries import Entry

_metadata = MetaData()
_entries = Table(
    "registry",
    _metadata,
    Column("name", String(200), primary_key=True),
    Column("url", String(500), nullable=False, unique=True),
    Column("document", JSON, nullable=False),
)


class Catalogue:
    """Entries kept in the broker's database, so that a restart knows what was added."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def open(self) -> None:
        """Makes the table."""
        async with self._engine.begin() as connection:
            await connection.run_sync(_metadata.create_all)

    async def put(self, entry: Entry) -> None:
        """Keeps `entry`, in place of one of the same name."""
        row = {"name": entry.name, "url": entry.url, "document": entry.model_dump(mode="json")}
        statement = insert(_entries).values(row)
        async with self._engine.begin() as connection:
            await connection.execute(statement.on_conflict_do_update(index_elements=["name"], set_=row))

    async def remove(self, name: str) -> bool:
        """Forgets an entry. False when there is none."""
        async with self._engine.begin() as connection:
            return (await connection.execute(delete(_entries).where(_entries.c.name == name))).rowcount > 0

    async def all(self) -> Sequence[Entry]:
        """Every entry, by name."""
        async with self._engine.connect() as connection:
            rows = await connection.execute(select(_entries.c.document).order_by(_entries.c.name))
            return [Entry.model_validate(document) for document in rows.scalars()]
