"""Those who talk to an issuer: a client with its key, a person's browser, the secrets of one login."""

import base64
import hashlib
import html
import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.dpop import sign_proof
from tests.server.issuers import ACCESS_TOKEN, ASSERTION, EXCHANGE, WEB, Issuer

Form = list[tuple[str, str]]


@dataclass
class Party:
    """A client that knows its key, and talks to one issuer."""

    issuer: Issuer
    http: httpx.AsyncClient
    client_id: str
    redirect_uri: str = f"{WEB}/callback"
    public: bool = False
    proof_key: ECKey | None = None

    def assertion(self, key: ECKey | None = None, *, typ: str | None = None, **claims: Any) -> str:
        now = int(self.issuer.clock())
        said: dict[str, Any] = {
            "iss": self.client_id,
            "sub": self.client_id,
            "aud": self.issuer.url,
            "jti": secrets.token_hex(8),
            "iat": now,
            "exp": now + 60,
        }
        key = key or self.issuer.home.key(self.client_id)
        wanted = {name: value for name, value in {**said, **claims}.items() if value is not None}
        header = {"alg": "ES256", "kid": key.kid, **({} if typ is None else {"typ": typ})}
        return jwt.encode(header, wanted, key, algorithms=["ES256"])

    def authentication(self, **claims: Any) -> Form:
        if self.public:
            return [("client_id", self.client_id)]
        return [("client_assertion_type", ASSERTION), ("client_assertion", self.assertion(**claims))]

    async def post(self, path: str, *form: tuple[str, str]) -> httpx.Response:
        return await self.send(path, [*form, *self.authentication()])

    async def send(self, path: str, form: Form) -> httpx.Response:
        body = urlencode(form)
        headers = {"content-type": "application/x-www-form-urlencoded"}
        if self.proof_key is not None:
            headers["dpop"] = sign_proof(self.proof_key, "POST", self.issuer.url + path, self.issuer.clock())
        return await self.http.post(self.issuer.url + path, content=body, headers=headers)

    async def token(self, *form: tuple[str, str]) -> httpx.Response:
        return await self.post("/token", *form)

    async def exchange(self, subject_token: str, *form: tuple[str, str]) -> httpx.Response:
        base = [("grant_type", EXCHANGE), ("subject_token", subject_token), ("subject_token_type", ACCESS_TOKEN)]
        names = {name for name, _ in form}
        return await self.token(*(pair for pair in base if pair[0] not in names), *form)


@dataclass
class Login:
    """The parameters of one authorization request, and the secrets that the client keeps."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48))
    state: str = field(default_factory=lambda: secrets.token_urlsafe(8))
    nonce: str = field(default_factory=lambda: secrets.token_urlsafe(8))

    @property
    def challenge(self) -> str:
        return base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()

    def parameters(self, party: Party, scope: str, *resources: str, **more: str | None) -> Form:
        said: dict[str, str | None] = {
            "response_type": "code",
            "client_id": party.client_id,
            "redirect_uri": party.redirect_uri,
            "scope": scope,
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": self.challenge,
            "code_challenge_method": "S256",
            **more,
        }
        return [*((n, v) for n, v in said.items() if v is not None), *(("resource", one) for one in resources)]


@dataclass
class Browser:
    """A person's browser: cookies, forms, redirects followed only within the issuer."""

    issuer: Issuer
    http: httpx.AsyncClient

    async def get(self, path_or_url: str, parameters: Form | None = None) -> httpx.Response:
        url = path_or_url if path_or_url.startswith("http") else self.issuer.url + path_or_url
        query = f"?{urlencode(parameters)}" if parameters else ""
        return await self._settle(await self.http.get(url + query, follow_redirects=False))

    async def submit(self, page: httpx.Response, origin: str | None = "own", **values: str | None) -> httpx.Response:
        action, fields = form_of(page)
        said = {**fields, **values}
        headers = {"origin": self.issuer.url if origin == "own" else origin} if origin is not None else {}
        form = {name: value for name, value in said.items() if value is not None}
        return await self._settle(await self.http.post(self.issuer.url + action, data=form, headers=headers))

    async def sign_in(self, page: httpx.Response, username: str, password: str) -> httpx.Response:
        assert page.status_code == 200, page.text
        return await self.submit(page, username=username, password=password)

    async def _settle(self, response: httpx.Response) -> httpx.Response:
        while response.is_redirect and response.headers["location"].startswith(self.issuer.url):
            response = await self.http.get(response.headers["location"], follow_redirects=False)
        return response


def form_of(page: httpx.Response) -> tuple[str, dict[str, str]]:
    """The form of a page: where it goes, and what it sends if nothing is typed."""
    action = re.search(r'<form method="post" action="([^"]+)"', page.text)
    assert action, page.text
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', page.text)
    checked = re.findall(r'<input type="radio" name="([^"]+)" value="([^"]*)" required checked', page.text)
    return action[1], {name: html.unescape(value) for name, value in [*hidden, *checked]}


def answered(response: httpx.Response) -> dict[str, str]:
    """The parameters of an authorization response."""
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["location"]).query))


def claims_of(token: str) -> dict[str, Any]:
    payload = token.split(".")[1]
    return dict(json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))))


def header_of(token: str) -> dict[str, Any]:
    head = token.split(".", maxsplit=1)[0]
    return dict(json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4))))
