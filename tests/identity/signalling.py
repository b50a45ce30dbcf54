"""An issuer that is not ours, with its keys on the wire, and services that trust it: for what it says of sign-outs."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stead.identity.home import Home, public_jwk
from stead.identity.policy import Policy
from stead.identity.settings import Settings
from stead.identity.types import Json
from stead.identity.workload import Workload
from tests.agents.town import serving
from tests.providers.oidc_provider import free_issuer as free_address

LOGOUT = "http://schemas.openid.net/event/backchannel-logout"
WITHIN = 5.0


@dataclass
class Foreign:
    """The issuer. `fetched` are the documents that somebody asked it for."""

    name: str
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256", {"kid": "foreign-1"}))
    fetched: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        async def document(request: Request) -> Response:
            self.fetched.append(request.url.path)
            if request.url.path == "/keys":
                return JSONResponse({"keys": [public_jwk(self.key)]})
            return JSONResponse({"issuer": self.name, "jwks_uri": f"{self.name}/keys"})

        return Starlette(
            routes=[
                Route(path, document)
                for path in ("/keys", "/.well-known/oauth-authorization-server", "/.well-known/ssf-configuration")
            ]
        )

    def sign(self, claims: Json, typ: str, key: ECKey | None = None, **header: Any) -> str:
        said = {"alg": "ES256", "kid": "foreign-1", "typ": typ, **header}
        return jwt.encode(said, claims, key or self.key, algorithms=["ES256"])

    def token(self, audience: str, **claims: Any) -> str:
        """An access token."""
        now = int(time.time())
        said: Json = {"iss": self.name, "aud": audience, "sub": "alice", "client_id": "finport-web", "scope": "x"}
        said |= {"iat": now, "exp": now + 300, "jti": secrets.token_hex(8)}
        return self.sign({**said, **claims}, "at+jwt")

    def logout(
        self, client_id: str | list[str], *, typ: str = "logout+jwt", key: ECKey | None = None, **claims: Any
    ) -> str:
        """A logout token; a claim that is None is left out."""
        now = int(time.time())
        said: Json = {"iss": self.name, "aud": client_id, "iat": now, "exp": now + 120, "jti": secrets.token_hex(8)}
        said |= {"events": {LOGOUT: {}}, **claims}
        return self.sign({name: value for name, value in said.items() if value is not None}, typ, key)


@dataclass
class Service:
    """One service that trusts the issuer."""

    url: str
    workload: Workload
    http: httpx.AsyncClient

    async def status(self, token: str) -> int:
        return (await self.http.get(f"{self.url}/x", headers={"authorization": f"Bearer {token}"})).status_code

    async def refuses(self, token: str) -> None:
        """Returns once it does; fails where that takes too long."""
        async with asyncio.timeout(WITHIN):
            while await self.status(token) != 401:
                await asyncio.sleep(0.05)

    async def told(self, logout_token: str, **more: Any) -> httpx.Response:
        return await self.http.post(f"{self.url}/backchannel-logout", data={"logout_token": logout_token}, **more)


@asynccontextmanager
async def foreign() -> AsyncIterator[Foreign]:
    issuer = Foreign(free_address("127.0.0.21"))
    async with serving(issuer.app(), issuer.name):
        yield issuer


@asynccontextmanager
async def services(home: Home, names: tuple[str, ...], **described: Any) -> AsyncIterator[list[Service]]:
    """Services of one network, which describe the issuer so."""
    async with AsyncExitStack() as stack:
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False, timeout=10))
        yield [await stack.enter_async_context(service(home, name, http, **described)) for name in names]


@asynccontextmanager
async def service(home: Home, name: str, http: httpx.AsyncClient, **described: Any) -> AsyncIterator[Service]:
    url = free_address("127.0.0.22")
    settings = Settings.model_validate({"issuers": [described], "issuer": described["issuer"]})
    workload = Workload.open(name, url=url, home=home, settings=settings)
    app = Starlette(routes=[Route("/x", lambda _: PlainTextResponse("in"))])
    protected = workload.protect(
        app, describe=lambda scope, document: None, policy=Policy(), scopes=["x"], protocol="http"
    )
    async with serving(protected, url):
        yield Service(url, workload, http)


def lonely(path: Any) -> Home:
    """A state directory that records no network."""
    home = Home(path / "home")
    home.folder(".")
    return home
