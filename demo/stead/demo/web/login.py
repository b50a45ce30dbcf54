"""Signing in at an OpenID provider, by authorization code with PKCE, and out again.

Which provider is a matter of the settings: the network's own, or any other by `login` in the settings. What happens in
the browser is a redirect; codes and tokens stay between this process and the provider.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from stead.demo.web.credentials import Credentials
from stead.demo.web.session import Session, Sessions, digest
from stead.identity.errors import ConfigurationError, GrantRefused, IdentityError, InvalidRequest, InvalidToken
from stead.identity.flows.authorization_code import AuthorizationRequest, begin, redeem, validate_callback
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.revocation import revoke
from stead.identity.flows.wire import host
from stead.identity.values import RefreshToken
from stead.identity.vault import Vault
from stead.identity.workload import Workload

BROKER_SCOPE, REGISTRY_SCOPE, TRAIL_SCOPE = "broker:ask", "registry:admin", "trail:read"
_REQUEST = "authorization request"


@dataclass(frozen=True, slots=True)
class Provider:
    """Where people sign in, and for which services the tokens shall be good; the first is the broker."""

    client: ClientIdentity
    name: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    algorithms: tuple[str, ...]

    @property
    def issuer(self) -> str:
        return self.client.issuer

    @classmethod
    def of(cls, workload: Workload) -> "Provider":
        """The provider that the settings name, else the network's own."""
        login, network = workload.settings.login, workload.home.network
        if login is None:
            described, is_ours = workload.settings.described(workload.issuer), workload.issuer == network.corporate_idp
            return cls(
                client=_bound(workload.client, workload),
                name="FinPort Identity" if is_ours else host(workload.issuer),
                scopes=("openid", "profile", BROKER_SCOPE, REGISTRY_SCOPE, TRAIL_SCOPE),
                resources=(network.broker, network.trail) if described.target_by == "resource" else (),
                algorithms=described.algorithms,
            )
        return cls(
            client=_bound(login.client(workload.home), workload),
            name=login.issuer.partition("//")[2],
            scopes=login.scopes,
            resources=(login.resource,) if login.resource else (),
            algorithms=login.algorithms,
        )


def _bound(client: ClientIdentity, workload: Workload) -> ClientIdentity:
    """The web's own calls change nothing by themselves: its tokens are bound where everybody's are."""
    return client.proving(workload.proof_key) if workload.settings.dpop == "always" else client


class Login:
    """The two halves of a sign-in, and the sign-out."""

    def __init__(
        self, workload: Workload, provider: Provider, sessions: Sessions, vault: Vault, credentials: Credentials
    ) -> None:
        self._workload = workload
        self._provider = provider
        self._sessions = sessions
        self._vault = vault
        self._credentials = credentials

    async def begin(self, *, anew: bool = False) -> tuple[str, str]:
        """The provider's page, and the cookie with which the browser must come back. `anew` asks for the password."""
        metadata = await self._workload.metadata(self._provider.issuer)
        pending = begin(
            self._provider.client,
            metadata,
            redirect_uri=f"{self._workload.url}/callback",
            scopes=self._provider.scopes,
            resources=self._provider.resources,
            extra={"prompt": "login"} if anew else None,
        )
        cookie = self._sessions.begin_login()
        self._vault.put("login", digest(cookie), _REQUEST, json.dumps(pending.to_json()).encode())
        return pending.url, cookie

    async def finish(self, cookie: str | None, parameters: Iterable[tuple[str, str]]) -> tuple[str, Session]:
        """A new session for who comes back, and its cookie.

        Raises `InvalidRequest` for a callback that answers no login of this browser, else what the provider states.
        """
        pending = self._take(cookie)
        code = validate_callback(pending, parameters)
        metadata = await self._workload.metadata(self._provider.issuer)
        flow = redeem(
            self._provider.client,
            metadata,
            pending,
            code,
            now=self._workload.clock(),
            resource=next(iter(self._provider.resources), None),
            algorithms=self._provider.algorithms,
        )
        tokens = await self._workload.run(flow)
        described = self._workload.settings.described(self._provider.issuer)
        subject, name = _person(tokens.id_token or {}, described.subject)
        new_cookie, session = self._sessions.begin(self._provider.issuer, subject, name)
        self._credentials.keep(
            session, tokens, next(iter(self._provider.resources), self._workload.home.network.broker)
        )
        return new_cookie, session

    def sweep(self) -> None:
        """Forgets the secrets of logins that nobody came back from."""
        for key in self._sessions.lapsed_logins():
            self._vault.forget("login", key)

    async def end(self, session: Session) -> None:
        """Signs out: here at once, and at the provider if it takes tokens back."""
        refresh = self._credentials.refresh_token(session)
        self._credentials.forget(session)
        self._sessions.end(session)
        if refresh is not None:
            await self._revoke(refresh)

    def _take(self, cookie: str | None) -> AuthorizationRequest:
        if cookie and self._sessions.take_login(cookie):
            stored = self._vault.get("login", digest(cookie), _REQUEST)
            self._vault.forget("login", digest(cookie))
            if stored is not None:
                return AuthorizationRequest.from_json(json.loads(stored))
        raise InvalidRequest("This sign-in was not begun in this browser, or it took too long.", hint="Sign in again.")

    async def _revoke(self, refresh: RefreshToken) -> None:
        try:
            metadata = await self._workload.metadata(self._provider.issuer)
            await self._workload.run(revoke(self._provider.client, metadata, refresh, now=self._workload.clock()))
        except (GrantRefused, ConfigurationError, IdentityError):
            # The session is over here in any case; what the provider keeps runs out by itself.
            return


def _person(claims: Mapping[str, Any], named_by: str) -> tuple[str, str]:
    """Subject and display name of an ID token, in which the claim `named_by` names the person as access tokens do."""
    subject = claims.get(named_by)
    if not isinstance(subject, str) or not subject:
        raise InvalidToken("The provider did not say who signed in.")
    for name in ("name", "preferred_username", "email"):
        text = claims.get(name)
        if isinstance(text, str) and text.strip() and text.isprintable():
            return subject, text.strip()[:80]
    return subject, subject[:80]
