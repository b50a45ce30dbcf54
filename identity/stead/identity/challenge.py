"""What a person is asked to authorize, pinned to the last member.

A `PinnedOperation` is what an agent wants to do at a provider, as RFC 9396 authorization details. A `Challenge` is the
question put to the person: the operation, its canonical digest, who asks, for whom, until when. When the answer comes,
`enriched` says what the provider added, or refuses. Knows no protocol that carries a challenge.
"""

import hashlib
import json
import math
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from stead.identity.errors import InvalidRequest, OutOfScope
from stead.identity.types import Json

CHALLENGE_TYPE = "urn:stead:challenge:v1"
_MAX_SAFE_INTEGER = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Provider:
    """Who may say yes: a second identity provider, such as the person's bank."""

    issuer: str
    name: str

    def as_json(self) -> Json:
        """`{"issuer", "name"}`."""
        return {"issuer": self.issuer, "name": self.name}


@dataclass(frozen=True, slots=True)
class PinnedOperation:
    """One operation, complete: `details` is the RFC 9396 object, `audience` and `scopes` what the token shall be for.

    `may_add` names the members that the provider may fill in (RFC 9396 s7.1, enrichment); everything else is pinned.
    `explanation` is one sentence for the person.
    """

    details: Mapping[str, Any]
    audience: str
    scopes: tuple[str, ...]
    explanation: str
    may_add: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Challenge:
    """The question, as it travels: no credential in it, and nothing that authorizes anything by itself."""

    id: str
    link: str
    provider: Provider
    authorization_details: tuple[Mapping[str, Any], ...]
    asked_by: str
    through: tuple[str, ...]
    subject_issuer: str
    subject: str
    task: str
    expires_at: int

    @property
    def digest(self) -> str:
        """The canonical digest of the pinned operation."""
        return digest(list(self.authorization_details))

    def as_json(self) -> Json:
        """The wire form."""
        return {
            "type": CHALLENGE_TYPE,
            "id": self.id,
            "link": self.link,
            "provider": self.provider.as_json(),
            "authorization_details": [dict(one) for one in self.authorization_details],
            "digest": self.digest,
            "asked_by": self.asked_by,
            "through": list(self.through),
            "subject": {"iss": self.subject_issuer, "sub": self.subject},
            "task": self.task,
            "expires_at": self.expires_at,
        }

    @classmethod
    def from_json(cls, wire: Mapping[str, Any]) -> "Challenge":
        """Reads the wire form. Raises `InvalidRequest` when a member is missing or the digest does not fit."""
        try:
            challenge = cls(
                id=_text(wire["id"]),
                link=_text(wire["link"]),
                provider=Provider(_text(wire["provider"]["issuer"]), _text(wire["provider"]["name"])),
                authorization_details=tuple(dict(one) for one in wire["authorization_details"]),
                asked_by=_text(wire["asked_by"]),
                through=tuple(_text(one) for one in wire["through"]),
                subject_issuer=_text(wire["subject"]["iss"]),
                subject=_text(wire["subject"]["sub"]),
                task=_text(wire["task"]),
                expires_at=int(wire["expires_at"]),
            )
        except (KeyError, TypeError, ValueError):
            raise InvalidRequest("The challenge is not complete.") from None
        if wire.get("type") != CHALLENGE_TYPE or wire.get("digest") != challenge.digest:
            raise InvalidRequest("The challenge does not match its digest.")
        return challenge


def answer_within(said: object) -> float | None:
    """The seconds that a caller allows for an answer, from `{"answer_within": 30}`; None when it says nothing.

    It only ever shortens the time that is given. Raises `InvalidRequest` for what is no such thing.
    """
    if said is None:
        return None
    seconds = said.get("answer_within") if isinstance(said, Mapping) else None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds >= 1:
        raise InvalidRequest("The message says wrongly how long to wait.", hint='Such as {"answer_within": 30}.')
    return float(seconds)


def digest(value: Any) -> str:
    """`sha-256:` and the base64url of the hash of the canonical form. Raises `InvalidRequest` like `canonical`."""
    return "sha-256:" + urlsafe_b64encode(hashlib.sha256(canonical(value)).digest()).rstrip(b"=").decode()


def canonical(value: Any) -> bytes:
    """The RFC 8785 form of a JSON value. Raises `InvalidRequest` for what has none."""
    try:
        return "".join(_write(value)).encode()
    except (UnicodeEncodeError, RecursionError):
        raise InvalidRequest("The value has no canonical form.") from None


def enriched(operation: PinnedOperation, granted: Sequence[Mapping[str, Any]]) -> Mapping[str, Any]:
    """What was consented, if it is the pinned operation and no more than the permitted additions.

    Raises `OutOfScope` naming the members that differ. One operation, one consent: anything but one object is refused.
    """
    if len(granted) != 1:
        raise OutOfScope("The consent is not for exactly one operation.")
    differing = differences(operation.details, granted[0], may_add=operation.may_add)
    if differing:
        raise OutOfScope(
            f"What was authorized is not what was asked for: {', '.join(differing)} differs.",
            hint="Nothing was done. Ask again, and authorize it anew.",
        )
    return granted[0]


def differences(
    pinned: Mapping[str, Any], presented: Mapping[str, Any], *, may_add: Iterable[str] = ()
) -> tuple[str, ...]:
    """The members, sorted, in which `presented` is not `pinned`; `may_add` may be there in addition."""
    changed = {name for name in pinned if name not in presented or not _same(pinned[name], presented[name])}
    return tuple(sorted(changed | (set(presented) - set(pinned) - set(may_add))))


def _same(one: Any, other: Any) -> bool:
    return canonical(one) == canonical(other)


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value


def _write(value: Any) -> Iterable[str]:
    if value is None or isinstance(value, bool | str):
        yield json.dumps(value, ensure_ascii=False)
    elif isinstance(value, int | float):
        yield _number(value)
    elif isinstance(value, Mapping):
        yield from _object(value)
    elif isinstance(value, list | tuple):
        yield "["
        for index, item in enumerate(value):
            yield "," if index else ""
            yield from _write(item)
        yield "]"
    else:
        raise InvalidRequest(f"A {type(value).__name__} has no canonical form.")


def _object(value: Mapping[Any, Any]) -> Iterable[str]:
    if not all(isinstance(name, str) for name in value):
        raise InvalidRequest("A member name is not a string.")
    yield "{"
    # RFC 8785 s3.2.3: names are sorted by their UTF-16 code units.
    for index, name in enumerate(sorted(value, key=lambda name: name.encode("utf-16-be"))):
        yield f"{',' if index else ''}{json.dumps(name, ensure_ascii=False)}:"
        yield from _write(value[name])
    yield "}"


def _number(value: float) -> str:
    """RFC 8785 s3.2.2.3: as ECMAScript writes it."""
    if isinstance(value, int) and abs(value) > _MAX_SAFE_INTEGER:
        raise InvalidRequest("An integer is too large for a canonical form; write it as a string.")
    if not math.isfinite(value):
        raise InvalidRequest("A number is not finite.")
    if value == 0:
        return "0"
    if 1e-6 <= abs(value) < 1e21:
        return format(Decimal(repr(value)), "f").removesuffix(".0")
    digits, _, exponent = repr(value).partition("e")
    return f"{digits}e{int(exponent):+d}"
