"""A person's authenticator: one-time codes by TOTP (RFC 6238), six digits for thirty seconds each.

Both sides need the secret itself, so no digest of it will do. It is kept sealed (AES-256-GCM) under a key of the state
directory, and bound to its person: the database alone, or a row put in another person's place, makes no codes. Whoever
reads the state directory reads both, as they do the signing keys there.
"""

import hmac
import logging
import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.hotp import HOTP
from sqlalchemy import Update, bindparam, or_, select, update

from stead.identity.server import schema
from stead.identity.server.settings import ServerSettings
from stead.identity.server.store import Store

log = logging.getLogger(__name__)

PERIOD = 30
"""Seconds that a code stands for; the one before and the one after count too, for clocks that differ (s5.2)."""

_NONCE = 12
_OF = select(schema.persons.c.authenticator, schema.persons.c.last_code).where(
    schema.persons.c.subject == bindparam("subject")
)


def keep_authenticator(store: Store, settings: ServerSettings, subject: str, secret: bytes | None) -> None:
    """Gives the person this one, or none. Which codes were spent is remembered all the same."""
    sealed = None if secret is None else _sealed(settings, subject, secret)
    store.run(_change(subject).values(authenticator=sealed))


def spend_code(store: Store, settings: ServerSettings, subject: str, code: str, now: float) -> bool:
    """Whether the code is the person's own and of now. It is spent by that, and with it all before it (s5.2)."""
    right = [step for step, expected in _codes(store, settings, subject, now) if _same(code, expected)]
    return bool(right) and _spend(store, subject, right[-1])


def unspent_code(store: Store, settings: ServerSettings, subject: str, now: float) -> str | None:
    """What the person's authenticator shows, or will show next where that was spent; None where all were."""
    last = (store.row(_OF, {"subject": subject}) or {}).get("last_code") or 0
    codes = _codes(store, settings, subject, now)
    return next((code for step, code in codes[1:] if step > last), None)


def _codes(store: Store, settings: ServerSettings, subject: str, now: float) -> list[tuple[int, str]]:
    """The codes that count now with their steps, oldest first; none where there is no authenticator."""
    secret = _secret(store, settings, subject)
    if secret is None:
        return []
    authenticator = HOTP(secret, 6, SHA1())  # noqa: S303  (as every authenticator has it; HMAC needs no more)
    newest = int(now // PERIOD) + 1
    return [(step, authenticator.generate(step).decode()) for step in range(newest - 2, newest + 1)]


def _same(code: str, expected: str) -> bool:
    """People type the spaces that their app shows."""
    return hmac.compare_digest(code.replace(" ", "").encode("utf-8", "surrogatepass"), expected.encode())


def _spend(store: Store, subject: str, step: int) -> bool:
    """False where this one, or a later one, was spent: of two who bring the same code at once, one wins."""
    last = schema.persons.c.last_code
    return store.run(_change(subject).where(or_(last.is_(None), last < step)).values(last_code=step)) == 1


def _secret(store: Store, settings: ServerSettings, subject: str) -> bytes | None:
    row = store.row(_OF, {"subject": subject})
    sealed = row["authenticator"] if row else None
    if sealed is None:
        return None
    try:
        return AESGCM(_key(settings)).decrypt(sealed[:_NONCE], sealed[_NONCE:], subject.encode())
    except InvalidTag:
        log.error("The authenticator of %s cannot be unsealed: it was sealed elsewhere.", subject)
        return None


def _sealed(settings: ServerSettings, subject: str, secret: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE)
    return nonce + AESGCM(_key(settings)).encrypt(nonce, secret, subject.encode())


def _key(settings: ServerSettings) -> bytes:
    return settings.home.secret(f"authenticators-{settings.theme}")


def _change(subject: str) -> Update:
    return update(schema.persons).where(schema.persons.c.subject == subject)
