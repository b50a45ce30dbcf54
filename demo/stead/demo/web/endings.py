"""Sessions that end because their provider says so: somebody signed out there, or was signed out."""

import asyncio
import logging

from stead.demo.web.credentials import Credentials
from stead.demo.web.following import Following
from stead.demo.web.session import Session, Sessions
from stead.identity.clock import Clock
from stead.identity.errors import ProviderUnavailable
from stead.identity.patience import patient
from stead.identity.signals.hearing import Hearing
from stead.identity.signals.notebook import Ended
from stead.identity.signals.revoked import Revoked

_log = logging.getLogger(__name__)


class Endings:
    """Ends them, with all their tokens, and tells their open pages. Use as a context manager."""

    def __init__(
        self, hearing: Hearing, sessions: Sessions, credentials: Credentials, following: Following, clock: Clock
    ) -> None:
        self._hearing = hearing
        self._sessions = sessions
        self._credentials = credentials
        self._following = following
        self._clock = clock
        self._leaving: set[asyncio.Task[None]] = set()
        hearing.tell(self._heard)

    async def __aenter__(self) -> "Endings":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._leaving:
            task.cancel()
        await asyncio.gather(*self._leaving, return_exceptions=True)

    def _heard(self, issuer: str, revoked: Revoked) -> None:
        for session in self._sessions.of(issuer):
            if revoked.ends_session(session.sid, (session.subject, session.sub), session.begun):
                self._end(session)

    def _end(self, session: Session) -> None:
        self._sessions.end(session)
        leaving = asyncio.create_task(self._leave(session), name="end of a session")
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    async def _leave(self, session: Session) -> None:
        """Only we may know whose session it was; tokens that do not name theirs are told by their person."""
        if session.sid is not None:
            try:
                self._hearing.add(Ended(session.issuer, self._clock(), session.sid, session.subject))
            except ProviderUnavailable as failure:
                _log.warning("whose session ended is not on record: %s", failure.debug or failure.description)
        # Its pages do not wait for the vault, whose keys may be away for a while.
        await asyncio.gather(self._following.leave(session), patient(lambda: self._credentials.forget(session)))
