"""Runs endpoints: one thread, one transaction for each call, one place where errors become answers."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from authlib.oauth2.rfc6749 import OAuth2Error
from sqlalchemy.exc import OperationalError

from stead.identity.dpop import ALGORITHMS
from stead.identity.server.calls import NO_STORE, Call, Reply
from stead.identity.server.errors import Refused, invalid_request
from stead.identity.server.site import Endpoint, Site
from stead.identity.types import T

log = logging.getLogger(__name__)

_PURGE_EVERY = 60.0
_KEEP_EXPIRED = 3600.0
"""Seconds that what expired is kept: a replayed code is recognised that much longer."""


class Worker:
    """The one thread that Authlib and the database belong to."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="issuer")
        self._purged = 0.0
        self.on_news: Callable[[], None] = lambda: None
        """Called where a call left something that clients have to be told."""

    async def run(self, endpoint: Endpoint, call: Call) -> Reply:
        """The endpoint's answer."""
        reply = await asyncio.get_running_loop().run_in_executor(self._thread, self._answer, endpoint, call)
        store = self._site.issuer.store
        if store.has_news:
            store.has_news = False
            self.on_news()
        return reply

    async def within(self, work: Callable[[Site], T]) -> T:
        """What `work` returns, done in a transaction of its own."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self._done, work)

    def close(self) -> None:
        """Finishes what is under way, and closes the database."""
        self._thread.shutdown(wait=True)
        self._site.issuer.store.close()

    def _done(self, work: Callable[[Site], T]) -> T:
        with self._site.issuer.store.transaction():
            return work(self._site)

    def _answer(self, endpoint: Endpoint, call: Call) -> Reply:
        try:
            with self._site.issuer.store.transaction():
                self._purge()
                return _refusable(self._site, endpoint, call)
        except RecursionError:
            return refused_reply(invalid_request("The request is nested too deeply."))
        except OperationalError as error:
            return _busy(call, error)
        except Exception:
            return _broken(call)

    def _purge(self) -> None:
        now = self._site.issuer.now()
        if now - self._purged >= _PURGE_EVERY:
            self._purged = now
            self._site.issuer.store.purge(now, _KEEP_EXPIRED)


def refused_reply(refused: OAuth2Error) -> Reply:
    """A refusal as JSON (RFC 6749 s5.2), with a challenge where it was a token that was not good enough."""
    body = dict(refused.get_body())
    challenge: tuple[tuple[str, str], ...] = ()
    if refused.status_code == 401 or refused.error == "insufficient_scope":
        challenge = (("WWW-Authenticate", _challenge(refused.error)),)
    if nonce := getattr(refused, "nonce", None):
        challenge = (*challenge, ("DPoP-Nonce", nonce))
    return Reply(refused.status_code, body, (*NO_STORE, *challenge))


def _challenge(code: str) -> str:
    """RFC 6750 s3; for a proof RFC 9449 s7.1."""
    return f'DPoP error="{code}", algs="{" ".join(ALGORITHMS)}"' if "dpop" in code else f'Bearer error="{code}"'


def _refusable(site: Site, endpoint: Endpoint, call: Call) -> Reply:
    """A refusal is an answer: what was written on the way to it stays, such as that a code was spent."""
    try:
        return endpoint(site, call)
    except OAuth2Error as refused:
        return refused_reply(refused)


def _busy(call: Call, error: OperationalError) -> Reply:
    """The database is locked, full or unreadable: nothing was written, so that the same call may be made again."""
    log.warning("%s %s was not answered: %s", call.method, call.path, type(error.orig).__name__)
    refused = Refused("temporarily_unavailable", "The issuer is busy.", hint="Try again in a moment.", status=503)
    return refused_reply(refused).with_headers(("Retry-After", "1"))


def _broken(call: Call) -> Reply:
    incident = secrets.token_hex(4)
    log.exception("incident %s at %s %s", incident, call.method, call.path)
    refused = Refused("server_error", "The issuer could not answer.", hint=f"Incident {incident}.", status=500)
    return refused_reply(refused)
