"""Whom one trusts, and what their tokens mean here. Knows no key and no network."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from stead.identity.verification import TokenPolicy

Subjects = Literal["both", "persons", "services", "nobody"]
ActorBy = Literal["act", "client"]
Receipts = Literal["off", "kept", "required"]


OWN_MEANING = frozenset(
    {"iss", "sub", "aud", "exp", "iat", "jti", "client_id", "scope", "act", "may_act", "txn", "cnf"}
    | {"authorization_details", "consent_id"}
)
"""Claims that decide whose a token is and what it is good for: no other claim is read in their place by a mapping."""


class Level(Protocol):
    """How surely somebody signed in: its name here (`acr`), and the seconds for which it counts once it was reached."""

    @property
    def acr(self) -> str: ...
    @property
    def lasts(self) -> float: ...


@dataclass(frozen=True, slots=True)
class TrustedIssuer:
    """One issuer whose tokens are accepted, and where its claims say what ours say.

    `roles` may be a path (`realm_access.roles`); so may be those of `claims`, which say by our name of a claim
    where its tokens have it. Without `jwks_uri` the issuer's metadata names the keys (RFC 8414). `audiences` says
    what services are called in its tokens where not by their address, `scope_names` what it calls our scopes,
    `required_claims` what every access token of it says, one of the values each. A token is a service's own where a
    claim of `services` matches its pattern (`{client}`: its client), or subject and client are the same;
    `role_scopes` are the scopes that a service has by its roles, `scope_roles` the roles of which a person must
    have one for a scope to count. `allowed_scopes` is the ceiling of what its tokens are good for here, `subjects`
    whose they may be. Where an issuer does not `bind` tokens to keys, its bearer tokens are taken where bound ones
    are wanted. `actor`: an issuer that writes no `act` is taken to mean its `client`, unless that is one at which
    people sign in; then `receipts` keep the chain, and one that `first_actors` did not begin has been cut;
    `senders` are the addresses at which clients publish their keys, where `audiences` does not tell, and `names`
    what clients are called here, by what it calls them. Where `levels` are given, weakest first, `acr` is told by
    when a session reached each of them, which `levels_claim` says.
    """

    issuer: str
    algorithms: tuple[str, ...] = ("ES256",)
    jwks_uri: str | None = None
    subject: str = "sub"
    client: str = "client_id"
    scopes: str = "scope"
    roles: str = "roles"
    identifier: str = "jti"
    claims: Mapping[str, str] = field(default_factory=dict)
    levels: Mapping[str, Level] = field(default_factory=dict)
    levels_claim: str = "levels"
    typ: str = "at+jwt"
    max_lifetime: float = 3600
    audience_list: bool = False
    tolerated_headers: frozenset[str] = frozenset()
    required_claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    audiences: Mapping[str, str] = field(default_factory=dict)
    scope_names: Mapping[str, str] = field(default_factory=dict)
    role_scopes: Mapping[str, str] = field(default_factory=dict)
    scope_roles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    allowed_scopes: frozenset[str] | None = None
    services: Mapping[str, str] = field(default_factory=dict)
    subjects: Subjects = "both"
    actor: ActorBy = "act"
    login_clients: frozenset[str] = frozenset()
    binds: bool = True
    receipts: Receipts = "off"
    first_actors: frozenset[str] | None = None
    senders: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def policy(self, audience: str) -> TokenPolicy:
        """What a token of this issuer must be at `audience`."""
        return TokenPolicy(
            self.issuer,
            self.audiences.get(audience, audience),
            algorithms=self.algorithms,
            typ=self.typ,
            max_lifetime=self.max_lifetime,
            required=(self.subject, self.client, self.identifier),
            audience_list=self.audience_list,
            bound=True,
            tolerated_headers=self.tolerated_headers,
            claims=self.required_claims,
        )
