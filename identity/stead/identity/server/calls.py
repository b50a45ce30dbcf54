"""One HTTP call as frozen values: what an endpoint is given, and what it answers. Knows no framework."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from stead.identity.types import Json

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parsed form or query members. Only `resource` and `audience` can have more than one value."""

    values: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: _NOTHING, repr=False)

    def one(self, name: str) -> str | None:
        """The value, or None."""
        found = self.values.get(name)
        return found[0] if found else None

    def all(self, name: str) -> tuple[str, ...]:
        """Every value, in order."""
        return self.values.get(name, ())

    def flat(self) -> dict[str, str]:
        """The first value of each, as Authlib wants it."""
        return {name: found[0] for name, found in self.values.items()}

    def as_json(self) -> Json:
        """For keeping."""
        return {name: list(found) for name, found in self.values.items()}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "Parameters":
        """From what `as_json` gave."""
        return cls({name: tuple(found) for name, found in kept.items()})


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose body was read, bounded and parsed. `json` is set on the endpoints that take JSON.

    `place` is the address that the connection came from, `certificate` the thumbprint of the one that it showed (RFC
    8705 s3.1), which as PEM is `shown`.
    """

    method: str
    path: str
    query: Parameters = Parameters()
    form: Parameters = Parameters()
    json: Json | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)
    cookies: Mapping[str, str] = field(default_factory=lambda: _NOTHING, repr=False)
    place: str = ""
    certificate: str | None = None
    shown: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. A mapping is sent as JSON, a string as it is; header names as they go out."""

    status: int = 200
    body: Mapping[str, Any] | str = field(default="", repr=False)
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def with_headers(self, *more: tuple[str, str]) -> "Reply":
        """The same answer with headers added."""
        return replace(self, headers=(*self.headers, *more))


NO_STORE = (("Cache-Control", "no-store"), ("Pragma", "no-cache"))


def uncached(body: Mapping[str, Any], status: int = 200) -> Reply:
    """JSON that nobody keeps (RFC 6749 s5.1)."""
    return Reply(status, body, NO_STORE)


def public(body: Mapping[str, Any]) -> Reply:
    """JSON for everybody, kept five minutes."""
    return Reply(200, body, (("Cache-Control", "public, max-age=300"), ("Access-Control-Allow-Origin", "*")))


def redirect(location: str) -> Reply:
    """303, never 307: a browser must not repeat a POST with its credentials elsewhere (RFC 9700 s4.12)."""
    return Reply(303, "", (("Location", location), *NO_STORE))
