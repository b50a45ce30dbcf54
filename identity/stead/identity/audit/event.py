"""One line of the audit: a frozen value, sealed into a hash chain.

Knows how an event is written and read back. Knows nothing of files, of HTTP or of how a trail is walked.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

import orjson

from stead.identity.errors import InvalidRequest, InvalidToken
from stead.identity.types import Json
from stead.identity.values import Actor

MAX_TEXT = 512
"""Characters kept of any one field: a caller chooses tool names, so a caller could otherwise fill the disk."""

MAX_NUMBER = 2**53 - 1
"""What JSON numbers hold exactly (RFC 8259 s6)."""

_TOKEN = re.compile(r"eyJ[\w-]{6,}(?:\.[\w-]*)*")


class Kind(StrEnum):
    """What an event tells. A hop is an `egress` and its `ingress`; `outcome` ends it; `task` binds it to a task."""

    EGRESS = "egress"
    INGRESS = "ingress"
    OUTCOME = "outcome"
    TASK = "task"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What one instance saw of one hop. Absent is `None`, and left out of the written form.

    `hash` is SHA-256 over the canonical JSON of all other fields, of which `prev` is the hash of the event before.
    """

    seq: int
    time: float
    instance: str
    kind: Kind
    hop: str
    replica: int = 0
    parent_hop: str | None = None
    parent_jti: str | None = None
    cause_jti: str | None = None
    trace: str | None = None
    task: str | None = None
    operation: str | None = None
    resource: str | None = None
    caller: str | None = None
    callee: str | None = None
    grant: str | None = None
    iss: str | None = None
    sub: str | None = None
    name: str | None = None
    act: Mapping[str, Any] | None = None
    aud: str | None = None
    scope: str | None = None
    exp: int | None = None
    jti: str | None = None
    cnf: str | None = None
    consent_id: str | None = None
    chain_from: str | None = None
    decision: str | None = None
    rule: str | None = None
    code: str | None = None
    description: str | None = None
    hint: str | None = None
    outcome: str | None = None
    prev: str
    hash: str

    def as_json(self) -> Json:
        """The JSON object, without what is absent."""
        return {name: value for name in _NAMES if (value := getattr(self, name)) is not None}

    @classmethod
    def from_json(cls, value: object) -> "Event":
        """Reads one event from outside. Raises `InvalidRequest` for what is not exactly one, or has a false hash."""
        event = _typed(value)
        if _sealed(event)[1] != event.hash:
            raise InvalidRequest(f"Event {event.seq} does not have the hash it claims.")
        return event


_NAMES = tuple(field.name for field in fields(Event))
_REQUIRED = frozenset({"seq", "time", "instance", "kind", "hop", "prev", "hash"})
_TYPES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(_NAMES, str),
    **dict.fromkeys(("seq", "replica", "exp"), int),
    "time": (int, float),
    "act": dict,
}
_TEXTS = frozenset(name for name, kind in _TYPES.items() if kind is str)


def genesis(instance: str, replica: int) -> str:
    """What the first event of a chain names as its `prev`: the chain's own identity."""
    return hashlib.sha256(f"stead audit chain|{instance}|{replica}".encode()).hexdigest()


def seal(members: Mapping[str, Any]) -> tuple[bytes, str]:
    """The line that is written for an event, and its hash. The members are all but that, none of them None."""
    body = orjson.dumps(members, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(body).hexdigest()
    return b'%s,"hash":"%s"}\n' % (body[:-1], digest.encode()), digest


def chained(events: Iterable[Json], head: str) -> tuple[list[bytes], str]:
    """The lines of events that follow `head`, in that order, and the new head. They have all but `prev` and `hash`."""
    lines = []
    for event in events:
        line, head = seal({**event, "prev": head})
        lines.append(line)
    return lines, head


def unseal(line: bytes) -> Event:
    """Reads a written line back. Raises `InvalidRequest` unless it is, byte for byte, what `seal` would write."""
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        raise InvalidRequest("The line is not JSON.") from None
    event = _typed(value)
    # The whole line is compared, not the hash alone: a repeated key parses to the same value.
    if _sealed(event)[0] != line:
        raise InvalidRequest(f"Event {event.seq} is not as it was written.")
    return event


def _sealed(event: Event) -> tuple[bytes, str]:
    return seal({name: value for name, value in event.as_json().items() if name != "hash"})


def kept(values: Mapping[str, Any]) -> Json:
    """The members of a new event as they may be kept: as `cleaned`, and of a known kind. Raises `InvalidRequest`."""
    members = cleaned(values)
    members["kind"] = _kind(members.get("kind"))
    return members


def cleaned(values: Mapping[str, Any]) -> Json:
    """Some members of an event as they may be kept, without those that are None; all that is text is `clean`.

    Raises `InvalidRequest` for what no event has.
    """
    members: Json = {}
    for name, value in values.items():
        if value is None and name in _TYPES:
            continue
        if name not in _TEXTS:
            _check(name, value)
        elif type(value) is not str or len(value) > MAX_TEXT or not value.isascii() or "eyJ" in value:
            value = _text(name, value)
        members[name] = value
    return members


def _text(name: str, value: Any) -> str:
    if not isinstance(value, str):
        raise InvalidRequest(f"The event's {name} has the wrong type.")
    return clean(value)


def clean(text: str) -> str:
    """Text that may be kept: bounded, well-formed, and without anything that looks like a token."""
    if len(text) > MAX_TEXT:
        text = f"{text[: MAX_TEXT - 1]}…"
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode()
    return _TOKEN.sub("[token]", text) if "eyJ" in text else text


def _typed(value: object) -> Event:
    if not isinstance(value, dict) or not value.keys() >= _REQUIRED:
        raise InvalidRequest("An event lacks a member.", hint=f"Each needs {', '.join(sorted(_REQUIRED))}.")
    for name, member in value.items():
        _check(name, member)
    return Event(**{**value, "kind": _kind(value["kind"])})


def _kind(word: Any) -> Kind:
    try:
        return Kind(word)
    except ValueError:
        raise InvalidRequest("An event is of no known kind.") from None


def _check(name: str, member: object) -> None:
    expected = _TYPES.get(name)
    if expected is None:
        raise InvalidRequest("An event has a member that is not known.")
    if not isinstance(member, expected) or isinstance(member, bool):
        raise InvalidRequest(f"The event's {name} has the wrong type.")
    if isinstance(member, str) and clean(member) != member:
        raise InvalidRequest(f"The event's {name} is too long, ill-formed or a token.")
    if isinstance(member, int | float) and not 0 <= member <= MAX_NUMBER:
        raise InvalidRequest(f"The event's {name} is out of range.")
    if isinstance(member, dict) and actors(member) != member:
        raise InvalidRequest("The event's actor chain has members that are not known.")


def actors(claim: object) -> Json:
    """An actor chain as it is kept (RFC 8693 s4.1). Raises `InvalidRequest`."""
    try:
        chain = Actor.from_claim(claim).as_claim()
        orjson.dumps(chain)
    except InvalidToken as error:
        raise InvalidRequest(error.description) from None
    except orjson.JSONEncodeError:
        raise InvalidRequest("The actor chain holds half of a character.") from None
    return chain
