"""Where a network listens: chosen at its first start, recorded, and reused ever after.

An issuer, an audience and a redirect URI are URLs, so a port that moved would be another identity. Cookies are sent to
every port of a host, so each service has a loopback address of its own.
"""

import socket
from collections.abc import Iterator, Mapping

import psutil

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home, Network
from stead.identity.serving import origin
from stead.identity.settings import Settings

_HOSTS: Mapping[str, str] = {
    "web": "127.0.0.1",
    "corporate_idp": "127.0.0.2",
    "bank_idp": "127.0.0.3",
    "agents.transfer": "127.0.0.4",
    "agents.portfolio": "127.0.0.5",
    "agents.market_data": "127.0.0.6",
    "mcp_servers.holdings": "127.0.0.7",
    "mcp_servers.quotes": "127.0.0.8",
    "mcp_servers.payments": "127.0.0.9",
    "broker": "127.0.0.10",
    "trail": "127.0.0.11",
}


def addresses(network: Network) -> Iterator[tuple[str, str]]:
    """Every service with its origin: `("agents.transfer", "http://127.0.0.4:8412")`."""
    for place in _HOSTS:
        group, _, name = place.partition(".")
        known = getattr(network, group)
        yield place, known[name] if name else known


def network_of(home: Home, *, fresh: bool = False) -> Network:
    """The recorded addresses, or new ones that are written down: https where the settings say `tls`.

    Raises `ConfigurationError` naming the holder when a recorded port is busy, or when the addresses are of the other
    kind: they are what tokens are for, so none is quietly changed.
    """
    secure = Settings.load(home).tls is not None
    try:
        network = None if fresh else home.network
    except ConfigurationError:
        network = None
    if network is None:
        network = _choose("https" if secure else "http")
        home.record(network)
    for place, url in addresses(network):
        _require_scheme(url, secure=secure)
        _require_free(place, url)
    return network


def separate_hosts() -> bool:
    """Whether the system lets a service have a loopback address of its own (Linux does, macOS asks for aliases)."""
    return _free("127.0.0.2", 0) is not None


def hosts() -> Mapping[str, str]:
    """The loopback address of each service: one of its own where the system has so many."""
    apart = separate_hosts()
    return {place: host if apart else "127.0.0.1" for place, host in _HOSTS.items()}


def _choose(scheme: str) -> Network:
    chosen = {place: _origin(scheme, host) for place, host in hosts().items()}
    return Network(
        web=chosen["web"],
        broker=chosen["broker"],
        trail=chosen["trail"],
        corporate_idp=chosen["corporate_idp"],
        bank_idp=chosen["bank_idp"],
        agents=_group(chosen, "agents"),
        mcp_servers=_group(chosen, "mcp_servers"),
    )


def _group(chosen: Mapping[str, str], group: str) -> dict[str, str]:
    return {place.partition(".")[2]: url for place, url in chosen.items() if place.startswith(f"{group}.")}


def _origin(scheme: str, host: str) -> str:
    port = _free(host, 0)
    if port is None:
        raise ConfigurationError(f"No port is free on {host}.")
    return f"{scheme}://{host}:{port}"


def _free(host: str, port: int) -> int | None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])


def _require_scheme(url: str, *, secure: bool) -> None:
    if url.startswith("https:") != secure:
        raise ConfigurationError(
            f"The network is recorded at {url}, and the settings say {'tls' if secure else 'no tls'}.",
            hint="Choose new addresses and start anew with `stead demo --fresh`.",
        )


def _require_free(place: str, url: str) -> None:
    host, port = origin(url)
    if _free(host, port) is None:
        raise ConfigurationError(
            f"{url}, the recorded address of {place}, is held by {holder(host, port)}.",
            hint="Stop that process, or choose new addresses and start anew with `stead demo --fresh`.",
        )


def holder(host: str, port: int) -> str:
    """Who listens at an address, as far as the system tells: "python (process 4711)"."""
    try:
        for connection in psutil.net_connections("tcp"):
            local = connection.laddr
            if connection.status != psutil.CONN_LISTEN or not local or not connection.pid:
                continue
            if local.port == port and local.ip in (host, "0.0.0.0", "::"):  # noqa: S104 (compared, not bound)
                return f"{psutil.Process(connection.pid).name()} (process {connection.pid})"
    except psutil.Error:
        pass
    return "another process"
