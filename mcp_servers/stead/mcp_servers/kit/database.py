"""One SQLite file, worked on by one thread: the loop never waits for the disk, and a transaction is a function."""

import asyncio
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from stead.identity.sqlite import immediate

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]

_BUSY_SECONDS = 10.0


class Database:
    """Runs functions on the file's one connection. Other processes may have the same file open.

    `prepare` makes the tables, and what must lie in them, before the first use; it finds them there the next time.
    """

    def __init__(self, path: Path, prepare: Work[None]) -> None:
        self._path = path
        self._prepare = prepare
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"db-{path.stem}")
        self._connection: sqlite3.Connection | None = None

    async def read(self, work: Work[T]) -> T:
        """What `work` returns. It must not write."""
        return await self._run(lambda: work(self._open()))

    async def write(self, work: Work[T]) -> T:
        """What `work` returns, its changes kept all or, when it raises, not at all. No other writer runs meanwhile."""
        return await self._run(lambda: self._transaction(work))

    async def close(self) -> None:
        """Closes the file; the next call opens it again."""
        await self._run(self._close)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _transaction(self, work: Work[T]) -> T:
        with immediate(self._open()) as connection:
            return work(connection)

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(
                self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
            with immediate(connection):
                self._prepare(connection)
            self._connection = connection
        return self._connection

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
