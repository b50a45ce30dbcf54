"""The chain of actors where an issuer keeps none: signed receipts that travel beside the token, one from each hop.

A receipt says: I, acting for this person through these, called that service with this token. It carries no authority:
beside another token, at another service or for another person it is false. Knows no network.
"""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.clock import SKEW
from stead.identity.dpop import digest_of
from stead.identity.errors import InvalidToken
from stead.identity.values import MAX_ACTORS, AccessToken, Actor, Principal, is_name
from stead.identity.verification import KeySource, TokenPolicy, Unverified, check, decode

HEADER = "stead-receipts"
TYP = "hop-receipt+jwt"
LIFETIME = 300
MAX_HEADER = 8000
"""Characters of the header, with all its receipts."""
OLDEST = 24 * 3600.0
"""Seconds for which a receipt counts as a link: a parked task goes on with those that it came with."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A receipt, true by its sender's key. `chain` are the actors, its sender first; `text` is what was signed."""

    sender: str
    audience: str
    subject: str
    token: str
    chain: tuple[str, ...]
    former: str | None
    issued: float
    text: str = field(repr=False)


def write_receipt(key: ECKey, sender: str, caller: Principal, *, audience: str, token: AccessToken, now: float) -> str:
    """The header for a hop that `sender` makes in the stead of `caller`: its own receipt, over those it was given."""
    former = caller.receipts
    claims: dict[str, Any] = {
        "iss": sender,
        "aud": audience,
        "sub": caller.owner,
        "ath": digest_of(token),
        "chain": [sender, *caller.chain][:MAX_ACTORS],
        "iat": int(now),
        "exp": int(now) + LIFETIME,
    }
    if former:
        claims["former"] = digest(former[0])
    header = {"typ": TYP, "alg": "ES256", "kid": key.kid or key.thumbprint()}
    own = jwt.encode(header, claims, key, algorithms=["ES256"])
    return ",".join([own, *former][:MAX_ACTORS])


def split(header: str) -> tuple[str, ...]:
    """The receipts of a header, newest first. Raises `InvalidToken` for too many, or too much."""
    texts = tuple(header.split(","))
    if len(header) > MAX_HEADER or len(texts) > MAX_ACTORS:
        raise InvalidToken("There are more hop receipts than a chain can have.")
    return texts


def sender_of(text: str) -> tuple[Unverified, str]:
    """A receipt taken apart, and whose it claims to be. Raises `InvalidToken`."""
    unverified = decode(text)
    sender = unverified.issuer
    if not isinstance(sender, str) or not sender:
        raise InvalidToken("A hop receipt names no sender.")
    return unverified, sender


def check_receipt(unverified: Unverified, keys: KeySource | Mapping[str, Any], audience: str, now: float) -> Receipt:
    """The receipt, if its sender signed it for `audience`. Raises `InvalidToken`."""
    policy = TokenPolicy(
        str(unverified.issuer), audience, typ=TYP, max_lifetime=LIFETIME, required=("sub", "ath"), leeway=OLDEST
    )
    claims = check(unverified, keys, policy, now)
    return Receipt(
        sender=str(claims["iss"]),
        audience=audience,
        subject=str(claims["sub"]),
        token=str(claims["ath"]),
        chain=_chain(claims),
        former=_text(claims, "former"),
        issued=float(claims["iat"]),
        text=unverified.text,
    )


def join(principal: Principal, receipts: Sequence[Receipt], first: frozenset[str] | None, now: float) -> Principal:
    """The principal with the chain that the receipts prove, or as much of it as they do.

    `receipts` are newest first. `first` are those whom people call themselves: a chain that begins with anybody else
    has lost its beginning. Raises `InvalidToken` where they do not belong to this call, or not together.
    """
    newest = receipts[0]
    _check_newest(principal, newest, now)
    for newer, older in pairwise(receipts):
        _check_link(newer, older)
    whole = len(receipts) == len(newest.chain) and (first is None or newest.chain[-1] in first)
    return principal.through(
        _nested(newest.chain), "receipts" if whole else "shortened", tuple(receipt.text for receipt in receipts)
    )


def digest(text: str) -> str:
    """How a receipt refers to another: the SHA-256 digest, base64url."""
    return urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()


def _check_newest(principal: Principal, newest: Receipt, now: float) -> None:
    if principal.token is None or newest.token != digest_of(principal.token):
        raise InvalidToken("The hop receipt lies beside another token than it was made for.")
    if newest.sender != principal.client_id:
        raise InvalidToken("The hop receipt is not from whom the token was issued to.")
    if newest.subject != principal.owner:
        raise InvalidToken("The hop receipt is for another person than the token.")
    if not now - LIFETIME <= newest.issued <= now + SKEW:
        raise InvalidToken("The hop receipt has expired.")


def _check_link(newer: Receipt, older: Receipt) -> None:
    if newer.former != digest(older.text) or newer.chain[1:] != older.chain:
        raise InvalidToken("The hop receipts do not follow from each other.")
    if older.issued > newer.issued + SKEW:
        raise InvalidToken("The hop receipts are in the wrong order.")
    if newer.subject != older.subject:
        raise InvalidToken("The hop receipts are for different people.")


def _chain(claims: Mapping[str, Any]) -> tuple[str, ...]:
    chain = claims.get("chain")
    if not isinstance(chain, list) or not 0 < len(chain) <= MAX_ACTORS:
        raise InvalidToken("A hop receipt names no chain of actors.")
    if not all(is_name(name) for name in chain) or chain[0] != claims["iss"]:
        raise InvalidToken("A hop receipt's chain does not begin with its sender.")
    return tuple(chain)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


def _nested(chain: Sequence[str]) -> Actor:
    actor: Actor | None = None
    for name in reversed(chain):
        actor = Actor(name, prior=actor)
    if actor is None:
        raise InvalidToken("A hop receipt names no actor.")
    return actor
