"""Starts a whole network, tells when it is ready, keeps it running, and names what went wrong."""

import contextlib
import http.client
import os
import signal
import socket
import ssl
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from stead.demo.network.addresses import addresses, network_of
from stead.demo.network.catalogue import SERVICES, Service, preload
from stead.demo.network.children import Child, reason, start, stop
from stead.demo.network.occupancy import forget, occupying
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home, Network
from stead.identity.in_force import check_files
from stead.identity.serving import PLAIN, listen, origin, serve
from stead.identity.settings import Settings

_READY_WITHIN = 60.0
_YOUNG = 3.0
_YOUNG_DEATHS = 4
"""A service that dies this often in a row, each time within so many seconds of its start, will not get well."""

Tell = Callable[[str], None]


class Ended(Exception):  # noqa: N818 - not an error: somebody asked
    """A signal asked the network to end."""


class Running:
    """A started network: its children, and how often each died young."""

    def __init__(self, home: Home, network: Network, tell: Tell) -> None:
        self.home = home
        self.network = network
        self.children: dict[int, Child] = {}
        self._urls = dict(addresses(network))
        self._believed = Settings.load(home).believed()
        self._tell = tell
        self._young_deaths: Counter[str] = Counter()

    def start(self, service: Service) -> None:
        """Starts one service; its socket is open before this returns, so nobody who calls it early is refused."""
        url = self._urls[service.place]
        listener = listen(url)
        child = start(service, self._log(service), lambda: self._serve(service, url, listener))
        listener.close()
        self.children[child.pid] = child

    def _serve(self, service: Service, url: str, listener: socket.socket) -> None:
        how = Settings.load(self.home).transport(service.name) if url.startswith("https:") else PLAIN
        serve(service.load(self.home, url), listener, how=how)

    def await_ready(self) -> None:
        """Returns when every service says it is ready. Raises `ConfigurationError` naming the one that does not."""
        deadline = time.monotonic() + _READY_WITHIN
        for child in list(self.children.values()):
            while not _ready(self._urls[child.service.place], self._believed):
                self._refuse_deaths()
                if time.monotonic() > deadline:
                    raise ConfigurationError(f"{child.service.title} did not get ready.", hint=_tail(child))
                time.sleep(0.03)

    def watch(self) -> None:
        """Waits for children for as long as the network runs; one that dies is named and started again.

        Raises `ConfigurationError` when one keeps dying.
        """
        while True:
            pid, status = os.waitpid(-1, 0)
            child = self.children.pop(pid, None)
            if child is not None:
                self._mourn(child, status)
                self.start(child.service)

    def stop(self) -> None:
        """Ends every child."""
        stop(list(self.children.values()))
        self.children.clear()

    def _mourn(self, child: Child, status: int) -> None:
        self._tell(f"{child.service.title} {reason(status)}; starting it again. Its last lines:\n{_tail(child)}")
        place = child.service.place
        self._young_deaths[place] = self._young_deaths[place] + 1 if time.monotonic() - child.started < _YOUNG else 0
        if self._young_deaths[place] >= _YOUNG_DEATHS:
            raise ConfigurationError(f"{child.service.title} keeps dying: {reason(status)}.", hint=_tail(child))

    def _refuse_deaths(self) -> None:
        pid, status = os.waitpid(-1, os.WNOHANG)
        child = self.children.pop(pid, None) if pid else None
        if child is not None:
            raise ConfigurationError(f"{child.service.title} {reason(status)}.", hint=_tail(child))

    def _log(self, service: Service) -> Path:
        return self.home.folder("logs") / f"{'-'.join(service.command)}.log"


def _needed(home: Home) -> list[Service]:
    """Everything but our own providers where others are in their places."""
    settings, network = Settings.load(home), home.network
    placed = {"corporate_idp": settings.issuer, "bank_idp": settings.bank}
    elsewhere = {place for place, issuer in placed.items() if issuer not in (None, getattr(network, place))}
    return [one for one in SERVICES if one.place not in elsewhere]


def _tail(child: Child) -> str:
    return "\n".join(f"  {line}" for line in child.last_lines()) or "  (it printed nothing)"


def _ready(url: str, believed: ssl.SSLContext) -> bool:
    host, port = origin(url)
    plain = http.client.HTTPConnection(host, port, timeout=2)
    secure = http.client.HTTPSConnection(host, port, timeout=2, context=believed)
    connection = secure if url.startswith("https:") else plain
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


@contextlib.contextmanager
def running(home: Home, *, fresh: bool = False, tell: Tell | None = None) -> Iterator[Running]:
    """A network that is ready inside the block and gone after it, however the block is left."""
    with occupying(home), _ended_by_signals():
        if fresh:
            forget(home)
        network_running = Running(home, network_of(home, fresh=fresh), tell or _to_stderr)
        check_files(home, starting=True)
        preload()
        try:
            for service in _needed(home):
                network_running.start(service)
            network_running.await_ready()
            yield network_running
        finally:
            _deaf()
            network_running.stop()


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)  # noqa: T201


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise Ended

    before = {number: signal.signal(number, end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _deaf() -> None:
    """A second Ctrl-C must not interrupt the ending of the children."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
