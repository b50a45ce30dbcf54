"""A chain's head, signed: by the workload that wrote it, and countersigned by the collector that received it.

A file alone cannot show that its end is missing. The receipt can: it says what had been written by then. It takes both
signatures, so that neither the workload nor the collector can tell another story alone.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key

from stead.identity.errors import InvalidToken

_TYPE = "stead-audit-head"
TOMBSTONE = "stead-audit-tombstone"
"""The type of a head that says: what lies before was deleted by right."""
MAX_SIGNED = 8_192
"""Characters of a signed head that are looked at."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest event of a chain, by number and hash. `signed` is the workload's own signature of it, in a receipt."""

    instance: str
    replica: int
    seq: int
    hash: str
    signed: str | None = None

    @property
    def place(self) -> tuple[str, int, int, str]:
        """What is signed for: chain, number and hash."""
        return self.instance, self.replica, self.seq, self.hash


def sign(head: Head, key: ECKey, kind: str = _TYPE) -> str:
    """The head as a compact JWS (RFC 7515)."""
    return jws.serialize_compact({"alg": "ES256", "typ": kind, "kid": key.kid}, json.dumps(asdict(head)), key)


def read(signed: str, keys: Key | Mapping[str, Key], kind: str = _TYPE) -> Head:
    """Verifies and reads a head, by one key or by the one of `keys` that it names. Raises `InvalidToken`."""
    try:
        if len(signed) > MAX_SIGNED:
            raise InvalidToken("The signed head of an audit chain is too long.")
        key = (
            keys if isinstance(keys, Key) else keys.get(str(jws.extract_compact(signed.encode()).headers().get("kid")))
        )
        if key is None:
            raise InvalidToken("The audit chain's head is signed by a key that is not registered.")
        opened = jws.deserialize_compact(signed, key, algorithms=["ES256"])
        if opened.headers().get("typ") != kind:
            raise InvalidToken("This is not the head of an audit chain.")
        return _head(json.loads(opened.payload))
    except (JoseError, ValueError, TypeError, UnicodeError):
        raise InvalidToken("The signature of the audit chain's head is false.") from None


def _head(members: Any) -> Head:
    head = Head(**members)
    texts = (head.instance, head.hash, "" if head.signed is None else head.signed)
    numbers = (head.replica, head.seq)
    if not all(isinstance(text, str) for text in texts) or not all(type(number) is int for number in numbers):
        raise TypeError
    return head
