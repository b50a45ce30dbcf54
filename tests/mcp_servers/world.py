"""Real servers on loopback: two issuers with published keys, and MCP servers whose tokens a test signs itself."""

import asyncio
import json
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

from stead.identity.egress import shown
from stead.identity.home import Home
from stead.identity.replies import REFUSED
from stead.identity.types import ASGIApp
from stead.identity.values import AccessToken
from stead.identity.workload import Workload

MODERN = "2026-07-28"
LEGACY = "2025-11-25"


@dataclass
class Issuer:
    """A provider that publishes a key, and signs whatever the test wants."""

    url: str
    key: ECKey = field(repr=False)

    def sign(self, claims: Mapping[str, Any]) -> str:
        now = int(time.time())
        whole = {"iss": self.url, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8), **claims}
        return jwt.encode({"alg": "ES256", "typ": "at+jwt", "kid": self.key.thumbprint()}, whole, self.key)

    def app(self) -> ASGIApp:
        metadata = {
            "issuer": self.url,
            "jwks_uri": f"{self.url}/jwks",
            "token_endpoint": f"{self.url}/token",
            "code_challenge_methods_supported": ["S256"],
        }
        jwks = {
            "keys": [{**self.key.as_dict(private=False), "kid": self.key.thumbprint(), "alg": "ES256", "use": "sig"}]
        }
        return Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", lambda request: JSONResponse(metadata)),
                Route("/.well-known/openid-configuration", lambda request: JSONResponse(metadata)),
                Route("/jwks", lambda request: JSONResponse(jwks)),
            ]
        )


def listening(host: str = "127.0.0.1") -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, 0))
    return listener


def origin_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, http="httptools", ws="none", log_level="warning", server_header=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server._serve([listener]))
    while not server.started and not task.done():
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        await task
        listener.close()


@dataclass
class World:
    """A network of one: both issuers run, and `start` runs an MCP server in it."""

    home: Home
    corporate: Issuer
    bank: Issuer
    stack: AsyncExitStack

    async def start(self, client_id: str, make: Callable[[Workload], ASGIApp]) -> "Peer":
        listener = listening()
        url = origin_of(listener)
        workload = Workload.open(client_id, url=url, home=self.home)
        await self.stack.enter_async_context(serving(make(workload), listener))
        client = await self.stack.enter_async_context(httpx.AsyncClient(base_url=url, timeout=20))
        return Peer(url, client, workload)

    def person(self, peer: "Peer", subject: str, scope: str, **claims: Any) -> str:
        """An on-behalf-of token: the person, through the portfolio agent, which was asked by the broker."""
        whole = {
            "sub": subject,
            "aud": peer.url,
            "client_id": "portfolio-agent",
            "scope": scope,
            "act": {"sub": "portfolio-agent", "act": {"sub": "broker"}},
            "name": subject.title(),
            "sid": f"session-{subject}",
            "auth_time": int(time.time()),
            "roles": ["customer"],
        }
        return self.corporate.sign({**whole, **claims})

    def service(self, peer: "Peer", client_id: str, scope: str, **claims: Any) -> str:
        """A service's own token."""
        return self.corporate.sign(
            {"sub": client_id, "aud": peer.url, "client_id": client_id, "scope": scope, **claims}
        )


@dataclass
class Peer:
    """A running MCP server, and how to speak to it on the plain wire."""

    url: str
    client: httpx.AsyncClient
    workload: Workload

    async def rpc(
        self,
        method: str,
        params: Mapping[str, Any] | None = None,
        *,
        token: str | AccessToken | None = None,
        era: str = MODERN,
        headers: Mapping[str, str] | None = None,
    ) -> httpx.Response:
        params = dict(params or {})
        sent = {"mcp-protocol-version": era, "accept": "application/json, text/event-stream"}
        if era == MODERN:
            prefix = "io.modelcontextprotocol/"
            params["_meta"] = {f"{prefix}protocolVersion": era, f"{prefix}clientCapabilities": {}}
            sent["mcp-method"] = method
            if "name" in params:
                sent["mcp-name"] = str(params["name"])
        if token is not None:
            sent |= shown(token if isinstance(token, AccessToken) else AccessToken(token), "POST", f"{self.url}/mcp")
        body = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        return await self.client.post("/mcp", json=body, headers={**sent, **(headers or {})})

    async def call(self, tool: str, arguments: Mapping[str, Any] | None = None, **options: Any) -> httpx.Response:
        return await self.rpc("tools/call", {"name": tool, "arguments": dict(arguments or {})}, **options)

    async def raw(self, body: bytes, *, token: str | None = None, **headers: str) -> httpx.Response:
        sent = {
            "content-type": "application/json",
            "accept": "application/json, text/event-stream",
            "mcp-protocol-version": LEGACY,
        }
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        return await self.client.post("/mcp", content=body, headers={**sent, **headers})

    async def journaled(self, *, settle: bool = True) -> list[dict[str, Any]]:
        """What is on disk of the server's journal; with `settle`, after everything queued."""
        if settle:
            await asyncio.to_thread(self.workload.journal.flush)
        return [json.loads(line) for line in self.workload.journal.path.read_text().splitlines()]


def structured(response: httpx.Response) -> dict[str, Any]:
    """The structured content of a successful call."""
    assert response.status_code == 200, response.text
    result = response.json()["result"]
    assert not result.get("isError"), result
    return dict(result["structuredContent"])


def reason(response: httpx.Response) -> str:
    """The code of a refusal."""
    error = response.json()["error"]
    assert error["code"] == REFUSED, error
    return str(error["data"][0]["reason"]).lower()


def nested(depth: int) -> bytes:
    return b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":' + b"[" * depth + b"]" * depth + b"}"


def message(method: str, params: Mapping[str, Any], id: Any = 7) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).encode()
