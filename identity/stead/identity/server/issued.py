"""What was issued, so that it can be taken back: families, access tokens, refresh tokens.

A family is everything that came from one login at one client, exchanged tokens included. Revoking a refresh token or
replaying a code ends the family; revoking an access token ends it and all that was exchanged from it (RFC 7009 s2.1).
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update

from stead.identity.server import schema
from stead.identity.server.authorization import Authorization, Refresh
from stead.identity.server.store import Store, digest, fresh

_NEW_TOKEN = insert(schema.tokens)
_FIND_TOKEN = (
    select(
        schema.tokens.c.client_id,
        schema.tokens.c.family,
        schema.tokens.c.sid,
        schema.tokens.c.revoked,
        schema.families.c.revoked.label("family_revoked"),
    )
    .select_from(schema.tokens.outerjoin(schema.families, schema.tokens.c.family == schema.families.c.id))
    .where(schema.tokens.c.jti == bindparam("jti"))
)
_REFRESH = select(schema.refresh_tokens).where(schema.refresh_tokens.c.digest == bindparam("digest"))


@dataclass(frozen=True, slots=True)
class Issued:
    """The record of an access token."""

    client_id: str
    family: str | None
    sid: str | None
    revoked: bool


def new_family(store: Store, expires: float) -> str:
    """Starts a family that lasts at most until `expires`."""
    family = fresh(128)
    store.run(insert(schema.families), {"id": family, "expires": expires})
    return family


def record_token(
    store: Store, jti: str, client_id: str, expires: float, *, parent: str | None, family: str | None, sid: str | None
) -> None:
    """Writes down that an access token was issued; not the token."""
    row = {"jti": jti, "client_id": client_id, "expires": expires, "parent": parent, "family": family, "sid": sid}
    store.run(_NEW_TOKEN, row)


def find_issued(store: Store, jti: str) -> Issued | None:
    """The record of that access token, or None."""
    row = store.row(_FIND_TOKEN, {"jti": jti})
    if row is None:
        return None
    revoked = row["revoked"] is not None or row["family_revoked"] is not None
    return Issued(row["client_id"], row["family"], row["sid"], revoked)


def revoke_family(store: Store, family: str, now: float) -> None:
    """Ends everything of the family."""
    store.run(update(schema.families).where(schema.families.c.id == family).values(revoked=now))


def family_is_revoked(store: Store, family: str) -> bool:
    """True once it was ended; a family that is not known counts as ended."""
    row = store.row(select(schema.families.c.revoked).where(schema.families.c.id == family))
    return row is None or row["revoked"] is not None


def family_end(store: Store, family: str) -> float:
    """When it ends by itself; a family that is not known has ended."""
    row = store.row(select(schema.families.c.expires).where(schema.families.c.id == family))
    return 0.0 if row is None else float(row["expires"])


def revoke_token(store: Store, jti: str, now: float) -> None:
    """Ends the token and, by its descendants, all that was exchanged from it."""
    tree = select(schema.tokens.c.jti).where(schema.tokens.c.jti == jti).cte(recursive=True)
    tree = tree.union(select(schema.tokens.c.jti).where(schema.tokens.c.parent == tree.c.jti))
    store.run(update(schema.tokens).where(schema.tokens.c.jti.in_(select(tree.c.jti))).values(revoked=now))


def new_refresh_token(store: Store, client_id: str, family: str, authorization: Authorization, expires: float) -> str:
    """A refresh token; the store keeps its digest."""
    token = fresh()
    row = {
        "digest": digest(token),
        "client_id": client_id,
        "family": family,
        "authorization": authorization.as_json(),
        "expires": expires,
    }
    store.run(insert(schema.refresh_tokens), row)
    return token


def find_refresh(store: Store, token: str) -> Refresh | None:
    """The refresh token, whatever its state, or None."""
    row = store.row(_REFRESH, {"digest": digest(token)})
    if row is None:
        return None
    authorization = Authorization.from_json(row["authorization"])
    return Refresh(row["digest"], row["client_id"], row["family"], authorization, row["expires"])


def spend_refresh(store: Store, refresh: Refresh, now: float) -> bool:
    """Spends the refresh token, atomically. False when it was spent before: somebody holds a copy (RFC 9700 s4.14)."""
    row = schema.refresh_tokens
    return store.run(update(row).where(row.c.digest == refresh.digest, row.c.used.is_(None)).values(used=now)) == 1
