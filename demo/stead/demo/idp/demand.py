"""What a network demands of its provider, whichever product that is: people, clients, scopes, and who may ask for what.

Derived from the same tables that the embedded provider is seeded with.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from stead.demo.network.providers import corporate_seed
from stead.identity.home import Home
from stead.identity.samples import PERSONS, Person
from stead.identity.server import SERVICE, Seed, SeedClient
from stead.identity.settings import Settings
from stead.identity.types import Json


@dataclass(frozen=True, slots=True)
class Right:
    """One scope: whose audience puts it to use, by name there, and the roles of people that are entitled to it."""

    scope: str
    services: tuple[str, ...]
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Demand:
    """Everything that a provider has to know."""

    persons: tuple[Person, ...]
    clients: tuple[SeedClient, ...]
    rights: tuple[Right, ...]
    asks: Mapping[str, tuple[str, ...]]
    """The scopes that each client may ask for."""
    audiences: Mapping[str, str]
    """Each service's address, and its name there."""
    first_actors: tuple[str, ...]
    """The services that people call themselves."""
    login_clients: tuple[str, ...]
    """And the clients by which they do."""
    platforms: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    """The clients that a cluster vouches for: its issuer, and what they are called there."""

    def wanted(self, client: SeedClient, *, of_people: bool) -> Mapping[str, list[str]]:
        """The scopes that a client may ask for, by service: in people's stead, or as itself."""
        found: dict[str, list[str]] = {}
        for right in self.rights:
            if right.scope in self.asks.get(client.client_id, ()) and bool(right.roles) is of_people:
                for service in right.services:
                    found.setdefault(service, []).append(right.scope)
        return found if of_people or (SERVICE in client.grants and client.key) else {}

    @property
    def roles(self) -> tuple[str, ...]:
        """Every role that somebody has or a scope wants."""
        held = {role for person in self.persons for role in person.roles}
        return tuple(sorted(held | {role for right in self.rights for role in right.roles}))


def demand_of(home: Home, issuer: str) -> Demand:
    """What the network in this state directory demands. Addresses and keys are made if there are none yet."""
    seed = corporate_seed(home, home.network, issuer)
    audiences = {one.audience: one.client_id for one in seed.audiences if one.client_id}
    called = {audiences[edge.audience] for edge in seed.edges if edge.mode == "login" and edge.audience in audiences}
    return Demand(
        PERSONS,
        seed.clients,
        _rights(seed, audiences),
        _asks(seed),
        audiences,
        tuple(sorted(called)),
        tuple(sorted({edge.client_id for edge in seed.edges if edge.mode == "login"})),
        {name: (one.issuer, one.subject) for name, one in Settings.load(home).workloads.items() if one.issuer},
    )


def _rights(seed: Seed, audiences: Mapping[str, str]) -> tuple[Right, ...]:
    found: dict[str, Right] = {}
    for audience in seed.audiences:
        service = audiences.get(audience.audience)
        for scope, roles in audience.scopes.items() if service else ():
            former = found.get(scope, Right(scope, (), ()))
            services = (*former.services, *((service,) if service else ()))
            found[scope] = Right(scope, services, tuple(sorted({*former.roles, *roles})))
    return tuple(found.values())


def _asks(seed: Seed) -> Mapping[str, tuple[str, ...]]:
    names = [client.client_id for client in seed.clients]
    scopes: dict[str, set[str]] = {name: set() for name in names}
    for edge in seed.edges:
        for name in names if edge.client_id == "*" else (edge.client_id,):
            scopes.setdefault(name, set()).update(edge.scopes)
    return {name: tuple(sorted(wanted)) for name, wanted in scopes.items()}


def settings_for(demand: Demand, issuer: str, preset: str, **more: object) -> Json:
    """The `stead.yaml` that goes with it."""
    first = sorted(name for name in demand.first_actors)
    described = {"issuer": issuer, "preset": preset, **more, "first_actors": first, "audiences": dict(demand.audiences)}
    return {"issuer": issuer, "issuers": [described]}
