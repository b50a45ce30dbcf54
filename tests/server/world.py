"""A company's and a bank's issuer over real HTTP, with a miniature network to attack them in."""

import asyncio
import base64
import hashlib
import html
import json
import re
import secrets
import socket
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import httpx
import uvicorn
from joserfc import jwt
from joserfc.jwk import ECKey

from stead.identity.home import Home
from stead.identity.samples import ALICE, BOB, PERSONS
from stead.identity.server import (
    CODE,
    REFRESH,
    WORKLOAD_GRANTS,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    ServerSettings,
    authorization_server,
    seed,
)

WEB, BROKER, PORTFOLIO, HOLDINGS, TRANSFER, MARKET, PAYMENTS = (
    f"http://127.0.0.{number}:9000" for number in range(10, 17)
)
Theme = Literal["corporate", "bank"]
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class Clock:
    """The system's time, plus what a test adds."""

    ahead: float = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def corporate_seed(home: Home, issuer: str) -> Seed:
    people = tuple(
        SeedPerson(
            one.username,
            one.username,
            one.name,
            one.password,
            one.roles,
            {"transfer_limit": {"amount": str(one.transfer_limit), "currency": "EUR"}} if one.transfer_limit else {},
        )
        for one in PERSONS
    )
    workloads = ("broker", "portfolio-agent", "holdings-mcp", "market-data-agent")
    return Seed(
        people,
        (
            SeedClient(
                "finport-web",
                "FinPort",
                home.key("finport-web"),
                (f"{WEB}/callback",),
                (f"{WEB}/",),
                (CODE, REFRESH),
            ),
            SeedClient("stead-cli", "The command line", None, ("http://127.0.0.1/callback",), (), (CODE, REFRESH)),
            SeedClient(
                "transfer-agent",
                "Transfer",
                home.key("transfer-agent"),
                (f"{TRANSFER}/callback",),
                grants=(*WORKLOAD_GRANTS, CODE),
            ),
            *(SeedClient(name, name, home.key(name)) for name in workloads),
        ),
        (
            SeedAudience(BROKER, "Broker", {"broker:ask": ("customer",), "task:notify": ()}, "broker"),
            SeedAudience(PORTFOLIO, "Portfolio", {"portfolio:read": ("customer",)}, "portfolio-agent"),
            SeedAudience(HOLDINGS, "Holdings", {"holdings:read": ("customer",), "tools:list": ()}, "holdings-mcp"),
            SeedAudience(TRANSFER, "Transfer", {"transfer:create": ("payer",)}, "transfer-agent"),
            SeedAudience(MARKET, "Market Data", {"market:read": ()}, "market-data-agent"),
            SeedAudience(issuer, "FinPort Identity", {"registry:admin": ("registry-admin",)}),
        ),
        (
            *(SeedEdge(who, BROKER, ("broker:ask",), "login") for who in ("finport-web", "stead-cli")),
            *(SeedEdge(who, issuer, ("registry:admin",), "login") for who in ("finport-web", "stead-cli")),
            SeedEdge("finport-web", PORTFOLIO, ("portfolio:read",), "login"),
            SeedEdge("broker", PORTFOLIO, ("portfolio:read",), "obo"),
            SeedEdge("broker", TRANSFER, ("transfer:create",), "obo"),
            SeedEdge("broker", MARKET, ("market:read",), "s2s"),
            SeedEdge("broker", HOLDINGS, ("tools:list",), "s2s"),
            SeedEdge("portfolio-agent", HOLDINGS, ("holdings:read",), "obo"),
            SeedEdge("portfolio-agent", BROKER, ("broker:ask",), "obo"),
            SeedEdge("transfer-agent", BROKER, ("task:notify",), "s2s"),
        ),
    )


def bank_seed(home: Home) -> Seed:
    people = tuple(
        SeedPerson(
            one.bank_subject,
            one.username,
            one.name,
            one.bank_password,
            ("account-holder",),
            {"accounts": [{"iban": a.iban, "name": a.name, "currency": a.currency} for a in one.accounts]},
        )
        for one in PERSONS
        if one.bank_subject
    )
    client = SeedClient(
        "transfer-agent",
        "FinPort Transfer",
        home.key("transfer-agent"),
        (f"{TRANSFER}/callback",),
        grants=(CODE,),
        details_types=("payment_initiation",),
        pushed_only=True,
    )
    other = replace(client, client_id="other-agent", name="Other", key=home.key("other-agent"))
    audience = SeedAudience(PAYMENTS, "Northbank Payments", {"payments": ("account-holder",)})
    edges = tuple(SeedEdge(who, PAYMENTS, ("payments",), "login") for who in ("transfer-agent", "other-agent"))
    return Seed(people, (client, other), (audience,), edges)


@dataclass
class Issuer:
    """One running issuer."""

    settings: ServerSettings
    clock: Clock
    home: Home

    @property
    def url(self) -> str:
        return self.settings.issuer


