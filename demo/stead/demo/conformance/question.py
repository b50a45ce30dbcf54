"""What a parked task asks, read as the profile says; and what a task says that is done."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from a2a.types import Task

from stead.demo.conformance.agent import as_json
from stead.demo.conformance.errors import Fault
from stead.demo.conformance.pointers import at
from stead.demo.conformance.profile import Profile, Question
from stead.demo.conformance.quoting import quoted
from stead.identity.challenge import canonical
from stead.identity.errors import IdentityError
from stead.identity.types import Json


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as it was put: `details` is the operation (RFC 9396), as its canonical form (RFC 8785) `pinned`."""

    text: str
    link: str
    details: Any
    expires_at: float | None
    extensions: tuple[str, ...]

    @property
    def pinned(self) -> bytes:
        """By which two questions are compared."""
        return canonical(self.details)


def asked(task: Task, question: Question) -> Asked:
    """The question of a parked task. Raises `Fault` for what is missing."""
    message = as_json(task).get("status", {}).get("message", {})
    data = _data_with(message.get("parts", []), question.link)
    details = _details(data, question.details)
    return Asked(
        text=" ".join(part["text"] for part in message.get("parts", []) if "text" in part).strip(),
        link=str(at(data, question.link)),
        details=details,
        expires_at=_seconds(data, question.expires_at),
        extensions=tuple(message.get("extensions", ())),
    )


def _data_with(parts: list[Json], pointer: str) -> Any:
    for part in parts:
        try:
            if at(part["data"], pointer):
                return part["data"]
        except LookupError:
            continue
    raise Fault(f"no data part of the status message has a link at {pointer}: nobody can be sent anywhere")


def _details(data: Any, pointer: str) -> Any:
    try:
        found = at(data, pointer)
        canonical(found)
    except (LookupError, IdentityError):
        found = None
    if not found:
        raise Fault(f"the status message has no authorization details at {pointer}: the question pins nothing")
    return found


def _seconds(data: Any, pointer: str) -> float | None:
    try:
        said = at(data, pointer)
        return _time(said) if isinstance(said, str) else float(said)
    except (LookupError, TypeError, ValueError, OverflowError):
        return None


def _time(said: str) -> float | None:
    """RFC 3339, which has an offset always."""
    found = datetime.fromisoformat(said)
    return None if found.tzinfo is None else found.timestamp()


def words(task: Task) -> str:
    """The text of the status message, as it is quoted."""
    parts = as_json(task).get("status", {}).get("message", {}).get("parts", [])
    return quoted(" ".join(part["text"] for part in parts if "text" in part))


def differing(task: Task, pinned: Any, profile: Profile) -> list[str]:
    """The pinned members, by pointer, of which a completed task's result says something else, or nothing."""
    return [member for member, said in profile.result.items() if _found(task, said) != _pinned(pinned, member)]


def _pinned(pinned: Any, member: str) -> Any:
    try:
        return at(pinned, member)
    except LookupError:
        raise Fault(f"the authorization details have no {member}: what matters is not pinned") from None


def says_done(task: Task, profile: Profile) -> bool:
    """Whether the task's result says any of what only a completed one would."""
    return any(_found(task, said) is not None for said in profile.result.values())


def _found(task: Task, pointer: str) -> Any:
    parts = (part for artifact in as_json(task).get("artifacts", []) for part in artifact.get("parts", []))
    for part in parts:
        try:
            return at(part["data"], pointer)
        except LookupError:
            continue
    return None
