"""How much a callee may answer: it may be anybody's, and the memory is ours.

A document is bounded as a whole, a stream of events in each event, since a stream may go on for days. Nothing is
unpacked: a few kilobytes of an encoded answer become gigabytes (RFC 9110 s8.4).
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

import httpx
import httpx2

MAX_ANSWER = 8_388_608
"""Bytes of a document, or of one event of a stream."""
PLAIN = {"accept-encoding": "identity"}

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_TAIL = max(map(len, _EVENT_ENDS)) - 1
_ENCODED = "The answer is encoded, and was not asked for so."
_TOO_LONG = f"The answer is longer than {MAX_ANSWER} bytes."


def is_encoded(headers: Mapping[str, str]) -> bool:
    """Whether an answer would have to be unpacked to be read."""
    return headers.get("content-encoding", "").strip().lower() not in ("", "identity")


@dataclass(slots=True)
class Measure:
    """What of an answer is not read to an end yet, in bytes."""

    is_stream: bool
    held: int = 0
    tail: bytes = b""

    @classmethod
    def of(cls, headers: Mapping[str, str]) -> "Measure":
        """For the answer with these headers."""
        return cls(headers.get("content-type", "").lower().startswith("text/event-stream"))

    def fits(self, part: bytes) -> bool:
        """Whether this much more may be held."""
        window = self.tail + part
        ended = max(window.rfind(end) for end in _EVENT_ENDS) if self.is_stream else -1
        self.held = self.held + len(part) if ended < 0 else len(window) - ended
        self.tail = window[-_TAIL:]
        return self.held <= MAX_ANSWER


class Bounded(httpx.AsyncBaseTransport):
    """A transport of httpx whose answers are bounded."""

    def __init__(self, inner: httpx.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if is_encoded(response.headers):
            await response.aclose()
            raise httpx.RemoteProtocolError(_ENCODED)
        if isinstance(response.stream, httpx.AsyncByteStream):
            response.stream = _Bounded(response.stream, Measure.of(response.headers))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, measure: Measure) -> None:
        self._inner, self._measure = inner, measure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            if not self._measure.fits(part):
                raise httpx.ReadError(_TOO_LONG)
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()


class Bounded2(httpx2.AsyncBaseTransport):
    """The same for httpx2."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        response = await self._inner.handle_async_request(request)
        if is_encoded(response.headers):
            await response.aclose()
            raise httpx2.RemoteProtocolError(_ENCODED)
        if isinstance(response.stream, httpx2.AsyncByteStream):
            response.stream = _Bounded2(response.stream, Measure.of(response.headers))
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Bounded2(httpx2.AsyncByteStream):
    def __init__(self, inner: httpx2.AsyncByteStream, measure: Measure) -> None:
        self._inner, self._measure = inner, measure

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._inner:
            if not self._measure.fits(part):
                raise httpx2.ReadError(_TOO_LONG)
            yield part

    async def aclose(self) -> None:
        await self._inner.aclose()
