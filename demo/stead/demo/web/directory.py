"""Who is in the network, from the broker's registry: the one source for names, hosts and where an approval may lead.

Knows nothing of tasks. What the registry does not say is unknown, and unknown is never a place to send anybody.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from stead.demo.web.typeset import tidy

_KINDS = {"agent": "agent", "mcp": "MCP server", "rest": "REST API"}


@dataclass(frozen=True, slots=True)
class Skill:
    """What a member can be asked to do, and by what right it wants to be called."""

    name: str
    description: str = ""
    examples: tuple[str, ...] = ()
    grant: str = ""
    scopes: tuple[str, ...] = ()
    provider_issuer: str | None = None
    provider_name: str | None = None


@dataclass(frozen=True, slots=True)
class Member:
    """An agent or a server, as registered."""

    name: str
    kind: str
    url: str
    client_id: str
    reviewed: bool
    skills: tuple[Skill, ...] = ()
    status: str = "ready"
    note: str = ""

    @property
    def title(self) -> str:
        return tidy(self.name)

    @property
    def kind_words(self) -> str:
        return _KINDS.get(self.kind, self.kind)


@dataclass(frozen=True, slots=True)
class Directory:
    """All members. Built once per fetch of the registry."""

    members: tuple[Member, ...] = ()

    @classmethod
    def read(cls, listing: object) -> "Directory":
        """From the answer of `GET /registry`."""
        entries = listing.get("entries", ()) if isinstance(listing, Mapping) else listing
        return cls(tuple(_member(one) for one in _objects(entries)))

    def called(self, name: str) -> Member | None:
        """The member with this registered name or client id."""
        return next((one for one in self.members if name in (one.name, one.client_id)), None)

    def title(self, name: str) -> str:
        """What to call a participant, registered or not."""
        member = self.called(name)
        return member.title if member else tidy(name)

    def examples(self, limit: int = 8) -> tuple[str, ...]:
        """The cards' example sentences, one of each skill first."""
        rows = [skill.examples for member in self.members if member.kind == "agent" for skill in member.skills]
        depth = max((len(row) for row in rows), default=0)
        spread = [row[level] for level in range(depth) for row in rows if level < len(row)]
        return tuple(dict.fromkeys(spread))[:limit]

    def count(self, kind: str) -> int:
        """How many of a kind there are."""
        return sum(one.kind == kind for one in self.members)


def origin(url: str) -> str | None:
    """Scheme, host and port of a URL, or None for what is no plain http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}[parts.scheme]
    except (KeyError, ValueError):
        return None
    if not parts.hostname or "@" in parts.netloc or "\\" in url or not url.isprintable():
        return None
    return f"{parts.scheme}://{parts.hostname}:{port}"


def _member(entry: Mapping[str, Any]) -> Member:
    name = str(entry.get("name", ""))
    kind = str(entry.get("kind", "agent"))
    suffix = "-agent" if kind == "agent" else "-mcp"
    return Member(
        name=name,
        kind=kind,
        url=str(entry.get("url", "")),
        client_id=str(entry.get("client_id") or name.replace("_", "-").removesuffix(suffix) + suffix),
        reviewed=bool(entry.get("reviewed", True)),
        skills=tuple(_skill(one) for one in _objects(entry.get("skills"))),
        status=str(entry.get("status") or "ready"),
        note=str(entry.get("note") or ""),
    )


def _skill(entry: Mapping[str, Any]) -> Skill:
    identity = entry.get("identity") or {}
    identity = identity if isinstance(identity, Mapping) else {}
    provider = identity.get("in_task") or entry.get("provider") or {}
    provider = provider if isinstance(provider, Mapping) else {}
    return Skill(
        name=str(entry.get("name") or entry.get("skill") or entry.get("id") or ""),
        description=str(entry.get("description") or ""),
        examples=tuple(str(one) for one in entry.get("examples") or ()),
        grant=str(identity.get("grant") or entry.get("grant") or ""),
        scopes=tuple(str(one) for one in identity.get("scopes") or entry.get("scopes") or ()),
        provider_issuer=provider.get("issuer"),
        provider_name=provider.get("name"),
    )


def _objects(value: object) -> Iterable[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list | tuple) else []
