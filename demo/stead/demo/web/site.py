"""What the pages share: one workload, its stores, the broker, and who is followed."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial

from stead.demo.web.broker import Broker
from stead.demo.web.cheats import Cheating
from stead.demo.web.credentials import Credentials
from stead.demo.web.directory import Directory
from stead.demo.web.endings import Endings
from stead.demo.web.following import Following
from stead.demo.web.login import Login
from stead.demo.web.pages import Person, turn_json
from stead.demo.web.provider import Provider
from stead.demo.web.session import Session, Sessions
from stead.demo.web.turns import Turn
from stead.identity.errors import IdentityError
from stead.identity.patience import patient
from stead.identity.types import Json
from stead.identity.vault_async import AsyncVault
from stead.identity.vaults import open_vault
from stead.identity.workload import Workload

COOKIE = "finport"
SWEEP = 60.0
DIRECTORY_AGE = 15.0
_log = logging.getLogger(__name__)


class Site:
    """Made once per process; at work inside `running`."""

    def __init__(self, workload: Workload) -> None:
        self.workload = workload
        self.provider = Provider.of(workload)
        self.vault = AsyncVault(open_vault(workload.home, workload.settings.vault, "web-vault"))
        self.sessions = Sessions(workload.home.database("web"), workload.home.secret("web-session"), workload.clock)
        self.credentials = Credentials(workload, self.provider, self.vault)
        self.login = Login(workload, self.provider, self.sessions, self.vault, self.credentials)
        self.broker = Broker(workload, self.credentials)
        self.following = Following(self.broker, self.sessions, self.show)
        self.endings = Endings(workload.hearing, self.sessions, self.credentials, self.following, workload.clock)
        self.cheating = Cheating(workload, self.provider, self.credentials)
        self._directory = Directory()
        self._directory_read = 0.0

    @property
    def secure(self) -> bool:
        """Whether cookies can be for TLS alone."""
        return self.workload.url.startswith("https:")

    @property
    def cookie(self) -> str:
        """The session's, which no other host and no plain HTTP can plant (RFC 6265bis s4.1.3)."""
        return f"__Host-{COOKIE}" if self.secure else COOKIE

    @property
    def login_cookie(self) -> str:
        """That of a sign-in under way, for one path."""
        return f"__Secure-{COOKIE}-login" if self.secure else f"{COOKIE}-login"

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Follows what was under way, and sweeps out what is over."""
        self.workload.hearing.follow(self.provider.issuer)
        async with self.workload, self.following, self.endings:
            sweeping = asyncio.create_task(self._sweep(), name="sweep sessions")
            try:
                yield
            finally:
                sweeping.cancel()
                with suppress(asyncio.CancelledError):
                    await sweeping
        self.sessions.close()
        await self.vault.close()

    async def show(self, session: Session, turn: Turn, revision: int) -> Json:
        """A turn as the browser gets it. Where an approval may lead is settled by the registry as it is now."""
        if turn.challenges or not self._directory.members:
            with suppress(IdentityError):
                await self.directory(session)
        return turn_json(turn, Person(session.name), self._directory, self.workload.clock(), revision)

    async def directory(self, session: Session) -> Directory:
        """The registry, not older than a few seconds. Raises what the broker answers."""
        now = self.workload.clock()
        if not self._directory.members or self._directory_read + DIRECTORY_AGE < now:
            self._directory = Directory.read(await self.broker.registry(session))
            self._directory_read = now
        return self._directory

    @property
    def known(self) -> Directory:
        """The registry as it was last read; empty before that."""
        return self._directory

    def named(self, turn: Turn) -> Turn:
        """The turn with its agents called as the registry calls them."""
        return replace(turn, steps=tuple(replace(one, agent=self._directory.title(one.agent)) for one in turn.steps))

    def facts(self) -> Json:
        """What the page's head says of the network."""
        planner = self.workload.settings.planner
        agents, servers = self._directory.count("agent"), self._directory.count("mcp")
        network = f"{_counted(agents, 'agent')}, {_counted(servers, 'MCP server')}" if agents + servers else ""
        return {"planner": f"Planner: {'rules, offline' if planner == 'rules' else planner}", "network": network}

    async def sign_out(self, session: Session, *, goes_on: bool = False) -> None:
        """Ends the session here and at the provider, unless there it goes on in another of ours."""
        await self.following.leave(session)
        await self.login.end(session, goes_on=goes_on)

    async def _sweep(self) -> None:
        while True:
            await self.login.sweep()
            for session in self.sessions.sweep():
                await self.following.leave(session)
                await patient(partial(self.credentials.forget, session))
            await asyncio.sleep(SWEEP)


def _counted(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
