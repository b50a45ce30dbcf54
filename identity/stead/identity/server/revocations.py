"""The feed of this issuer's revocations, as services read it (`stead.identity.signals.feed`)."""

import json

from joserfc import jwt
from sqlalchemy import or_, select

from stead.identity.clock import SKEW
from stead.identity.server import schema
from stead.identity.server.calls import Call, Reply
from stead.identity.server.issuer import Issuer
from stead.identity.server.site import Site
from stead.identity.server.store import fresh
from stead.identity.signals.feed import EVENT, LIFETIME, TYP, digest_of

PATH = "/revocations"
MAX_LISTED = 4_000
"""Of each kind; the newest, should there ever be more."""


def revocations(site: Site, call: Call) -> Reply:
    """What of this issuer's live tokens is revoked; 304 to who knows it already (RFC 9110 s13.1.2)."""
    listed = _listed(site.issuer)
    etag = f'"{digest_of(listed)[:32]}"'
    headers = (("ETag", etag), ("Cache-Control", "no-cache"))
    if call.headers.get("if-none-match") == etag:
        return Reply(304, "", headers)
    return Reply(200, {"set": _event(site.issuer, listed), "revoked": listed}, headers)


def _listed(issuer: Issuer) -> str:
    """Ended sessions, and the live tokens that were taken back, one by one or by families."""
    now = issuer.now() - SKEW
    sessions = select(schema.sessions.c.sid).where(
        schema.sessions.c.ended.is_not(None),
        schema.sessions.c.ended > now - issuer.settings.longest_access,
    )
    tokens = (
        select(schema.tokens.c.jti)
        .select_from(schema.tokens.outerjoin(schema.families, schema.tokens.c.family == schema.families.c.id))
        .where(
            schema.tokens.c.expires > now,
            or_(schema.tokens.c.revoked.is_not(None), schema.families.c.revoked.is_not(None)),
        )
    )
    found = {
        "sessions": sorted(row["sid"] for row in issuer.store.rows(sessions.limit(MAX_LISTED))),
        "tokens": sorted(row["jti"] for row in issuer.store.rows(tokens.limit(MAX_LISTED))),
    }
    return json.dumps(found, separators=(",", ":"))


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
