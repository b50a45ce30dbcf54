"""Tells clients that a session ended, for as long as the server runs (Back-Channel Logout 1.0 s2.5).

Each client is told by itself: one that is slow or away keeps no other waiting. No redirect is followed.
"""

import asyncio
import logging
import ssl
from functools import partial

import httpx
from sqlalchemy.exc import OperationalError

from stead.identity.driver import bare_client, drive
from stead.identity.errors import IdentityError
from stead.identity.server.logout_notices import (
    MOST_AT_ONCE,
    Notice,
    is_address,
    logout_token,
    next_due,
    postpone,
    settle,
    take_due,
)
from stead.identity.server.site import Site
from stead.identity.server.worker import Worker
from stead.identity.types import Flow, Request

TIMEOUT = 5.0
"""Seconds that a client may take to answer."""
FAR = 60.0
"""Seconds after which the notices are looked at in any case."""
log = logging.getLogger(__name__)


class LogoutSender:
    """Sends what is due; `wake` says that something may be. One for each server process."""

    def __init__(self, worker: Worker, issuer: str, trust: ssl.SSLContext | None = None) -> None:
        self._worker = worker
        self._issuer = issuer
        self._trust = trust
        self._news = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        worker.on_news = self.wake

    def wake(self) -> None:
        """There may be something to tell."""
        self._news.set()

    async def run(self) -> None:
        """Never returns."""
        async with bare_client(TIMEOUT, self._trust) as http:
            try:
                while True:
                    try:
                        await self._round(http)
                    except OperationalError as error:
                        log.warning("notices of logouts cannot be read: %s", type(error.orig).__name__)
                        await asyncio.sleep(1)
            finally:
                for task in self._sending:
                    task.cancel()
                await asyncio.gather(*self._sending, return_exceptions=True)

    async def _round(self, http: httpx.AsyncClient) -> None:
        self._news.clear()
        pause = FAR
        if len(self._sending) < MOST_AT_ONCE:
            for notice, token in await self._worker.within(_due):
                task = asyncio.create_task(self._tell(http, notice, token), name=f"logout at {notice.client_id}")
                self._sending.add(task)
                task.add_done_callback(self._told)
            pause = await self._worker.within(_pause)
        try:
            async with asyncio.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            return

    def _told(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("a notice of a logout is not settled: %s", type(task.exception()).__name__)
        self.wake()

    async def _tell(self, http: httpx.AsyncClient, notice: Notice, token: str) -> None:
        if not is_address(notice.uri, self._issuer):
            log.warning("%s wants to be told of logouts where nothing is sent", notice.client_id)
            await self._worker.within(lambda site: settle(site.issuer.store, notice))
            return
        try:
            status = await drive(_post(notice.uri, token), http, timeout=TIMEOUT)
        except IdentityError:
            status = 0
        await self._worker.within(partial(_record, notice, status))


def _post(uri: str, token: str) -> Flow[int]:
    response = yield Request("POST", uri, {"accept": "application/json"}, form=(("logout_token", token),))
    return response.status


def _due(site: Site) -> list[tuple[Notice, str]]:
    issuer = site.issuer
    return [(notice, logout_token(issuer, notice)) for notice in take_due(issuer.store, issuer.now())]


def _pause(site: Site) -> float:
    now = site.issuer.now()
    due = next_due(site.issuer.store, now)
    return FAR if due is None else min(max(due - now, 0.05), FAR)


def _record(notice: Notice, status: int, site: Site) -> None:
    """s2.8: 200 (or 204) is done, and 400 will not become better; whatever else came may."""
    if status in (200, 204):
        settle(site.issuer.store, notice)
    elif status == 400:
        log.warning("%s did not take a logout token", notice.client_id)
        settle(site.issuer.store, notice)
    elif not postpone(site.issuer.store, notice, site.issuer.now()):
        log.warning("%s could not be told that a session ended", notice.client_id)
