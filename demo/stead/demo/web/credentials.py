"""The tokens of a session: sealed in the vault, one per service, renewed before they run out.

Renewal is one at a time for each session, because a refresh token that is presented twice counts as stolen.
"""

import asyncio
import json
from collections import defaultdict

from stead.demo.web.provider import Provider
from stead.demo.web.session import Session
from stead.identity.errors import InvalidGrant, InvalidScope, InvalidToken
from stead.identity.flows.wire import TokenSet
from stead.identity.peek import peek_claims
from stead.identity.values import AccessToken, RefreshToken
from stead.identity.vault_async import AsyncVault
from stead.identity.workload import Workload

FRESH = 30.0
"""Seconds that a token must still live to be used: a call may be under way for a while."""


class Credentials:
    """Obtains the access token of a session for a service."""

    def __init__(self, workload: Workload, provider: Provider, vault: AsyncVault) -> None:
        self._workload = workload
        self._provider = provider
        self._vault = vault
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def keep(self, session: Session, tokens: TokenSet, audience: str) -> None:
        """Stores what a login or a renewal gave; the refresh token first, since only that cannot be had again."""
        if tokens.refresh_token is not None:
            await self._vault.put(session.owner, session.key, "refresh", tokens.refresh_token)
        entry = {
            "token": tokens.access_token.reveal(),
            "ends": tokens.expires_at,
            "scope": " ".join(sorted(self._provider.ours(tokens.scope))),
        }
        await self._vault.put(session.owner, session.key, audience, json.dumps(entry).encode())

    async def token(
        self, session: Session, audience: str, *scopes: str, life: float = FRESH
    ) -> tuple[AccessToken, float]:
        """A token for `audience` that lives for `life` seconds more if it can be had, and when it ends.

        One of `scopes` must be in it. Raises `InvalidToken` when the person must sign in again, `InvalidScope` when
        they lack the right, `ProviderUnavailable` when the provider is away.
        """
        async with self._locks[session.key]:
            held = await self._held(session, audience)
            if held is None or held[1] < self._workload.clock() + life:
                held = await self._renewed(session, audience, held)
        token, ends, granted = held
        if not granted.intersection(scopes):
            raise InvalidScope(
                f"{session.name} has no right to {scopes[0]} at {audience.partition('//')[2]}.",
                hint="Sign in with another account, or ask whoever gives out the rights.",
            )
        return token, ends

    async def refresh_token(self, session: Session) -> RefreshToken | None:
        """The refresh token, for giving it back."""
        stored = await self._vault.get(session.owner, session.key, "refresh")
        return None if stored is None else RefreshToken(stored.decode())

    async def forget(self, session: Session) -> None:
        """Deletes every token of the session, also one that is being renewed."""
        async with self._locks[session.key]:
            await self._vault.forget(session.owner, session.key)
        self._locks.pop(session.key, None)

    async def _held(self, session: Session, audience: str) -> tuple[AccessToken, float, frozenset[str]] | None:
        stored = await self._vault.get(session.owner, session.key, audience)
        if stored is None:
            return None
        entry = json.loads(stored)
        token = self._workload.bound(AccessToken(entry["token"]))
        is_over = self._workload.hearing.covers(session.issuer, peek_claims(token))
        if is_over or not self._workload.can_show(token):
            return None
        return token, entry["ends"], frozenset(entry["scope"].split())

    async def _renewed(
        self, session: Session, audience: str, held: tuple[AccessToken, float, frozenset[str]] | None
    ) -> tuple[AccessToken, float, frozenset[str]]:
        refresh = await self.refresh_token(session)
        if refresh is None:
            # A provider that gives no refresh token: what is held is used to its end, and then it is over.
            if held is not None and held[1] > self._workload.clock():
                return held
            raise InvalidToken("The sign-in has run out.", hint="Sign in again.")
        tokens = await self._ask(session, audience, refresh)
        await self.keep(session, tokens, audience)
        return tokens.access_token, tokens.expires_at, self._provider.ours(tokens.scope)

    async def _ask(self, session: Session, audience: str, refresh: RefreshToken) -> TokenSet:
        metadata = await self._workload.metadata(session.issuer)
        flow = self._provider.renewal(metadata, refresh, audience, self._workload.clock())
        try:
            return await self._workload.run(flow)
        except InvalidGrant as refused:
            await self._vault.forget(session.owner, session.key)
            raise InvalidToken("The sign-in has run out.", hint="Sign in again.", debug=refused.description) from None
