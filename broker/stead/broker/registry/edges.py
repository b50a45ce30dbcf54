"""What the authorization server lets this broker ask for: its edges (client → audience → scope, by a grant)."""

import asyncio
import logging
from dataclasses import dataclass, field

import httpx

from stead.broker.errors import EdgesUnknown
from stead.broker.plans import Candidate
from stead.identity.egress import Target
from stead.identity.errors import IdentityError
from stead.identity.values import Grant
from stead.identity.workload import Workload

EDGES_ENDPOINT = "stead_edges_endpoint"
"""Where an issuer tells a client its edges; no registered metadata has such a thing."""
FRESH = 10.0
"""Seconds for which edges are believed. Advisory: the authorization server and the callee decide at the call."""

_log = logging.getLogger(__name__)


@dataclass
class Edges:
    """The broker's own edges, asked for at most once in `FRESH` seconds."""

    workload: Workload
    _known: frozenset[tuple[str, str, str]] | None = None
    _until: float = 0.0
    _asking: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def allow(self, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
        """Those of `candidates` whose every scope this broker may ask for, by the grant that the skill wants.

        Raises `EdgesUnknown` when the authorization server did not say yet.
        """
        if await self._untold():
            return candidates
        known = await self._current()
        return tuple(candidate for candidate in candidates if _allowed(candidate, known))

    async def _untold(self) -> bool:
        """Other products do not tell a client what it may ask for: what it may not, it learns when it asks."""
        try:
            metadata = await self.workload.metadata()
        except IdentityError:
            return False
        return EDGES_ENDPOINT not in metadata.document

    def forget(self) -> None:
        """Asks anew at the next occasion: the registry changed, and the edges with it perhaps."""
        self._until = 0.0

    async def _current(self) -> frozenset[tuple[str, str, str]]:
        async with self._asking:
            if self.workload.clock() >= self._until:
                await self._ask()
            if self._known is None:
                raise EdgesUnknown(
                    "The authorization server does not say what may be asked for.", hint="Try again in a moment."
                )
            return self._known

    async def _ask(self) -> None:
        issuer = self.workload.issuer
        try:
            async with self.workload.detail(Target(issuer, ("edges:read",), Grant.S2S)):
                response = await self.workload.http.get(f"{issuer}/edges", timeout=5.0)
            response.raise_for_status()
            edges = response.json()["edges"]
            self._known = frozenset((edge["audience"], edge["scope"], edge["mode"]) for edge in edges)
            self._until = self.workload.clock() + FRESH
        except (IdentityError, httpx.HTTPError, ValueError, KeyError, TypeError) as error:
            _log.warning("The broker's edges cannot be read (%s); the last known ones count.", type(error).__name__)


def _allowed(candidate: Candidate, known: frozenset[tuple[str, str, str]]) -> bool:
    identity = candidate.identity
    if not identity.scopes:
        return any((audience, mode) == (identity.audience, identity.grant.value) for audience, _, mode in known)
    return all((identity.audience, scope, identity.grant.value) in known for scope in identity.scopes)
