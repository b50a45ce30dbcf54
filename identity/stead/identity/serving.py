"""One process serving one app on one loopback origin. Knows uvicorn; nothing of what is served."""

import gc
import ipaddress
import logging
import socket
import ssl
from collections.abc import Callable
from urllib.parse import urlsplit

import uvicorn

from stead.identity.bounded_http import BoundedHttp
from stead.identity.draining import Drained
from stead.identity.errors import ConfigurationError
from stead.identity.proxied import Proxied
from stead.identity.transport import Transport
from stead.identity.types import ASGIApp

GC_THRESHOLD = (10_000, 20, 20)
PLAIN = Transport()
_GRACE = 3
"""Seconds an open stream or a hung call may delay the end."""


def listen(url: str, *, public: bool = False) -> socket.socket:
    """A listening socket at the origin `url`. Raises `ConfigurationError` when it is not loopback or is taken."""
    host, port = origin(url)
    if not public and not _is_loopback(host):
        raise ConfigurationError(f"{host} is not a loopback address.", hint="Say --public if you mean it.")
    # IPPROTO_TCP by name: asyncio turns Nagle's delay off only on sockets that say it.
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise ConfigurationError(
            f"{url} cannot be listened on: {error.strerror}.", hint="Another process may hold the port."
        ) from None
    listener.listen(2048)
    listener.set_inheritable(False)
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def origin(url: str) -> tuple[str, int]:
    """Host and port of an origin such as `http://127.0.0.4:8412`."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:  # a port beyond 65535, or half an IPv6 address
        parts, host, port = urlsplit(""), None, None
    if parts.scheme not in {"http", "https"} or not host or port is None:
        raise ConfigurationError(f"{url!r} is not an origin with a port.", hint="Such as http://127.0.0.4:8412.")
    return host, port


def serve(app: ASGIApp, listener: socket.socket, *, log_level: str = "warning", how: Transport = PLAIN) -> None:
    """Serves until a signal ends it. httptools always: on h11 a request smuggled behind Transfer-Encoding is served."""
    _spare_the_collector()
    behind = Proxied(app, how.proxies) if how.proxies else app
    uvicorn.Server(_config(behind, log_level, how.tls)).run(sockets=[listener])


def _spare_the_collector() -> None:
    """What is loaded stays: the cycle collector need not look at it again, nor look as often as in a short script."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLD)


def _config(app: ASGIApp, log_level: str, tls: ssl.SSLContext | None = None) -> uvicorn.Config:
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    return uvicorn.Config(
        Drained(app),
        http=BoundedHttp,
        lifespan="on",
        log_config=None,
        log_level=log_level,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE,
        ssl_context_factory=None if tls is None else lambda *_: tls,
    )


def serve_at(url: str, load: Callable[[], ASGIApp], *, public: bool = False, how: Transport = PLAIN) -> None:
    """Listens first, so that early callers wait instead of being refused, then loads the app and serves it.

    At `url`, unless `how` says another address: then the app is at `url` for its callers all the same. Raises
    `ConfigurationError` for an https origin without `tls`: plain HTTP would answer there.
    """
    where = how.listen or url
    if where.startswith("https:") and how.tls is None:
        raise ConfigurationError(f"{where} needs a certificate.", hint="Name its files under tls in the settings.")
    listener = listen(where, public=public or how.listen is not None)
    serve(load(), listener, how=how if where.startswith("https:") else PLAIN)
