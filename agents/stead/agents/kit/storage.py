"""Where an agent keeps what it must not lose: its own SQLite database and its vault, opened and closed together."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from stead.agents.kit.board import Board
from stead.agents.kit.calls import Calls, metadata
from stead.agents.kit.challenges import Challenges
from stead.identity.home import Home
from stead.identity.vault_async import AsyncVault
from stead.identity.vaults import VaultSettings, open_vault


@dataclass(frozen=True, slots=True)
class Storage:
    """The tables of one agent."""

    engine: AsyncEngine
    board: Board
    calls: Calls
    challenges: Challenges
    vault: AsyncVault


@asynccontextmanager
async def opened(home: Home, name: str, keys: VaultSettings) -> AsyncGenerator[Storage, None]:
    """The storage of the agent `name`; made at the first start."""
    engine = sqlite(home.database(name))
    vault = AsyncVault(open_vault(home, keys, f"{name}-vault"))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(metadata.create_all)
        storage = Storage(engine, Board(engine), Calls(engine), Challenges(engine), vault)
        await storage.board.open()
        yield storage
    finally:
        await vault.close()
        await engine.dispose()


def sqlite(path: Path) -> AsyncEngine:
    """An engine on a SQLite file whose readers never wait for its writer."""
    engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}").close()

    return engine
