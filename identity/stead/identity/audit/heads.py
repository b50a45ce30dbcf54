"""A chain's head, signed: by the workload that wrote it, and countersigned by the collector that received it.

A file alone cannot show that its end is missing. The receipt can: it says what had been written by then.
"""

import json
from dataclasses import asdict, dataclass
from typing import Any

from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from stead.identity.errors import InvalidToken

_TYPE = "stead-audit-head"


@dataclass(frozen=True, slots=True)
class Head:
    """The newest event of a chain, by number and hash. `signed` is the workload's own signature of it, in a receipt."""

    instance: str
    replica: int
    seq: int
    hash: str
    signed: str | None = None


def sign(head: Head, key: ECKey) -> str:
    """The head as a compact JWS (RFC 7515)."""
    return jws.serialize_compact({"alg": "ES256", "typ": _TYPE, "kid": key.kid}, json.dumps(asdict(head)), key)


def read(signed: str, key: ECKey) -> Head:
    """Verifies and reads a head. Raises `InvalidToken`."""
    try:
        opened = jws.deserialize_compact(signed, key, algorithms=["ES256"])
        if opened.headers().get("typ") != _TYPE:
            raise InvalidToken("This is not the head of an audit chain.")
        return _head(json.loads(opened.payload))
    except (JoseError, ValueError, TypeError):
        raise InvalidToken("The signature of the audit chain's head is false.") from None


def _head(members: Any) -> Head:
    head = Head(**members)
    if not (isinstance(head.seq, int) and isinstance(head.hash, str)):
        raise TypeError
    return head
