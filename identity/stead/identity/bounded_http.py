"""A connection that takes in no more than it has to: heads of requests bounded in size, whole requests in time.

uvicorn on httptools bounds neither: one header that never ends fills the memory of a process before anybody asks who
is calling, and a request that never ends keeps its connection for ever. Nor does it say which certificate a client
showed (RFC 8705). Nor does it keep a connection's requests apart:
the next one may begin in the context of the one before, as its caller (python/cpython#140947). Knows uvicorn; nothing
of what is served.
"""

import asyncio
from contextvars import Context
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from stead.identity.tls import extension_of

MAX_HEAD = 65_536
"""Bytes of request line and headers: a token, a query and some cookies fit several times over (RFC 6585 s5)."""

PATIENCE = 30.0
"""Seconds in which a request must have arrived whole, from the connection or from its first byte on."""

TLS_AGE = 300.0
"""Seconds after which a TLS connection takes no further request: by then its certificate may be believed no longer."""

_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 37\r\nconnection: close\r\n\r\n"
    b"The head of the request is too large."
)


class HeadTooLargeError(ValueError):
    """The head of a request is longer than is read here."""


class BoundedHttp(HttpToolsProtocol):
    """uvicorn's protocol with both bounds, every request in a context of its own, with what TLS tells of its client."""

    _deadline: asyncio.TimerHandle | None = None
    _tls: Any = None
    _made = 0.0
    _in_head = True
    _unread = 0
    _head = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        connection = transport.get_extra_info("ssl_object")
        self._tls = None if connection is None else extension_of(connection)
        self._made = self.loop.time()
        self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Feeds the parser; what it has not made headers of yet counts too."""
        self._unread = self._unread + len(data) if self._in_head else 0
        Context().run(super().data_received, data)
        if self._in_head and self._unread > MAX_HEAD and not self.transport.is_closing():
            self.send_400_response("")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._tls is not None:
            self.scope["extensions"] = {"tls": self._tls}
        self._in_head, self._head = True, 0
        if self._deadline is None:
            self._await_request()

    def on_url(self, url: bytes) -> None:
        self._count(url)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(name, value)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head, self._unread = False, 0
        super().on_headers_complete()
        if self._tls is not None and self.cycle is not None and self.loop.time() - self._made >= TLS_AGE:
            self.cycle.keep_alive = False

    def on_message_complete(self) -> None:
        self._in_head = True
        self._arrived()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A pipelined request begins here, within the task of the one before."""
        Context().run(super().on_response_complete)

    def send_400_response(self, msg: str) -> None:
        """Says what is wrong with a head, and closes."""
        if max(self._head, self._unread) <= MAX_HEAD:
            super().send_400_response(msg)
            return
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def _count(self, *parts: bytes) -> None:
        self._head += sum(map(len, parts))
        if self._head > MAX_HEAD:
            raise HeadTooLargeError

    def _await_request(self) -> None:
        self._deadline = self.loop.call_later(PATIENCE, self._give_up)

    def _arrived(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        transport: Any = self.transport
        # After an upgrade the connection is somebody else's.
        if transport.get_protocol() is self:
            transport.close()
