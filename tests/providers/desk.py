"""A person's browser and the network's workloads, at a real Keycloak."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import httpx

from stead.demo.cli.browser import Browser, Login, Page
from stead.identity.clock import system_clock
from stead.identity.connections import Connections
from stead.identity.driver import drive
from stead.identity.flows import AuthorizationRequest, begin, redeem, validate_callback
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.refresh import renew
from stead.identity.flows.token_exchange import obo
from stead.identity.flows.wire import TokenSet
from stead.identity.samples import PERSONS
from stead.identity.settings import Settings
from stead.identity.values import RefreshToken

if TYPE_CHECKING:
    from tests.providers.conftest import Elsewhere


class Hesitant(Browser):
    """Somebody who stops where a one-time code is asked for."""

    def _answer(self, page: Page, typed: set[str], decision: str) -> tuple[str, dict[str, str]] | None:
        return None if any(form.code_field for form in page.forms()) else super()._answer(page, typed, decision)


@dataclass
class Desk:
    """Alice's browser, and the network's workloads as Keycloak's clients."""

    elsewhere: "Elsewhere"
    settings: Settings
    metadata: Metadata
    open_: Connections
    browser: httpx.AsyncClient

    def client(self, name: str) -> ClientIdentity:
        return self.settings.described(self.elsewhere.issuer).client_named(name, self.elsewhere.finport.home)

    @property
    def front(self) -> str:
        return str(self.elsewhere.finport.home.network.web)

    @property
    def callback(self) -> str:
        return f"{self.front}/callback"

    @property
    def origin(self) -> str:
        return self.elsewhere.issuer.partition("/realms/")[0]

    async def asked(
        self, scope: str = "broker:ask", *, by: str = "finport-web", who: str = "alice", **extra: str
    ) -> tuple[AuthorizationRequest, Page]:
        """A request in the person's browser, and the page that it ends on."""
        scopes = ("openid", scope)
        pending = begin(self.client(by), self.metadata, redirect_uri=self.callback, scopes=scopes, extra=extra)
        person = next(one for one in PERSONS if one.username == who)
        browser = Hesitant(self.browser, {self.origin: Login(who, person.password)})
        return pending, await browser.visit(pending.url, until=self.callback)

    async def answered(self, page: Page, **fields: str) -> Page:
        """The form of a page filled in, and sent on by the person."""
        form = page.forms()[0]
        target = str(httpx.URL(page.url).join(form.action))
        done = await self.browser.post(target, data=form.fields | fields, headers={"origin": self.origin})
        return Page(done.headers.get("location", target), 0 if done.is_redirect else done.status_code, done.text)

    async def redeemed(self, pending: AuthorizationRequest, page: Page, *, by: str = "finport-web") -> TokenSet:
        code = validate_callback(pending, httpx.URL(page.url).params.multi_items())
        flow = redeem(self.client(by), self.metadata, pending, code, now=system_clock(), algorithms=("RS256",))
        return await drive(flow, self.open_.bare)

    async def sign_in(self, who: str = "alice") -> TokenSet:
        return await self.redeemed(*await self.asked(who=who))

    async def sign_out(self) -> httpx.Response:
        assert self.metadata.end_session_endpoint is not None
        asked = {"client_id": "finport-web", "post_logout_redirect_uri": f"{self.front}/", "state": "s1"}
        page = await self.browser.get(self.metadata.end_session_endpoint, params=asked)
        form = Page(str(page.url), page.status_code, page.text).forms()[0]
        return await self.browser.post(str(page.url.join(form.action)), data=form.fields | dict(form.buttons))

    async def renewed(self, token: RefreshToken | None) -> TokenSet:
        assert token is not None
        return await drive(renew(self.client("finport-web"), self.metadata, token, now=system_clock()), self.open_.bare)

    async def exchanged(
        self,
        tokens: TokenSet,
        audience: str = "portfolio-agent",
        scope: str = "portfolio:read",
        *,
        by: str = "broker",
        at: Metadata | None = None,
    ) -> TokenSet:
        flow = obo(
            self.client(by),
            at or self.metadata,
            subject_token=tokens.access_token,
            audience=audience,
            scopes=(scope,),
            now=system_clock(),
            target_by="audience",
        )
        return await drive(flow, self.open_.bare)
