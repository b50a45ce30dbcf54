"""What a workload has heard of the issuers that it trusts: which tokens and sessions are good no longer.

By their feeds, which it follows, and by what any service of the network was told, which is in the notebook.
"""

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.signals.follower import Follower
from stead.identity.signals.notebook import Ended, Notebook
from stead.identity.signals.revoked import Revoked
from stead.identity.signals.streams import Streams
from stead.identity.values import Principal

LOOK = 1.0
"""Seconds between two looks into the notebook."""
_log = logging.getLogger(__name__)

Told = Callable[[str, Revoked], None]


class Hearing:
    """Follows each issuer once, while it is entered, and remembers its last word.

    `kept` tells of each issuer that may tell services of the network something, how many seconds that is of interest;
    `open_notebook` is not called where there is none.
    """

    def __init__(
        self,
        follower: Callable[[str, Told], Follower],
        told: Told,
        *,
        kept: Mapping[str, float],
        open_notebook: Callable[[], Notebook],
    ) -> None:
        self._make = follower
        self._listeners = [told]
        self._kept = kept
        self._open_notebook = open_notebook
        self._notebook: Notebook | None = None
        self._followers: dict[str, Follower] = {}
        self._attended: dict[str, Callable[[], Coroutine[None, None, None]]] = {}
        self._fed: dict[str, Revoked] = {}
        self._noted: dict[str, Revoked] = {}
        self._revoked: dict[str, Revoked] = {}
        self.streams = Streams(self.is_revoked)

    def attend(self, name: str, listening: Callable[[], Coroutine[None, None, None]]) -> None:
        """Has something more listened to, from the next entering on: by a coroutine that never returns."""
        self._attended[name] = listening

    def follow(self, issuer: str) -> None:
        """Has the issuer followed, from the next entering on."""
        if issuer not in self._followers:
            self._followers[issuer] = self._make(issuer, self._hear)

    def tell(self, told: Told) -> None:
        """Has `told` called with all that an issuer has revoked, whenever that changes."""
        self._listeners.append(told)

    def is_revoked(self, principal: Principal) -> bool:
        """Whether the principal's issuer said that its token, or its session, is over."""
        known = self._revoked.get(principal.issuer)
        return known is not None and known.covers(principal)

    def covers(self, issuer: str, claims: Mapping[str, Any]) -> bool:
        """Whether the issuer said that a token of its with these claims is over; without claims nobody can tell."""
        known, since, jti = self._revoked.get(issuer), claims.get("iat"), claims.get("jti")
        if known is None or not isinstance(since, int | float):
            return False
        is_named = isinstance(jti, str) and jti in known.tokens
        return is_named or known.covers_login(claims.get("sid"), (claims.get("sub"),), since)

    def ends_session(self, issuer: str, sid: str | None, subjects: Iterable[str | None], begun: float) -> bool:
        """Whether the issuer said that a session is over that one of our own rests on."""
        known = self._revoked.get(issuer)
        return known is not None and known.ends_session(sid, subjects, begun)

    def record(self, message: str, ended: Ended, *, until: float) -> bool:
        """Writes down for the whole network what an issuer said in a message, which nobody repeats after `until`.

        False where somebody heard that message before. Raises `ProviderUnavailable` where it cannot be written.
        """
        try:
            is_first = self._book.hear(message, ended, until=until, keep=self._kept[ended.issuer])
            self._look(ended.issuer)
        except sqlite3.Error as failure:
            raise _unwritten(failure) from None
        return is_first

    def add(self, ended: Ended) -> None:
        """Adds what this service knows itself of an end that it heard of, for those who know less.

        Raises `ProviderUnavailable` where it cannot be written.
        """
        if ended.issuer not in self._kept:
            return
        try:
            self._book.note(ended, keep=self._kept[ended.issuer])
            self._look(ended.issuer)
        except sqlite3.Error as failure:
            raise _unwritten(failure) from None

    @property
    def _book(self) -> Notebook:
        if self._notebook is None:
            raise ProviderUnavailable("The service is not at work.", hint="Try again in a moment.")
        return self._notebook

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[None]:
        """Listens inside the block."""
        self._notebook = self._opened() if self._kept else None
        followed = {f"revocations of {issuer}": one.follow for issuer, one in self._followers.items()}
        listening = [asyncio.create_task(one(), name=name) for name, one in {**followed, **self._attended}.items()]
        if self._notebook is not None:
            listening.append(asyncio.create_task(self._watch(self._notebook), name="who is signed out"))
        try:
            yield
        finally:
            for task in listening:
                task.cancel()
            await asyncio.gather(*listening, return_exceptions=True)
            if self._notebook is not None:
                self._notebook.close()
                self._notebook = None

    def _opened(self) -> Notebook:
        try:
            return self._open_notebook()
        except sqlite3.Error as failure:
            raise ConfigurationError(
                f"What is known of sign-outs cannot be opened: {type(failure).__name__}.",
                hint="Look at data/signed-out.db in the state directory.",
            ) from None

    async def _watch(self, notebook: Notebook) -> None:
        edition: int | None = None
        while True:
            try:
                if edition != (edition := notebook.edition):
                    for issuer in self._kept:
                        self._look(issuer)
            except sqlite3.Error as failure:
                edition = None
                _log.warning("who is signed out cannot be read: %s", type(failure).__name__)
            await asyncio.sleep(LOOK)

    def _look(self, issuer: str) -> None:
        noted = self._book.revoked(issuer)
        if noted != self._noted.get(issuer, Revoked()):
            self._noted[issuer] = noted
            self._changed(issuer)

    def _hear(self, issuer: str, revoked: Revoked) -> None:
        self._fed[issuer] = revoked
        self._changed(issuer)

    def _changed(self, issuer: str) -> None:
        known = self._fed.get(issuer, Revoked()).joined(self._noted.get(issuer, Revoked()))
        self._revoked[issuer] = known
        self.streams.look()
        for told in self._listeners:
            try:
                told(issuer, known)
            except Exception:  # one that fails must not keep the others from hearing, nor us from listening on
                _log.exception("not everybody here heard what %s took back", issuer)


def _unwritten(failure: sqlite3.Error) -> ProviderUnavailable:
    return ProviderUnavailable("It cannot be written down.", hint="Try again.", debug=type(failure).__name__)
