"""The feed of an issuer: which of its live tokens are revoked, as one signed security event token (RFC 8417).

Each reading is whole, so that nothing has to be resumed: a service that was away knows everything after one. It names
sessions and tokens by their opaque identifiers and nobody by name, and so is public. It is bounded, and nothing falls
off: where there is more to name than it holds, a moment stands for the older ones. Nothing issued up to it is good.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stead.identity.errors import InvalidRequest, InvalidToken, ProviderUnavailable
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import MAX_BODY, parse_json, unusable
from stead.identity.signals.revoked import Revoked
from stead.identity.strict_json import parse_object
from stead.identity.types import Flow, Request, Response
from stead.identity.verification import KeySource, TokenPolicy, verify

ENDPOINT = "stead_revocations_endpoint"
"""Where the feed is; no registered metadata has such a thing."""
EVENT = "urn:stead:event:revoked:v1"
TYP = "secevent+jwt"
LIFETIME = 60
MAX_NAMED = 100_000


@dataclass(frozen=True, slots=True)
class Reading:
    """A reading as it came: the signed event, and the list whose digest it signs. `etag` names the list."""

    event: str = field(repr=False)
    listed: str = field(repr=False)
    etag: str | None


def place_of(metadata: Metadata) -> str | None:
    """The feed's address; None where the issuer has none, or names one that is not its own."""
    place = metadata.document.get(ENDPOINT)
    return place if isinstance(place, str) and place.startswith(f"{metadata.issuer}/") else None


def fetch_feed(place: str, etag: str | None) -> Flow[Reading | None]:
    """One reading; None where nothing changed since the one called `etag`. Raises `ProviderUnavailable`."""
    known = {} if etag is None else {"if-none-match": etag}
    response: Response = yield Request("GET", place, {"accept": "application/json", **known})
    if response.status == 304:
        return None
    if response.status != 200:
        raise unusable(place, f"status {response.status}")
    body = parse_json(response, place)
    event, listed = body.get("set"), body.get("revoked")
    if not isinstance(event, str) or not isinstance(listed, str):
        raise unusable(place, "no event")
    return Reading(event, listed, response.headers.get("etag"))


def read_feed(reading: Reading, keys: KeySource | Mapping[str, Any], issuer: str, place: str, *, now: float) -> Revoked:
    """What the reading says, if `issuer` signed it just now for this feed. Raises `ProviderUnavailable`."""
    policy = TokenPolicy(issuer, place, typ=TYP, max_lifetime=LIFETIME, required=("jti",))
    try:
        claims = verify(reading.event, keys, policy, now)
        listed = parse_object(reading.listed.encode(), max_bytes=MAX_BODY)
    except (InvalidToken, InvalidRequest) as false:
        raise ProviderUnavailable("The feed of revocations is not the issuer's.", debug=false.description) from None
    if _signed_digest(claims) != digest_of(reading.listed):
        raise ProviderUnavailable("The feed of revocations is not what its issuer signed.")
    return Revoked(_names(listed.get("sessions")), _names(listed.get("tokens")), _moment(listed.get("before")))


def digest_of(listed: str) -> str:
    """What the event says of the list: the SHA-256 digest of its text, in hex."""
    return hashlib.sha256(listed.encode("utf-8", "surrogatepass")).hexdigest()


def _signed_digest(claims: Mapping[str, Any]) -> object:
    events = claims.get("events")
    said = events.get(EVENT) if isinstance(events, Mapping) else None
    return said.get("digest") if isinstance(said, Mapping) else None


def _names(value: object) -> frozenset[str]:
    if not isinstance(value, list) or len(value) > MAX_NAMED or not all(isinstance(name, str) for name in value):
        raise _malformed()
    return frozenset(value)


def _moment(value: object) -> float | None:
    if value is not None and (isinstance(value, bool) or not isinstance(value, int | float) or not value > 0):
        raise _malformed()
    return value


def _malformed() -> ProviderUnavailable:
    return ProviderUnavailable("The feed of revocations is malformed.")
