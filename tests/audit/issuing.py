"""An issuer on loopback that signs what is asked of it, and the means to serve an app there."""

import asyncio
import secrets
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from stead.identity.peek import peek_claims
from stead.identity.types import ASGIApp, Json
from stead.identity.values import AccessToken


@dataclass
class Issuer:
    """Signs what is asked of it: workloads' own tokens at its token endpoint, and people's in the test."""

    url: str
    key: ECKey

    def sign(self, **claims: Any) -> str:
        now = int(time.time())
        whole = {"iss": self.url, "iat": now, "exp": now + 300, "jti": secrets.token_urlsafe(8), **claims}
        header = {"alg": "ES256", "typ": "at+jwt", "kid": self.key.kid}
        return jwt.encode(header, whole, self.key, algorithms=["ES256"])

    def app(self) -> ASGIApp:
        async def metadata(_: Request) -> JSONResponse:
            named = {"token_endpoint": f"{self.url}/token", "jwks_uri": f"{self.url}/jwks"}
            return JSONResponse({"issuer": self.url, **named})

        async def jwks(_: Request) -> JSONResponse:
            return JSONResponse({"keys": [self.key.as_dict(private=False)]})

        async def token(request: Request) -> JSONResponse:
            form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
            client = form["client_id"]
            who: Json = {"sub": client}
            if "subject_token" in form:
                subject = peek_claims(AccessToken(form["subject_token"]))
                who = {"sub": subject["sub"], "act": {"sub": client}, "roles": subject.get("roles", [])}
            signed = self.sign(**who, client_id=client, aud=form["resource"], scope=form["scope"])
            kind = {"issued_token_type": "urn:ietf:params:oauth:token-type:access_token"}
            return JSONResponse({"access_token": signed, "token_type": "Bearer", "expires_in": 300} | kind)

        return Starlette(
            routes=[
                Route("/.well-known/oauth-authorization-server", metadata),
                Route("/jwks", jwks),
                Route("/token", token, methods=["POST"]),
            ]
        )


@asynccontextmanager
async def serving(app: ASGIApp, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(app, http="httptools", lifespan="on", log_level="critical")
    config.timeout_graceful_shutdown = 1
    server = uvicorn.Server(config)
    running = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await running


def listening() -> tuple[socket.socket, str]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    return listener, f"http://127.0.0.1:{listener.getsockname()[1]}"
