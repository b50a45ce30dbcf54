"""Where people sign in: the network's own provider, the one that the settings name, and how each is asked."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from stead.identity.flows import entra
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.dialects import renewed
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import TokenSet, host
from stead.identity.home import Network
from stead.identity.issuer_settings import IssuerSettings
from stead.identity.settings import LoginSettings
from stead.identity.types import Flow
from stead.identity.values import RefreshToken
from stead.identity.workload import Workload

BROKER_SCOPE, REGISTRY_SCOPE, TRAIL_SCOPE = "broker:ask", "registry:admin", "trail:read"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where people sign in, and for which services the tokens shall be good; the first is the broker.

    `targets` are the scopes that name a service, by its address, where no parameter does; the broker is their first.
    `audiences` are the services where the parameter `audience` names one, at a sign-in too.
    """

    client: ClientIdentity
    name: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    algorithms: tuple[str, ...]
    described: IssuerSettings
    targets: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    audiences: tuple[str, ...] = ()

    @property
    def issuer(self) -> str:
        return self.client.issuer

    @property
    def first(self) -> tuple[str, ...]:
        """What a code is redeemed for, where scopes name the service."""
        broker = next(iter(self.targets.values()), ())
        return (*entra.SIGNING_IN, *broker) if broker else ()

    @property
    def extra(self) -> Mapping[str, str]:
        """What a sign-in says besides."""
        return {"audience": self.audiences[0]} if self.audiences else {}

    @classmethod
    def of(cls, workload: Workload) -> "Provider":
        """The provider that the settings name, else the network's own."""
        login = workload.settings.login
        return _own(workload) if login is None else _named(workload, login)

    def renewal(self, metadata: Metadata, refresh: RefreshToken, audience: str, now: float) -> Flow[TokenSet]:
        """New tokens, good at `audience`."""
        return renewed(
            self.described.dialect,
            self.client,
            metadata,
            refresh,
            now=now,
            resource=audience if audience in (*self.resources, *self.audiences) else None,
            scopes=self.targets.get(audience, ()),
            target_by="audience" if self.audiences else "resource",
        )

    def ours(self, granted: Iterable[str]) -> frozenset[str]:
        """What was granted, by our names."""
        mine = {theirs: name for name, theirs in self.described.scope_names.items()}
        short = entra.short_names(granted) if self.targets else granted
        return frozenset(mine.get(scope, scope) for scope in short)


def _own(workload: Workload) -> Provider:
    described, network = workload.settings.described(workload.issuer), workload.home.network
    wanted = {network.broker: (BROKER_SCOPE, REGISTRY_SCOPE), network.trail: (TRAIL_SCOPE,)}
    targets = {url: _long(described, url, scopes) for url, scopes in wanted.items()} if _by_scope(described) else {}
    audiences = tuple(wanted) if described.sign_in_by == "audience" else ()
    asked = wanted[network.broker] if audiences else [one for scopes in (targets or wanted).values() for one in scopes]
    return Provider(
        client=_bound(workload.client, workload),
        name="FinPort Identity" if workload.issuer == network.corporate_idp else host(workload.issuer),
        scopes=(*(entra.SIGNING_IN if targets or audiences else ("openid", "profile")), *asked),
        resources=tuple(wanted) if described.target_by == "resource" else (),
        algorithms=described.algorithms,
        described=described,
        targets=targets,
        audiences=audiences,
    )


def _named(workload: Workload, login: LoginSettings) -> Provider:
    described = workload.settings.described(login.issuer)
    return Provider(
        client=_bound(login.client(workload.home), workload),
        name=login.issuer.partition("//")[2],
        scopes=login.scopes,
        resources=(login.resource,) if login.resource else (),
        algorithms=login.algorithms,
        described=described,
        targets=_grouped(described, login.scopes, workload.home.network) if _by_scope(described) else {},
    )


def _by_scope(described: IssuerSettings) -> bool:
    return described.target_by == "scope"


def _long(described: IssuerSettings, url: str, scopes: Iterable[str]) -> tuple[str, ...]:
    theirs = [described.scope_names.get(scope, scope) for scope in scopes]
    return entra.long_names(described.audiences.get(url, url), theirs)


def _grouped(described: IssuerSettings, scopes: Iterable[str], network: Network) -> Mapping[str, tuple[str, ...]]:
    """The scopes by the service whose they are: `api://NAME/Broker.Ask` is of the one that is called NAME."""
    named = [(scope, scope.removeprefix("api://").rpartition("/")[0]) for scope in scopes if "/" in scope]
    found = {
        url: tuple(scope for scope, api in named if api == described.audiences.get(url, url).removeprefix("api://"))
        for url in (network.broker, network.trail)
    }
    return {url: wanted for url, wanted in found.items() if wanted}


def _bound(client: ClientIdentity, workload: Workload) -> ClientIdentity:
    """The web's own calls change nothing by themselves: its tokens are bound where everybody's are."""
    settings = workload.settings
    if settings.binds_certificate:
        return replace(client, mutual_tls=True)
    return client.proving(workload.proof_key) if settings.dpop == "always" else client
