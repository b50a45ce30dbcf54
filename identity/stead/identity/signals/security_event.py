"""Security event tokens (RFC 8417) as the Shared Signals Framework 1.0 profiles them, and what of them counts here.

Of CAEP's events that is `session-revoked`; the framework's own are understood and change nothing. Any other is taken,
and means nothing to us (RFC 8417 s2).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from stead.identity.clock import SKEW
from stead.identity.errors import InvalidRequest, InvalidToken
from stead.identity.signals.notebook import Ended
from stead.identity.values import Secret
from stead.identity.verification import MAX_NAME, KeySource, SignaturePolicy, Unverified, verify_signature

SESSION_REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
VERIFICATION = "https://schemas.openid.net/secevent/ssf/event-type/verification"
STREAM_UPDATED = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated"
TYP = "secevent+jwt"
MAX_AGE = 7 * 86_400.0
"""Seconds. A transmitter keeps what it could not deliver; what comes later than that is of no use to anybody."""

Code = Literal["invalid_request", "invalid_key", "invalid_issuer", "invalid_audience", "access_denied"]


class NotTaken(InvalidRequest):
    """A security event that is refused; `err` is the code that RFC 8935 s2.4 has for it."""

    def __init__(self, err: Code, description: str) -> None:
        super().__init__(description)
        self.err = err


@dataclass(frozen=True, slots=True)
class Transmitter:
    """Who may tell what happened to the people of `issuer`, in which audience's name, and signed how.

    `authorization` is what its requests carry, where that was agreed (RFC 8935 s2.1).
    """

    name: str
    issuer: str
    audience: str
    algorithms: tuple[str, ...]
    jwks_uri: str | None = None
    authorization: Secret | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SecurityEvent:
    """What is of interest in one: its name, what it ended, and whether the transmitter paused or closed the stream."""

    jti: str
    ended: Ended | None = None
    stream: str | None = None


def read_event(
    token: Unverified, keys: KeySource | Mapping[str, Any], transmitter: Transmitter, now: float
) -> SecurityEvent:
    """The event, if `transmitter` signed it for us. Raises `NotTaken`."""
    _check_kind(token)
    _check_signature(token, keys, transmitter)
    claims = token.claims
    if not _is_for(claims.get("aud"), transmitter.audience):
        raise NotTaken("invalid_audience", "The event is for another audience.")
    issued = _issued(claims, now)
    jti, events = claims.get("jti"), claims.get("events")
    if not _is_name(jti):
        raise NotTaken("invalid_request", "The event has no usable jti.")
    if not isinstance(events, Mapping) or not events or not all(isinstance(one, Mapping) for one in events.values()):
        raise NotTaken("invalid_request", "The token is of no event.")
    return SecurityEvent(str(jti), _ended(claims, events, transmitter, issued), _stream(events))


def _check_kind(token: Unverified) -> None:
    """Its type is required, and what makes other tokens what they are is forbidden (SSF 1.0 s4.1; RFC 8417 s4.5)."""
    if token.header.get("typ") not in (TYP, f"application/{TYP}"):
        raise NotTaken("invalid_request", f"A token of type {TYP} is needed.")
    if not {"exp", "sub"}.isdisjoint(token.claims):
        raise NotTaken("invalid_request", "A security event has neither exp nor sub.")


def _check_signature(token: Unverified, keys: KeySource | Mapping[str, Any], transmitter: Transmitter) -> None:
    try:
        verify_signature(token.text, keys, SignaturePolicy(transmitter.algorithms))
    except InvalidToken as refused:
        raise NotTaken("invalid_key", refused.description) from None


def _is_for(said: object, audience: str) -> bool:
    return said == audience or (isinstance(said, list) and audience in said)


def _issued(claims: Mapping[str, Any], now: float) -> float:
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int | float) or not now - MAX_AGE <= issued <= now + SKEW:
        raise NotTaken("invalid_request", "The event is of no time, or of one too far from now.")
    return issued


def _ended(
    claims: Mapping[str, Any], events: Mapping[str, Any], transmitter: Transmitter, issued: float
) -> Ended | None:
    """What CAEP's session-revoked ends: a session where the subject names one, else all of the person's (CAEP s3.1)."""
    if SESSION_REVOKED not in events:
        return None
    sid, subject = _subject(claims.get("sub_id"), transmitter.issuer)
    # Not as of `event_timestamp`: what was given in between was given on a session that was over.
    return Ended(transmitter.issuer, issued, sid, subject)


def _subject(identifier: object, issuer: str) -> tuple[str | None, str | None]:
    """Session and person of a subject identifier (RFC 9493). Members that would narrow it down do not: more ends."""
    if not isinstance(identifier, Mapping):
        raise NotTaken("invalid_request", "The event is of nobody: it has no sub_id.")
    if identifier.get("format") != "complex":
        return None, _person(identifier, issuer)
    session, user = identifier.get("session"), identifier.get("user")
    if session is None and user is None:
        raise NotTaken("invalid_request", "The event's subject names neither a session nor a user.")
    return (
        None if session is None else _member(session, "opaque", "id"),
        None if user is None else _person(user, issuer),
    )


def _person(identifier: object, issuer: str) -> str:
    subject = _member(identifier, "iss_sub", "sub")
    if isinstance(identifier, Mapping) and identifier.get("iss") != issuer:
        raise NotTaken("access_denied", "The event is of another issuer's person.")
    return subject


def _member(identifier: object, wanted: str, member: str) -> str:
    if (
        not isinstance(identifier, Mapping)
        or identifier.get("format") != wanted
        or not _is_name(identifier.get(member))
    ):
        raise NotTaken("invalid_request", f"The event's subject is of another format than {wanted}.")
    return str(identifier[member])


def _stream(events: Mapping[str, Any]) -> str | None:
    status = events.get(STREAM_UPDATED, {}).get("status")
    return status if status in ("paused", "disabled") else None


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME
