"""Two processes of one issuer, of which one is asked in the middle of what the other does."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import Executable

from stead.identity.server.store import Store

Use = Callable[[Store], bool]


class Racing(Store):
    """One process, into whose first look the other one's whole call falls."""

    def __init__(self, path: Path, between: Callable[[], Any]) -> None:
        super().__init__(path)
        self._between: Callable[[], Any] | None = between

    def row(self, statement: Executable, values: Any = None) -> dict[str, Any] | None:
        found = super().row(statement, values)
        if self._between is not None:
            between, self._between = self._between, None
            between()
        return found


def within(store: Store, use: Use) -> bool:
    with store.transaction():
        return use(store)
