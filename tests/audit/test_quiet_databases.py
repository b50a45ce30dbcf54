"""A statement that breaks says which one it was, and nothing of what it was about: its exception goes into a log."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from stead.agents.kit import storage
from stead.broker import app
from stead.identity.audit import index
from stead.identity.home import Home
from stead.identity.server.store import Store

CANARY = "what-a-person-said"
BROKEN = text("INSERT INTO nowhere VALUES (:said)")


def test_an_issuers_broken_statement_tells_nothing_of_a_person(tmp_path: Path) -> None:
    store = Store(tmp_path / "issuer.db")
    with pytest.raises(SQLAlchemyError, match="nowhere") as broken, store.transaction():
        store.run(BROKEN, {"said": CANARY})
    store.close()
    assert CANARY not in str(broken.value)


def engines(path: Path) -> list[Any]:
    workload: Any = SimpleNamespace(home=Home(path))
    return [storage.sqlite(path / "agent.db"), app._engine(workload), index._engine(path / "trail.db")]


async def test_no_other_broken_statement_does_either(tmp_path: Path) -> None:
    for engine in engines(tmp_path):
        with pytest.raises(SQLAlchemyError, match="nowhere") as broken:
            async with engine.begin() as connection:
                await connection.execute(BROKEN, {"said": CANARY})
        await engine.dispose()
        assert CANARY not in str(broken.value)
