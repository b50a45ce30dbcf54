"""Other domains that this issuer deals with: to whose servers it gives grants, and whose grants it takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

MAX_GRANT_LIFETIME = 300
"""Seconds that an identity assertion grant may live: it is spent at once."""


@dataclass(frozen=True, slots=True)
class ResourceServer:
    """An authorization server elsewhere for which grants are made here.

    `resources` are the services behind it, each also an audience of this issuer: its scopes, roles and edges decide who
    gets a grant. `clients` says what our clients are called there; one that is not named has no business there. A login
    that is older than `max_age` seconds has to be renewed first.
    """

    issuer: str
    resources: frozenset[str]
    clients: Mapping[str, str]
    max_age: int | None = None


@dataclass(frozen=True, slots=True)
class GrantIssuer:
    """A provider elsewhere whose grants are taken here.

    Its keys are in a file, and whoever rotates them replaces it: nothing is fetched. `subjects` says who its people are
    here, since a subject is somebody only together with its issuer and `tenant`; nobody else is let in.
    """

    issuer: str
    jwks_file: Path
    subjects: Mapping[str, str] = field(repr=False)
    tenant: str | None = None
    algorithms: tuple[str, ...] = ("ES256",)