@asynccontextmanager
async def running(settings: ServerSettings, listener: socket.socket) -> AsyncIterator[None]:
    config = uvicorn.Config(
        authorization_server(settings), http="httptools", lifespan="on", log_level="warning", access_log=False
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve(sockets=[listener]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield
    finally:
        server.should_exit = True
        await task


@asynccontextmanager
async def issuer_of(home: Home, theme: Theme, name: str, make: Callable[[str], Seed]) -> AsyncIterator[Issuer]:
    listener = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    clock = Clock()
    settings = ServerSettings(url, name, theme, home, f"issuer-{theme}", clock=clock, registration=theme == "corporate")
    seed(settings, make(url))
    async with running(settings, listener):
        yield Issuer(settings, clock, home)


Form = list[tuple[str, str]]


@dataclass
class Party:
    """A client that knows its key, and talks to one issuer."""

    issuer: Issuer
    http: httpx.AsyncClient
    client_id: str
    redirect_uri: str = f"{WEB}/callback"
    public: bool = False

    def assertion(self, key: ECKey | None = None, **claims: Any) -> str:
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
        return jwt.encode({"alg": "ES256", "kid": key.kid}, wanted, key, algorithms=["ES256"])

    def authentication(self, **claims: Any) -> Form:
        if self.public:
            return [("client_id", self.client_id)]
        return [("client_assertion_type", ASSERTION), ("client_assertion", self.assertion(**claims))]

    async def post(self, path: str, *form: tuple[str, str]) -> httpx.Response:
        return await self.send(path, [*form, *self.authentication()])

    async def send(self, path: str, form: Form) -> httpx.Response:
        body = urlencode(form)
        headers = {"content-type": "application/x-www-form-urlencoded"}
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


@dataclass
class World:
    """Everything a test needs at one issuer."""

    issuer: Issuer
    http: httpx.AsyncClient

    def party(self, client_id: str, **more: Any) -> Party:
        return Party(self.issuer, self.http, client_id, **more)

    @property
    def web(self) -> Party:
        return self.party("finport-web")

    @property
    def broker(self) -> Party:
        return self.party("broker")

    @asynccontextmanager
    async def browser(self) -> AsyncIterator[Browser]:
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            yield Browser(self.issuer, client)

    async def code(self, login: Login, username: str, scope: str, *resources: str, **more: Any) -> str:
        party = more.pop("party", self.web)
        async with self.browser() as browser:
            page = await browser.get("/authorize", login.parameters(party, scope, *resources, **more))
            done = await browser.sign_in(page, username, f"{username}-demo")
            return answered(done)["code"]

    async def redeem(
        self, login: Login, code: str, *form: tuple[str, str], party: Party | None = None
    ) -> httpx.Response:
        party = party or self.web
        base = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", party.redirect_uri),
            ("code_verifier", login.verifier),
        ]
        names = {name for name, _ in form}
        return await party.token(*(pair for pair in base if pair[0] not in names), *form)

    async def login(self, username: str = "alice", scope: str = "openid profile broker:ask") -> dict[str, Any]:
        """A person signed in at the web, with a token for the broker."""
        login = Login()
        code = await self.code(login, username, scope, BROKER)
        response = await self.redeem(login, code)
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def obo(
        self, token: str, audience: str, scope: str, party: Party | None = None, **more: str
    ) -> dict[str, Any]:
        response = await (party or self.broker).exchange(token, ("resource", audience), ("scope", scope), *more.items())
        assert response.status_code == 200, response.text
        return dict(response.json())

    async def service(self, client_id: str, audience: str, scope: str) -> str:
        response = await self.party(client_id).token(
            ("grant_type", "client_credentials"), ("resource", audience), ("scope", scope)
        )
        assert response.status_code == 200, response.text
        return str(response.json()["access_token"])

    async def active(self, token: str, client_id: str) -> bool:
        response = await self.party(client_id).post("/introspect", ("token", token))
        return bool(response.json()["active"])


PAYMENT: Mapping[str, Any] = {
    "type": "payment_initiation",
    "actions": ["initiate"],
    "locations": [PAYMENTS],
    "instructedAmount": {"currency": "EUR", "amount": "1250.00"},
    "creditorName": "Bob Lindqvist",
    "creditorAccount": {"iban": BOB.accounts[0].iban},
    "endToEndId": "e2e-1",
    "task_id": "task-1",
}


def payment(**changes: Any) -> dict[str, Any]:
    return {**PAYMENT, "endToEndId": secrets.token_hex(6), "task_id": secrets.token_hex(6), **changes}


@dataclass
class Bank(World):
    """The bank, with the agent that asks for payments."""

    @property
    def agent(self) -> Party:
        return self.party("transfer-agent", redirect_uri=f"{TRANSFER}/callback")

    async def push(self, login: Login, details: Any, **more: Any) -> httpx.Response:
        party: Party = more.pop("party", self.agent)
        text = details if isinstance(details, str) else json.dumps([details])
        form = login.parameters(party, "openid payments", PAYMENTS, authorization_details=text, **more)
        return await party.post("/par", *form)

    async def link(self, login: Login, details: Any, **more: Any) -> Form:
        response = await self.push(login, details, **more)
        assert response.status_code == 201, response.text
        return [("client_id", "transfer-agent"), ("request_uri", response.json()["request_uri"])]

    async def consent_page(
        self, browser: Browser, login: Login, details: Any, username: str = "alice"
    ) -> httpx.Response:
        page = await browser.get("/authorize", await self.link(login, details))
        return await browser.sign_in(page, username, f"{username}-bank")

    async def approved(self, login: Login, details: Any) -> dict[str, str]:
        async with self.browser() as browser:
            page = await self.consent_page(browser, login, details)
            return answered(await browser.submit(page, decision="approve", debtor=ALICE.accounts[0].iban))

    async def spend(self, login: Login, code: str) -> httpx.Response:
        return await self.redeem(login, code, party=self.agent)


def query_of(url: str) -> dict[str, list[str]]:
    return parse_qs(urlsplit(url).query)


def all_files(home: Home) -> list[Path]:
    return [path for path in home.path.rglob("*") if path.is_file()]
