"""The vault within an event loop: nobody waits there for a file or for a key service but whoever needs it.

The file has a thread of its own, and the keys a few. A key that many ask for at once is asked for once. A key service
that does not answer is a typed refusal to those whose keys it has: what is unwrapped already goes on.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from threading import Lock
from typing import Any

from stead.identity.errors import ProviderUnavailable
from stead.identity.telemetry import happened, names
from stead.identity.values import Secret
from stead.identity.vault import Vault, content_of
from stead.identity.vault_keys import Wrapped
from stead.identity.vault_steps import Done, Need, Steps, T, Unwrap, advance, asked

PATIENCE = 10.0
"""Seconds that a call waits for the key service."""

AT_ONCE = 8
"""Requests to the key service under way at a time."""

MOST_WAITING = 256
"""Different data keys that may be waited for; whoever asks for one more is refused at once."""


class AsyncVault:
    """A `Vault`, awaited. May be shared by event loops. Close it, which closes the vault.

    Every call raises `ConfigurationError` and `ProviderUnavailable` as the key service does, and the latter after
    `patience` seconds.
    """

    def __init__(self, vault: Vault, *, patience: float = PATIENCE) -> None:
        self._vault = vault
        self._patience = patience
        self._file = ThreadPoolExecutor(1, "stead-vault-file")
        self._keys = ThreadPoolExecutor(AT_ONCE, "stead-vault-keys")
        self._under_way: dict[Need, Future[Wrapped | bytes]] = {}
        self._lock = Lock()

    async def put(self, owner: str, task: str, name: str, value: Secret | bytes) -> None:
        """As `Vault.put`."""
        happened(names.VAULT_PUT)
        await self._run(self._vault.file.put(owner, task, name, content_of(value)))

    async def replace(self, owner: str, task: str, name: str, value: Secret | bytes) -> bool:
        """As `Vault.replace`."""
        happened(names.VAULT_PUT)
        return await self._run(self._vault.file.replace(owner, task, name, content_of(value)))

    async def get(self, owner: str, task: str, name: str) -> bytes | None:
        """As `Vault.get`."""
        happened(names.VAULT_GET)
        return await self._run(self._vault.file.get(owner, task, name))

    async def take(self, owner: str, task: str, name: str) -> bytes | None:
        """As `Vault.take`."""
        happened(names.VAULT_GET)
        return await self._run(self._vault.file.take(owner, task, name))

    async def forget(self, owner: str, task: str, name: str | None = None) -> None:
        """As `Vault.forget`."""
        happened(names.VAULT_FORGET)
        await self._run(self._vault.file.forget(owner, task, name))

    async def close(self) -> None:
        """Lets the file finish, and waits for no key service."""
        self._keys.shutdown(wait=False, cancel_futures=True)
        with suppress(ProviderUnavailable):  # it is closed already
            await asyncio.wrap_future(_submitted(self._file, self._vault.close))
        self._file.shutdown(wait=False)

    async def _run(self, steps: Steps[T]) -> T:
        turn = await self._on_file(steps, None)
        while not isinstance(turn, Done):
            turn = await self._on_file(steps, await self._answer(turn))
        return turn.value

    async def _on_file(self, steps: Steps[T], answer: Wrapped | bytes | None) -> Need | Done[T]:
        # What happens there belongs to the call, as its span and its person do.
        work = partial(copy_context().run, advance, steps, answer)
        return await asyncio.wrap_future(_submitted(self._file, work))

    async def _answer(self, need: Need) -> Wrapped | bytes:
        under_way = asyncio.wrap_future(self._asked(need))
        try:
            # Others may wait for the same answer: one who gives up does not take it from them.
            return await asyncio.wait_for(asyncio.shield(under_way), self._patience)
        except TimeoutError:
            raise ProviderUnavailable(
                "The key service of the vault did not answer in time.", hint="Try again in a moment."
            ) from None
        except asyncio.CancelledError:
            if under_way.cancelled():  # not we are given up, but the vault is closed
                raise _closed() from None
            raise

    def _asked(self, need: Need) -> Future[Wrapped | bytes]:
        with self._lock:
            same = self._under_way.get(need)
            if same is not None:
                return same
            if len(self._under_way) >= MOST_WAITING:
                raise ProviderUnavailable("The key service of the vault is behind.", hint="Try again in a moment.")
            known = self._known(need)
            if known is not None:
                return known
            future = _submitted(self._keys, partial(self._ask, need))
            self._under_way[need] = future
        future.add_done_callback(lambda _: self._landed(need))
        return future

    def _known(self, need: Need) -> Future[Wrapped | bytes] | None:
        """What another was told since the one who asks has looked."""
        plain = self._vault.file.remembered(need.wrapped.sealed, need.context) if isinstance(need, Unwrap) else None
        if plain is None:
            return None
        known: Future[Wrapped | bytes] = Future()
        known.set_result(plain)
        return known

    def _ask(self, need: Need) -> Wrapped | bytes:
        answer = asked(need, self._vault.keys)
        if isinstance(need, Unwrap) and isinstance(answer, bytes):
            self._vault.file.remember(need.wrapped.sealed, need.context, answer)
        return answer

    def _landed(self, need: Need) -> None:
        with self._lock:
            self._under_way.pop(need, None)


def _submitted(pool: ThreadPoolExecutor, work: Callable[[], Any]) -> Future[Any]:
    try:
        return pool.submit(work)
    except RuntimeError:
        raise _closed() from None


def _closed() -> ProviderUnavailable:
    return ProviderUnavailable("The vault is closed.", hint="Try again in a moment.")
