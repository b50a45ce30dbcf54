"""Which services a network has, and the rules that each of them started with, as the state directory records them.

A service writes down what it has read before it serves, so that what is shown later is what it goes by, and not what
its files have come to say since.
"""

import hashlib
import json
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from stead.identity.claims import known_claims
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.joining import joined_names
from stead.identity.policy.conditions import Vocabulary
from stead.identity.policy.engine import Policy
from stead.identity.policy.names import nearest
from stead.identity.policy.narrowing import NETWORK, Narrowed, laid_on, policy_files, read_narrowing
from stead.identity.policy.rules import Outcome, Rule
from stead.identity.policy.wording import Worded
from stead.identity.settings import Settings
from stead.identity.types import Json

FOLDER = "rules"


@dataclass(frozen=True, slots=True)
class InForce:
    """What a service goes by: its resources, its rules, and the state of the operator's files when it read them.

    `inputs` are the JSON Schemas of what resources are asked with, where the service says so. `since` is in seconds
    since the epoch; `files` has a digest for each file by name, None for one that was not there.
    """

    service: str
    since: float
    resources: tuple[str, ...]
    inputs: Mapping[str, Json]
    own: tuple[Rule, ...]
    on_top: tuple[Rule, ...]
    files: Mapping[str, str | None]

    @property
    def policy(self) -> Policy | Narrowed:
        """Its rules, to be asked; what code of the service checks besides is not among them."""
        return laid_on(Worded(self.own, self.resources), self.on_top)


def services_of(home: Home) -> frozenset[str]:
    """The services of the network that have a policy, by client id: recorded, joined, or started here before."""
    started = (path.stem for path in (home.path / FOLDER).glob("*.json"))
    try:
        recorded = home.network.services
    except ConfigurationError:
        recorded = {}
    return frozenset({*recorded, *joined_names(home), *started})


def check_files(home: Home, *, starting: bool = False) -> list[str]:
    """The operator's files, by name, each without a mistake as far as can be told before its service starts.

    What a service has is known from its last start; before a new one (`starting`) that does not count, for it may have
    something else by then, and says itself. Raises `ConfigurationError` for the first file that has a mistake.
    """
    settings = Settings.load(home)
    claims = known_claims(settings.issuers, settings.issuer_claims)
    files = policy_files(home.policies, services_of(home))
    for name, path in files.items():
        read_narrowing(path, Vocabulary(None, claims) if starting else _vocabulary(home, name, claims))
    return sorted(files)


def _vocabulary(home: Home, service: str, claims: Collection[str]) -> Vocabulary:
    try:
        known = recorded(home, service)
    except ConfigurationError:
        return Vocabulary(None, claims)
    return Vocabulary(known.resources, claims, known.inputs)


def record(home: Home, service: str, policy: Policy | Narrowed) -> None:
    """Writes down what the service goes by from now on."""
    own, on_top = (policy.own, policy.added) if isinstance(policy, Narrowed) else (policy, ())
    files = {name: _digest(home.policies / name) for name in (f"{NETWORK}.yaml", f"{service}.yaml")}
    told = {
        "since": time.time(),
        "resources": sorted(own.resources),
        "inputs": dict(own.inputs),
        "own": [rule.as_json() for rule in own.rules],
        "on_top": [rule.as_json() for rule in on_top],
        "files": files,
    }
    home.write(f"{FOLDER}/{service}.json", json.dumps(told, indent=1).encode())


def recorded(home: Home, service: str) -> InForce:
    """What the service goes by. Raises `ConfigurationError` for one that is none, or that never started."""
    try:
        told = json.loads((home.path / FOLDER / f"{service}.json").read_text())
        own, on_top = (tuple(_rule(entry) for entry in told[part]) for part in ("own", "on_top"))
        files = MappingProxyType(told["files"])
        return InForce(
            service, told["since"], tuple(told["resources"]), MappingProxyType(told["inputs"]), own, on_top, files
        )
    except FileNotFoundError:
        raise _missing(home, service) from None
    except (ValueError, TypeError, KeyError):
        raise ConfigurationError(
            f"The record of what {service} goes by is not readable.", hint="Start the service again."
        ) from None


def started_here(home: Home, service: str) -> bool:
    """Whether the service has ever said what it goes by."""
    return (home.path / FOLDER / f"{service}.json").exists()


def stale_files(home: Home, service: str) -> list[str]:
    """The operator's files that say something else by now than when the service read them; none if it never did."""
    try:
        files = recorded(home, service).files
    except ConfigurationError:
        return []
    return [name for name, digest in files.items() if digest != _digest(home.policies / name)]


def _rule(entry: Json) -> Rule:
    read: dict[str, Any] = {**entry, "resources": tuple(entry["resources"]), "outcome": Outcome(entry["outcome"])}
    return Rule(**read)


def _missing(home: Home, service: str) -> ConfigurationError:
    known = services_of(home)
    if service in known:
        return ConfigurationError(f"{service} has not started here yet.", hint="Start it: it then says what it reads.")
    return ConfigurationError(f"There is no service {service}.", hint=nearest(service, known))


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
