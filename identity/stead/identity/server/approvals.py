"""What a person approved, operation by operation (RFC 9396): once approved, good once, for that operation alone.

An approval that was not redeemed answers the same client's repeated request without asking again. One that was
redeemed does so one single time more, for the client that lost the answer in a crash: what was issued before is
revoked, and the consent id stays the same, so that who executes the operation still executes it once.
"""

from dataclasses import dataclass

from sqlalchemy import bindparam, insert, select, update

from stead.identity.challenge import digest as canonical_digest
from stead.identity.server import schema
from stead.identity.server.issued import revoke_family
from stead.identity.server.store import Store, fresh
from stead.identity.types import Json

RICH_AUDIENCE_MISSING = "The approval is for another audience."
_REDEMPTIONS = 2

_MATCHING = (
    select(schema.approvals)
    .where(
        schema.approvals.c.digest == bindparam("digest"),
        schema.approvals.c.client_id == bindparam("client_id"),
        schema.approvals.c.subject == bindparam("subject"),
        schema.approvals.c.expires > bindparam("now"),
        schema.approvals.c.redeemed < _REDEMPTIONS,
    )
    .order_by(schema.approvals.c.expires.desc())
)


@dataclass(frozen=True, slots=True)
class Approval:
    """What was approved: the details as granted, and the id that joins this issuer's records with others'."""

    consent_id: str
    details: tuple[Json, ...]


def pinned_digest(details: tuple[Json, ...]) -> str:
    """The digest of exactly what was asked for, task included (RFC 8785)."""
    return canonical_digest(list(details))


def keep_approval(
    store: Store,
    subject: str,
    client_id: str,
    *,
    asked: tuple[Json, ...],
    granted: tuple[Json, ...],
    expires: float,
) -> Approval:
    """Writes down what the person approved."""
    approval = Approval(fresh(128), granted)
    row = {
        "id": approval.consent_id,
        "subject": subject,
        "client_id": client_id,
        "digest": pinned_digest(asked),
        "details": list(granted),
        "expires": expires,
        "redeemed": 0,
    }
    store.run(insert(schema.approvals), row)
    return approval


def unspent_approval(
    store: Store, subject: str, client_id: str, asked: tuple[Json, ...], now: float
) -> Approval | None:
    """An approval that still answers exactly this request, of this very task."""
    if any("task_id" not in one for one in asked):
        return None
    values = {"digest": pinned_digest(asked), "client_id": client_id, "subject": subject, "now": now}
    row = store.row(_MATCHING, values)
    return None if row is None else Approval(row["id"], tuple(row["details"]))


def redeem_approval(store: Store, identifier: str, family: str, now: float) -> bool:
    """Spends the approval for one token; what an earlier redemption issued ends. False when it is spent already."""
    table = schema.approvals
    row = store.row(select(table).where(table.c.id == identifier))
    if row is None or row["redeemed"] >= _REDEMPTIONS:
        return False
    # Another process may be redeeming it too: of the two that read the same, one wins.
    unchanged = (table.c.id == identifier, table.c.redeemed == row["redeemed"])
    if store.run(update(table).where(*unchanged).values(redeemed=row["redeemed"] + 1, family=family)) != 1:
        return False
    if row["family"] is not None:
        revoke_family(store, row["family"], now)
    return True
