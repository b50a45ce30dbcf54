"""A sample person at the command line: signed in by a real authorization code with PKCE, as a public client.

The person's browser is scripted; every request is one that a browser would make. Tokens live in this process only.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Mapping
from urllib.parse import parse_qsl, urlsplit

import httpx
from joserfc.jwk import ECKey

from stead.demo.cli.browser import Browser, Login, Page
from stead.identity.driver import drive
from stead.identity.egress import Nonces, shown
from stead.identity.errors import AccessDenied
from stead.identity.flows.authorization_code import begin, redeem, validate_callback
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.discovery import Metadata, discover
from stead.identity.flows.proof import with_nonce
from stead.identity.flows.refresh import renew
from stead.identity.flows.wire import TokenSet, origin
from stead.identity.home import Home
from stead.identity.samples import PERSONS, Person
from stead.identity.settings import Settings
from stead.identity.step_up import ANY, StepUp
from stead.identity.values import AccessToken, RefreshToken

CLIENT_ID = "stead-cli"
REGISTRY_ADMIN, REGISTRY_OBO = "registry:admin", "registry:obo"
REDIRECT_URI = "http://127.0.0.1:53682/callback"
"""Nobody listens there: the scripted browser reads the code off the redirect (RFC 8252 s7.3 allows any port)."""

_FRESH_ENOUGH = 30.0
"""Seconds a token must still live to be used for another call."""


class _Shown(httpx.Auth):
    def __init__(self, session: "Session", resource: str) -> None:
        self._session = session
        self._resource = resource

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        session, url = self._session, str(request.url)
        request.headers.update(await session.headers(request.method, url, self._resource))
        response = yield request
        if session.nonces.learn(origin(url), await session.token(self._resource), response):
            request.headers.update(await session.headers(request.method, url, self._resource))
            yield request


class Session:
    """A signed-in person: hands out an access token for one service at a time, renewed when it runs out.

    `bound` binds the tokens to a key that is made for this session and dies with it (RFC 9449).
    """

    def __init__(
        self, home: Home, person: Person, http: httpx.AsyncClient, browser: Browser, metadata: Metadata, *, bound: bool
    ) -> None:
        self.home = home
        self.person = person
        self.http = http
        self.browser = browser
        self._metadata = metadata
        client = ClientIdentity(CLIENT_ID, None, metadata.issuer)
        self._client = client.proving(ECKey.generate_key("P-256")) if bound else client
        self.nonces = Nonces()
        self._refresh: RefreshToken | None = None
        self._resources: Mapping[str, tuple[str, ...]] = {}
        self._tokens: dict[str, TokenSet] = {}
        self._renewing = asyncio.Lock()

    async def sign_in(self, resources: Mapping[str, tuple[str, ...]], wanted: StepUp = ANY) -> None:
        """Signs the person in for `resources` (audience → scopes), as is `wanted`.

        Raises `AccessDenied` when the login is refused, `InvalidToken` when it is not as strong as that.
        """
        scopes = ("openid", "profile", *(scope for several in resources.values() for scope in several))
        pending = begin(
            self._client,
            self._metadata,
            redirect_uri=REDIRECT_URI,
            scopes=scopes,
            resources=tuple(resources),
            max_age=wanted.max_age,
            acr_values=wanted.acr_values,
        )
        page = await self.browser.visit(pending.url, until=REDIRECT_URI)
        if page.status:
            raise AccessDenied(f"{self.person.name} could not sign in: {page.words()[:200]}")
        code = validate_callback(pending, parse_qsl(urlsplit(page.url).query, keep_blank_values=True))
        self._resources, first = resources, next(iter(resources))
        self._tokens.clear()
        flow = redeem(self._client, self._metadata, pending, code, now=time.time(), resource=first)
        self._keep(first, await drive(with_nonce(flow, time.time), self.http))

    async def raise_to(self, wanted: StepUp) -> None:
        """Signs the person in once more, for the same (RFC 9470 s5). Raises as `sign_in` does."""
        await self.sign_in(self._resources, wanted)

    async def token(self, resource: str) -> AccessToken:
        """A token that is good at `resource` for at least half a minute."""
        async with self._renewing:
            held = self._tokens.get(resource)
            if held is None or held.expires_at - time.time() < _FRESH_ENOUGH:
                held = self._keep(resource, await self._renewed(resource))
            return held.access_token

    async def headers(self, method: str, url: str, resource: str) -> dict[str, str]:
        """The headers that show the token for `resource` on one request."""
        return shown(await self.token(resource), method, url, self.nonces.at(origin(url)))

    def auth(self, resource: str) -> httpx.Auth:
        """Shows the token for `resource` on requests to it."""
        return _Shown(self, resource)

    async def _renewed(self, resource: str) -> TokenSet:
        if self._refresh is None:
            raise AccessDenied("This session cannot be renewed.", hint="Sign in again.")
        flow = renew(self._client, self._metadata, self._refresh, now=time.time(), resource=resource)
        return await drive(with_nonce(flow, time.time), self.http)

    def _keep(self, resource: str, tokens: TokenSet) -> TokenSet:
        self._tokens[resource] = tokens
        self._refresh = tokens.refresh_token or self._refresh
        return tokens

    async def approve(self, link: str, decision: str = "approve") -> Page:
        """Follows an approval link as this person and answers at the bank; the page they end on."""
        return await self.browser.visit(link, decision=decision)

    async def close(self) -> None:
        """Forgets the session's connections and tokens."""
        self._tokens.clear()
        await self.http.aclose()


def person_named(username: str) -> Person:
    """The sample person of that name. Raises `AccessDenied` naming those there are."""
    for person in PERSONS:
        if person.username == username:
            return person
    names = ", ".join(person.username for person in PERSONS)
    raise AccessDenied(f"There is no person {username!r}.", hint=f"There are: {names}.")


async def signed_in(home: Home, username: str, resources: Mapping[str, tuple[str, ...]] | None = None) -> Session:
    """A session of a sample person; by default for asking the broker and reading their own trails."""
    person, network = person_named(username), home.network
    believed = Settings.load(home).believed()
    http = httpx.AsyncClient(timeout=httpx.Timeout(20, read=120), trust_env=False, verify=believed)
    logins = {
        network.corporate_idp: Login(person.username, person.password),
        network.bank_idp: Login(person.username, person.bank_password),
    }
    metadata = await drive(discover(network.corporate_idp), http)
    wanted = resources or asking(home)
    session = Session(home, person, http, Browser(http, logins), metadata, bound=_must_be_bound(home, wanted))
    await session.sign_in(wanted)
    return session


def _must_be_bound(home: Home, resources: Mapping[str, tuple[str, ...]]) -> bool:
    """Where something is changed by the call itself, or where the network lets nothing else in."""
    setting = Settings.load(home).dpop
    changes = any(REGISTRY_ADMIN in scopes for scopes in resources.values())
    return setting == "always" or (setting == "effects" and changes)


def asking(home: Home) -> dict[str, tuple[str, ...]]:
    """What it takes to ask the broker and to read the trail of one's own tasks."""
    return {home.network.broker: ("broker:ask",), home.network.trail: ("trail:read",)}


def auditing(home: Home) -> dict[str, tuple[str, ...]]:
    """What it takes to read anybody's trail."""
    return {home.network.trail: ("audit:read",)}


def administering(home: Home) -> dict[str, tuple[str, ...]]:
    """What it takes to change the registry: at the authorization server, and at the broker."""
    return {home.network.corporate_idp: (REGISTRY_ADMIN, REGISTRY_OBO), home.network.broker: (REGISTRY_ADMIN,)}
