"""Browsers that come to the agent's pages: who signed in there, and which redirects are under way in them.

A browser is known by one random cookie, of which only the digest is kept; the secrets of a redirect lie in the vault.
"""

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass
from enum import StrEnum

from sqlalchemy import Boolean, Column, Float, RowMapping, String, Table, delete, select, update
from sqlalchemy.dialects.sqlite import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from stead.agents.kit.calls import metadata
from stead.identity.clock import Clock
from stead.identity.flows import AuthorizationRequest
from stead.identity.types import Json
from stead.identity.vault_async import AsyncVault

LIFETIME = 900.0
"""Seconds for which a sign-in at these pages counts, and a redirect may take."""

_REDIRECTS = "redirect"

visitors = Table(
    "visitors",
    metadata,
    Column("digest", String, primary_key=True),
    Column("issuer", String, nullable=False),
    Column("subject", String, nullable=False),
    Column("name", String, nullable=False),
    Column("sid", String),
    Column("sub", String),
    Column("begun", Float, nullable=False),
    Column("expires", Float, nullable=False),
)
redirects = Table(
    "redirects",
    metadata,
    Column("digest", String, primary_key=True),
    Column("browser", String, nullable=False),
    Column("purpose", String, nullable=False),
    Column("challenge", String, nullable=False),
    Column("used", Boolean, nullable=False),
    Column("expires", Float, nullable=False),
)


class Purpose(StrEnum):
    """Why a browser was sent away. `RECOGNIZE`: to find out who is signed in already, without asking anybody."""

    RECOGNIZE = "recognize"
    SIGN_IN = "sign-in"
    CONSENT = "consent"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who signed in at these pages."""

    issuer: str
    subject: str
    name: str
    sid: str | None = None
    """What the provider calls its session, and (as `sub`) the person, in what it says of their end."""
    sub: str | None = None
    begun: float = 0.0


@dataclass(frozen=True, slots=True)
class Redirect:
    """A browser that was sent to a provider and came back. `request` is None when it had come back before."""

    purpose: Purpose
    challenge: str
    request: AuthorizationRequest | None


class Browsers:
    """All browsers of one agent."""

    def __init__(self, engine: AsyncEngine, vault: AsyncVault, clock: Clock) -> None:
        self._engine = engine
        self._vault = vault
        self._clock = clock

    async def visitor(self, cookie: str | None) -> Visitor | None:
        """Who is signed in with this cookie."""
        if not cookie:
            return None
        known = select(visitors).where(visitors.c.digest == _digest(cookie), visitors.c.expires > self._clock())
        async with self._engine.connect() as connection:
            row = (await connection.execute(known)).mappings().first()
        return None if row is None else Visitor(**{name: row[name] for name in Visitor.__dataclass_fields__})

    async def sign_in(self, visitor: Visitor) -> str:
        """A new cookie for who just signed in: never one that was there before."""
        cookie, now = secrets.token_urlsafe(32), self._clock()
        row: Json = {"digest": _digest(cookie), "expires": now + LIFETIME, **asdict(visitor), "begun": now}
        async with self._engine.begin() as connection:
            await connection.execute(delete(visitors).where(visitors.c.expires <= now))
            await connection.execute(insert(visitors).values(row))
        return cookie

    async def send(self, cookie: str, purpose: Purpose, challenge: str, request: AuthorizationRequest) -> None:
        """Remembers that this browser is being sent away."""
        now, digest = self._clock(), _digest(request.state)
        await self._vault.put(_REDIRECTS, digest, "request", json.dumps(request.to_json()).encode())
        row: Json = {"digest": digest, "browser": _digest(cookie), "purpose": purpose.value, "challenge": challenge}
        row |= {"used": False, "expires": now + LIFETIME}
        async with self._engine.begin() as connection:
            late = select(redirects.c.digest).where(redirects.c.expires <= now)
            for old in (await connection.execute(late)).scalars().all():
                await self._vault.forget(_REDIRECTS, old)
            await connection.execute(delete(redirects).where(redirects.c.expires <= now))
            await connection.execute(insert(redirects).values(row))

    async def returned(self, cookie: str | None, state: str) -> Redirect | None:
        """What a browser that comes back was sent for; the request only the first time. None for any other browser."""
        mine = (redirects.c.digest == _digest(state), redirects.c.browser == _digest(cookie or ""))
        async with self._engine.begin() as connection:
            first = await connection.execute(
                update(redirects)
                .where(*mine, redirects.c.used.is_(False), redirects.c.expires > self._clock())
                .values(used=True)
            )
            row = (await connection.execute(select(redirects).where(*mine))).mappings().first()
        return None if row is None else await self._redirect(row, first.rowcount == 1)

    async def _redirect(self, row: RowMapping, is_first: bool) -> Redirect:
        stored = await self._vault.take(_REDIRECTS, row["digest"], "request") if is_first else None
        request = None if stored is None else AuthorizationRequest.from_json(json.loads(stored))
        return Redirect(Purpose(row["purpose"]), row["challenge"], request)


def new_cookie() -> str:
    """A cookie for a browser that has none yet."""
    return secrets.token_urlsafe(32)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
