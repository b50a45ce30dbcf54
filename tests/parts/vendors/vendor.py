"""What the servers have in common: keys, clients, codes with PKCE, and one place where a refusal becomes an answer."""

import asyncio
import base64
import hashlib
import secrets
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlencode

import uvicorn
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

Json = dict[str, Any]
CODE = "authorization_code"
REFRESH = "refresh_token"
SERVICE = "client_credentials"
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"


class Refused(Exception):
    """An answer that is no token."""

    def __init__(self, status: int, body: Json) -> None:
        super().__init__(status)
        self.status, self.body = status, body


@dataclass
class Vendor(ABC):
    """One tenant. `secrets` are its clients', `trouble` what goes wrong next for a scope: consent, mfa, down."""

    origin: str = ""
    key: RSAKey = field(default_factory=lambda: RSAKey.generate_key(2048))
    secrets: dict[str, str] = field(default_factory=dict)
    codes: dict[str, dict[str, str]] = field(default_factory=dict)
    forms: list[dict[str, str]] = field(default_factory=list)
    trouble: dict[str, str] = field(default_factory=dict)

    paths: ClassVar[tuple[str, str, str, str]] = ("", "", "", "")
    """Of metadata, keys, authorization and token endpoint."""

    @property
    @abstractmethod
    def issuer(self) -> str:
        """Its name."""

    @abstractmethod
    def token(self, client: str, form: dict[str, str]) -> Json:
        """The answer of its token endpoint. Raises `Refused`."""

    @abstractmethod
    def client_refused(self) -> Refused:
        """How it refuses a client."""

    @abstractmethod
    def grant_refused(self, why: str) -> Refused:
        """How it refuses a grant."""

    def published(self) -> Json:
        """The key as this vendor publishes it."""
        return {**self.key.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": "RS256"}

    @property
    def kid(self) -> str:
        return self.key.thumbprint()

    def metadata(self) -> Json:
        _, keys, authorize, token = (self.origin + path for path in self.paths)
        return {
            "issuer": self.issuer,
            "jwks_uri": keys,
            "authorization_endpoint": authorize,
            "token_endpoint": token,
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "code_challenge_methods_supported": ["S256"],
        }

    def signed(self, claims: Json, **header: str) -> str:
        now = int(time.time())
        said = {"iss": self.issuer, "iat": now, "exp": now + 3600, **claims}
        return jwt.encode({"alg": "RS256", "kid": self.kid, **header}, said, self.key, algorithms=["RS256"])

    def read(self, token: str) -> Json:
        """A token of this tenant's own that is presented to it."""
        try:
            claims = dict(jwt.decode(token, self.key, algorithms=["RS256"]).claims)
        except (JoseError, ValueError):
            raise self.grant_refused("signature") from None
        if claims["exp"] <= time.time():
            raise self.grant_refused("expired")
        return claims

    def redeemed(self, client: str, form: dict[str, str]) -> dict[str, str]:
        """What was asked for with this code, once."""
        asked = self.codes.pop(form.get("code", ""), None)
        verifier = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(verifier).rstrip(b"=").decode()
        if asked is None or asked["client_id"] != client or asked["code_challenge"] != challenge:
            raise self.grant_refused("code")
        return asked

    def app(self) -> Starlette:
        metadata, keys, authorize, token = self.paths
        return Starlette(
            routes=[
                Route(metadata, lambda _: JSONResponse(self.metadata())),
                Route(keys, lambda _: JSONResponse({"keys": [self.published()]})),
                Route(authorize, self._authorize),
                Route(token, self._token, methods=["POST"]),
            ]
        )

    def _authorize(self, request: Request) -> Response:
        """Alice is signed in already, and goes straight back."""
        asked = dict(request.query_params)
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        code = secrets.token_urlsafe(16)
        self.codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        self.forms.append(form)
        try:
            return JSONResponse(self.token(self._client(request, form), form))
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)

    def _client(self, request: Request, form: dict[str, str]) -> str:
        name, secret = form.get("client_id", ""), form.get("client_secret", "")
        scheme, _, pair = request.headers.get("authorization", "").partition(" ")
        if scheme == "Basic":
            name, _, secret = base64.b64decode(pair).decode().partition(":")
        if not secret or self.secrets.get(name) != secret:
            raise self.client_refused()
        return name


@asynccontextmanager
async def serving(vendor: Vendor) -> AsyncIterator[None]:
    """On a free port of loopback, while the block lasts."""
    listener = socket.create_server(("127.0.0.1", 0))
    vendor.origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    config = uvicorn.Config(vendor.app(), http="httptools", lifespan="off", log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task
