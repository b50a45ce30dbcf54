"""A database that an earlier release made gets the tables and columns that it lacks."""

from sqlalchemy import Column, Connection, Engine, inspect, text
from sqlalchemy.schema import CreateColumn

from stead.identity.server import schema


def bring_up_to_date(engine: Engine) -> None:
    """Adds what is missing, and takes nothing away. Safe where two processes start at once."""
    schema.metadata.create_all(engine)
    if not _missing(engine):
        return
    with engine.connect() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        for column in _missing(connection):
            _add(connection, column)
        connection.commit()


def _missing(where: Engine | Connection) -> list[Column[object]]:
    found = inspect(where)
    known = {(name, one["name"]) for name in schema.metadata.tables for one in found.get_columns(name)}
    return [
        column
        for name, table in schema.metadata.tables.items()
        for column in table.columns
        if (name, column.name) not in known
    ]


def _add(connection: Connection, column: Column[object]) -> None:
    definition = CreateColumn(column).compile(dialect=connection.dialect)
    connection.execute(text(f"ALTER TABLE {column.table.name} ADD COLUMN {definition}"))
