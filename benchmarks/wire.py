"""A client that costs little: whole HTTP/1.1 requests, made beforehand, over connections that stay open."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from stead.identity.serving import origin
from stead.identity.types import Json

CONNECTIONS = 4


def post(url: str, path: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
    """One request."""
    raw = json.dumps(body, separators=(",", ":")).encode()
    host = url.partition("://")[2]
    whole = {"host": host, "content-type": "application/json", "content-length": str(len(raw)), **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in whole.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + raw


class Wire:
    """Some connections to one origin, each carrying one request after the other."""

    def __init__(self, url: str, connections: int = CONNECTIONS) -> None:
        self._address = origin(url)
        self._connections = connections
        self._open: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def __aenter__(self) -> "Wire":
        self._open = [await asyncio.open_connection(*self._address) for _ in range(self._connections)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for _reader, writer in self._open:
            writer.close()

    async def send(self, requests: Sequence[bytes]) -> None:
        """Sends them all and reads every answer. Raises `RuntimeError` at one that is no result."""
        shares = (requests[number :: self._connections] for number in range(self._connections))
        pairs = zip(self._open, shares, strict=True)
        await asyncio.gather(*(_carry(reader, writer, share) for (reader, writer), share in pairs))


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Sequence[bytes]) -> None:
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        body = await reader.readexactly(_length(head))
        answer: Json = json.loads(body)
        if not head.startswith(b"HTTP/1.1 200") or "result" not in answer or answer["result"].get("isError"):
            raise RuntimeError(f"{head.decode()}{body.decode()}")


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0])
