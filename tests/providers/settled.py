"""A provider that was set up by a script, and the workloads that live on it by the settings that go with it."""

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass

import httpx

from stead.identity.clock import system_clock
from stead.identity.connections import Connections, connected
from stead.identity.driver import fetch
from stead.identity.egress import Target
from stead.identity.home import Home
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.settings import Settings
from stead.identity.values import AccessToken, Grant, Principal
from stead.identity.verifier import Verifier


@dataclass
class Settled:
    """What all of them do alike."""

    home: Home
    settings: Settings
    open_: AsyncExitStack

    @property
    def issuer(self) -> str:
        """The provider's name for itself."""
        raise NotImplementedError

    @property
    def described(self) -> IssuerSettings:
        return self.settings.described(self.issuer)

    async def of(self, name: str) -> Connections:
        """What a workload goes out by."""
        me = self.described.client_named(name, self.home)
        opened = connected(me, self.home.key("proof"), self.settings, time.time, lambda _: me)
        return await self.open_.enter_async_context(opened)

    async def seen_at(self, audience: str, token: AccessToken) -> Principal:
        """Whom the service at `audience` sees."""
        async with httpx.AsyncClient() as plain:

            async def keys(url: str) -> bytes:
                return await fetch(url, plain)

            trusted = [each.trusted() for each in self.settings.accepted]
            return await Verifier(trusted, audience, keys, system_clock).verify(token)

    async def hop(self, name: str, url: str, scope: str, person: Principal | None) -> Principal:
        """What the callee at `url` sees when `name` calls it."""
        kind = Grant.OBO if person else Grant.S2S
        token = await (await self.of(name)).tokens.obtain(Target(url, (scope,), kind), person)
        return await self.seen_at(url, token)
