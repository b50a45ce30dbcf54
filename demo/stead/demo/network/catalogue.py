"""What a FinPort network consists of: each service with its place, its command and the way to its app.

Imports happen when an app is loaded, so that one service pays for its own libraries only, and `preload` pays for all
of them once.
"""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.types import ASGIApp

Load = Callable[[Home, str], ASGIApp]


@dataclass(frozen=True, slots=True)
class Service:
    """One process of the network, by the name that its key and certificate have.

    `place` is its key in the recorded addresses, `command` its `stead serve` words.
    """

    name: str
    place: str
    command: tuple[str, ...]
    load: Load

    @property
    def title(self) -> str:
        """How the service is named to a person: `agent transfer`."""
        return " ".join(self.command)


def _factory(module: str, name: str) -> Callable[..., ASGIApp]:
    factory: Callable[..., ASGIApp] = getattr(importlib.import_module(module), name)
    return factory


def _workload(client_id: str, module: str, name: str) -> Load:
    def load(home: Home, url: str) -> ASGIApp:
        from stead.identity.workload import Workload

        return _factory(module, name)(Workload.open(client_id, url=url, home=home))

    return load


def _listed(client_id: str, module: str, table: str, name: str) -> Load:
    def load(home: Home, url: str) -> ASGIApp:
        from stead.identity.workload import Workload

        apps: Mapping[str, Callable[..., ASGIApp]] = getattr(importlib.import_module(module), table)
        return apps[name](Workload.open(client_id, url=url, home=home))

    return load


def _provider(name: str) -> Load:
    def load(home: Home, url: str) -> ASGIApp:
        return _factory("stead.demo.network.providers", name)(home, url)

    return load


def _agent(name: str, client_id: str) -> Service:
    load = _listed(client_id, "stead.agents.finport", "AGENTS", name)
    return Service(client_id, f"agents.{name}", ("agent", name), load)


def _mcp(name: str) -> Service:
    client_id = f"{name}-mcp"
    load = _listed(client_id, "stead.mcp_servers.finport", "MCP_SERVERS", name)
    return Service(client_id, f"mcp_servers.{name}", ("mcp", name), load)


SERVICES: tuple[Service, ...] = (
    Service("issuer-corporate", "corporate_idp", ("idp", "corporate"), _provider("corporate")),
    Service("issuer-bank", "bank_idp", ("idp", "bank"), _provider("bank")),
    Service("trail", "trail", ("trail",), _workload("trail", "stead.identity.audit.collector", "collector")),
    _mcp("holdings"),
    _mcp("quotes"),
    _mcp("payments"),
    _agent("portfolio", "portfolio-agent"),
    _agent("market_data", "market-data-agent"),
    _agent("transfer", "transfer-agent"),
    Service("broker", "broker", ("broker",), _workload("broker", "stead.broker.app", "broker_app")),
    Service("finport-web", "web", ("web",), _workload("finport-web", "stead.demo.web", "web_app")),
)

_PRELOADED = (
    "stead.identity.workload",
    "stead.demo.network.providers",
    "stead.identity.audit.collector",
    "stead.mcp_servers.finport",
    "stead.agents.finport",
    "stead.broker.app",
    "stead.demo.web",
)


def preload() -> None:
    """Imports what the services need, once, so that forked children start at once."""
    for module in _PRELOADED:
        importlib.import_module(module)
    for table in ("stead.mcp_servers.finport:MCP_SERVERS", "stead.agents.finport:AGENTS"):
        module, _, name = table.partition(":")
        getattr(importlib.import_module(module), name)


def service(command: tuple[str, ...]) -> Service:
    """The service of a `stead serve` command. Raises `ConfigurationError` naming those there are."""
    for known in SERVICES:
        if known.command == command:
            return known
    names = ", ".join(sorted(known.title for known in SERVICES))
    raise ConfigurationError(f"There is no service {' '.join(command)!r}.", hint=f"There are: {names}.")
