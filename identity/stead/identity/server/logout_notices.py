"""Who has to be told that a session ended (OpenID Connect Back-Channel Logout 1.0), and what is still to be told.

A client that left an address is told of the sessions in which it got an ID token. A notice stays on record until it is
delivered, refused, or too old: so a restart loses none.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from joserfc import jwt
from sqlalchemy import delete, select, update
from sqlalchemy.dialects.sqlite import insert

from stead.identity.addresses import is_loopback, may_lead
from stead.identity.server import schema
from stead.identity.server.issuer import Issuer
from stead.identity.server.store import Store, fresh
from stead.identity.signals.logout_token import EVENT, TYP

LIFETIME = 120
"""Seconds that a logout token lives (s2.4)."""
PAUSES = (1.0, 4.0, 15.0, 60.0)
"""Seconds before each further attempt; after the last one the client is told no more."""
LEASE = 30.0
"""Seconds for which a notice is being delivered: should the process die meanwhile, it is tried again after them."""
MOST_AT_ONCE = 32


@dataclass(frozen=True, slots=True)
class Notice:
    """One client that has to be told of one session."""

    id: int
    client_id: str
    uri: str
    sid: str
    subject: str
    attempts: int


def is_address(uri: str, issuer: str) -> bool:
    """Whether the issuer may be made to post there (s2.2): by https, and to nothing that is near to it alone.

    An issuer on loopback posts to loopback in any way.
    """
    may_be = may_lead(uri, issuer) or (is_loopback(uri) and is_loopback(issuer))
    return may_be and "#" not in uri and len(uri) <= 500 and urlsplit(uri).path.startswith("/")


def keep_address(store: Store, client_id: str, uri: str | None) -> None:
    """Writes down where a client wants to be told; nowhere any more, where that is None."""
    table = schema.logout_addresses
    store.run(delete(table).where(table.c.client_id == client_id))
    if uri is not None:
        store.run(insert(table), {"client_id": client_id, "uri": uri})


def address_of(store: Store, client_id: str) -> str | None:
    """Where the client wants to be told."""
    table = schema.logout_addresses
    row = store.row(select(table.c.uri).where(table.c.client_id == client_id))
    return None if row is None else str(row["uri"])


def takes_part(store: Store, client_id: str, sid: str, subject: str, expires: float) -> None:
    """Notes that the client was told who signed in in this session, until `expires`."""
    row = {"sid": sid, "client_id": client_id, "subject": subject, "expires": expires}
    store.run(
        insert(schema.participants).values(row).on_conflict_do_update(index_elements=["sid", "client_id"], set_=row)
    )


def announce(store: Store, sid: str, now: float, *, only: str | None = None) -> None:
    """Has the clients of a session told that it ended: all of them, or one whose part in it alone is over."""
    there, reached = schema.participants, schema.logout_addresses
    wanted = select(there.c.client_id, there.c.subject, reached.c.uri).join(
        reached, reached.c.client_id == there.c.client_id
    )
    wanted = wanted.where(there.c.sid == sid, *([] if only is None else [there.c.client_id == only]))
    for row in store.rows(wanted):
        ends = now + LIFETIME + sum(PAUSES)
        store.run(insert(schema.notices), {**row, "sid": sid, "attempts": 0, "due": now, "expires": ends})
        store.has_news = True
    left = [there.c.sid == sid, *([] if only is None else [there.c.client_id == only])]
    store.run(delete(there).where(*left))


def take_due(store: Store, now: float) -> list[Notice]:
    """The notices whose time has come, which nobody else takes for a while."""
    table = schema.notices
    due = select(table).where(table.c.due <= now, table.c.expires > now).order_by(table.c.due).limit(MOST_AT_ONCE)
    found = [
        Notice(row["id"], row["client_id"], row["uri"], row["sid"], row["subject"], row["attempts"])
        for row in store.rows(due)
    ]
    _put_off(store, (one.id for one in found), now + LEASE)
    return found


def _put_off(store: Store, ids: Iterable[int], until: float) -> None:
    table = schema.notices
    store.run(update(table).where(table.c.id.in_(list(ids))).values(due=until))


def next_due(store: Store, now: float) -> float | None:
    """When the next notice is due."""
    table = schema.notices
    row = store.row(select(table.c.due).where(table.c.expires > now).order_by(table.c.due).limit(1))
    return None if row is None else float(row["due"])


def settle(store: Store, notice: Notice) -> None:
    """Nothing more is to be told."""
    store.run(delete(schema.notices).where(schema.notices.c.id == notice.id))


def postpone(store: Store, notice: Notice, now: float) -> bool:
    """Another attempt, after a while. False where there was the last."""
    if notice.attempts >= len(PAUSES):
        settle(store, notice)
        return False
    table = schema.notices
    later = {"attempts": notice.attempts + 1, "due": now + PAUSES[notice.attempts]}
    store.run(update(table).where(table.c.id == notice.id).values(later))
    return True


def logout_token(issuer: Issuer, notice: Notice) -> str:
    """The token that tells it (s2.4): a new one for each attempt, because each is good once."""
    now = int(issuer.now())
    claims = {
        "iss": issuer.name,
        "aud": notice.client_id,
        "iat": now,
        "exp": now + LIFETIME,
        "jti": fresh(128),
        "sub": notice.subject,
        "sid": notice.sid,
        "events": {EVENT: {}},
    }
    header = {"alg": "ES256", "kid": issuer.key.kid, "typ": TYP}
    return jwt.encode(header, claims, issuer.key, algorithms=["ES256"])
