"""The issuers that a workload talks to: their metadata, found when first needed and kept."""

import asyncio
from dataclasses import dataclass

import httpx

from stead.identity.clock import Clock, system_clock
from stead.identity.driver import TIMEOUT, drive
from stead.identity.errors import IdentityError, ProviderUnavailable
from stead.identity.flows.discovery import Metadata, discover

KEEP = 600.0
"""Seconds before metadata is asked for again."""
PATIENCE = 5.0
"""Seconds in which an issuer may still be starting: processes of one network start in any order."""


@dataclass(frozen=True, slots=True)
class _Known:
    metadata: Metadata
    until: float


class Providers:
    """Metadata by issuer. A failure is not remembered; what was known stays known while its issuer is away."""

    def __init__(self, client: httpx.AsyncClient, clock: Clock = system_clock, timeout: float = TIMEOUT) -> None:
        self._client = client
        self._clock = clock
        self._timeout = timeout
        self._known: dict[str, _Known] = {}
        self._locks: dict[str, asyncio.Lock] = {}

    async def metadata(self, issuer: str) -> Metadata:
        """What `issuer` says about itself. Raises `ProviderUnavailable` or `ConfigurationError`.

        Pass only issuers from configuration: this fetches from them.
        """
        known = self._known.get(issuer)
        if known is not None and self._clock() < known.until:
            return known.metadata
        async with self._locks.setdefault(issuer, asyncio.Lock()):
            return await self._found(issuer)

    async def _found(self, issuer: str) -> Metadata:
        known = self._known.get(issuer)
        if known is not None and self._clock() < known.until:
            return known.metadata
        try:
            patience = PATIENCE if known is None else 0.0
            metadata = await drive(discover(issuer), self._client, timeout=self._timeout, patience=patience)
        except ProviderUnavailable as failure:
            metadata = _last(known, failure)
        self._known[issuer] = _Known(metadata, self._clock() + KEEP)
        return metadata


def _last(known: _Known | None, failure: IdentityError) -> Metadata:
    if known is None:
        raise failure
    return known.metadata
