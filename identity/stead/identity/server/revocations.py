"""The feed of this issuer's revocations, as services read it (`stead.identity.signals.feed`)."""

import json
from typing import Any

from joserfc import jwt
from sqlalchemy import Select, func, literal_column, select

from stead.identity.clock import SKEW
from stead.identity.server import schema
from stead.identity.server.calls import Call, Reply
from stead.identity.server.issuer import Issuer
from stead.identity.server.site import Site
from stead.identity.server.store import Store, fresh
from stead.identity.signals.feed import EVENT, LIFETIME, TYP, digest_of

PATH = "/revocations"
MAX_LISTED = 4_000
"""Of each kind, by name. Beyond that the newest, and for the others the moment by which all of them were revoked."""


def revocations(site: Site, call: Call) -> Reply:
    """What of this issuer's live tokens is revoked; 304 to who knows it already (RFC 9110 s13.1.2)."""
    listed = _listed(site.issuer)
    etag = f'"{digest_of(listed)[:32]}"'
    headers = (("ETag", etag), ("Cache-Control", "no-cache"))
    if call.headers.get("if-none-match") == etag:
        return Reply(304, "", headers)
    return Reply(200, {"set": _event(site.issuer, listed), "revoked": listed}, headers)


def _listed(issuer: Issuer) -> str:
    """Ended sessions, and the live tokens that were taken back, one by one or by families; the newest first."""
    now = issuer.now() - SKEW
    sessions, before = _newest(issuer.store, _ended(now - issuer.settings.longest_access))
    tokens, earlier = _newest(issuer.store, _taken_back(now))
    found = {"sessions": sorted(sessions), "tokens": sorted(tokens)}
    moments = [moment for moment in (before, earlier) if moment is not None]
    return json.dumps({**found, "before": max(moments)} if moments else found, separators=(",", ":"))


def _ended(since: float) -> Select[Any]:
    ended = schema.sessions.c.ended
    return select(schema.sessions.c.sid.label("name"), ended.label("at")).where(ended.is_not(None), ended > since)


def _taken_back(now: float) -> Select[Any]:
    at = func.coalesce(schema.tokens.c.revoked, schema.families.c.revoked)
    families = schema.tokens.outerjoin(schema.families, schema.tokens.c.family == schema.families.c.id)
    chosen = select(schema.tokens.c.jti.label("name"), at.label("at")).select_from(families)
    return chosen.where(schema.tokens.c.expires > now, at.is_not(None))


def _newest(store: Store, revoked: Select[Any]) -> tuple[list[str], float | None]:
    """As many as are listed, and when the newest of the others was revoked: whatever it was, it was issued before."""
    rows = store.rows(revoked.order_by(literal_column("at").desc()).limit(MAX_LISTED + 1))
    return [row["name"] for row in rows[:MAX_LISTED]], rows[-1]["at"] if len(rows) > MAX_LISTED else None


def _event(issuer: Issuer, listed: str) -> str:
    now = int(issuer.now())
    claims = {
        "iss": issuer.name,
        "aud": issuer.settings.url(PATH),
        "iat": now,
        "exp": now + LIFETIME,
        "jti": fresh(128),
        "events": {EVENT: {"digest": digest_of(listed)}},
    }
    header = {"alg": "ES256", "kid": issuer.key.kid, "typ": TYP}
    return jwt.encode(header, claims, issuer.key, algorithms=["ES256"])
