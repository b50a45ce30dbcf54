"""Signing in at an OpenID provider, by authorization code with PKCE, and out again.

Which provider is a matter of the settings: the network's own, or any other by `login` in the settings. What happens in
the browser is a redirect; codes and tokens stay between this process and the provider.
"""

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from stead.demo.web.credentials import Credentials
from stead.demo.web.provider import Provider
from stead.demo.web.session import Session, Sessions, digest
from stead.identity.errors import (
    ConfigurationError,
    GrantRefused,
    IdentityError,
    InvalidRequest,
    InvalidToken,
    ProviderUnavailable,
)
from stead.identity.flows.authorization_code import AuthorizationRequest, begin, redeem, validate_callback
from stead.identity.flows.revocation import revoke
from stead.identity.patience import patient
from stead.identity.step_up import ANY, StepUp
from stead.identity.values import RefreshToken
from stead.identity.vault_async import AsyncVault
from stead.identity.workload import Workload

_REQUEST = "authorization request"


class Login:
    """The two halves of a sign-in, and the sign-out."""

    def __init__(
        self, workload: Workload, provider: Provider, sessions: Sessions, vault: AsyncVault, credentials: Credentials
    ) -> None:
        self._workload = workload
        self._provider = provider
        self._sessions = sessions
        self._vault = vault
        self._credentials = credentials
        self._owed: list[Session] = []

    async def begin(self, *, anew: bool = False, wanted: StepUp = ANY) -> tuple[str, str]:
        """The provider's page, and the cookie with which the browser must come back.

        `anew` asks for the password; `wanted` is what the sign-in has to be (RFC 9470 s5).
        """
        metadata = await self._workload.metadata(self._provider.issuer)
        pending = begin(
            self._provider.client,
            metadata,
            redirect_uri=f"{self._workload.url}/callback",
            scopes=self._provider.scopes,
            resources=self._provider.resources,
            max_age=wanted.max_age,
            acr_values=wanted.acr_values,
            extra={
                **self._provider.extra,
                **({"prompt": "login"} if anew else {}),
                **({"claims": wanted.claims} if wanted.claims else {}),
            },
        )
        cookie = self._sessions.begin_login()
        await self._vault.put("login", digest(cookie), _REQUEST, json.dumps(pending.to_json()).encode())
        return pending.url, cookie

    async def finish(self, cookie: str | None, parameters: Iterable[tuple[str, str]]) -> tuple[str, Session]:
        """A new session for who comes back, and its cookie.

        Raises `InvalidRequest` for a callback that answers no login of this browser, else what the provider states.
        """
        pending = await self._take(cookie)
        code = validate_callback(pending, parameters)
        metadata = await self._workload.metadata(self._provider.issuer)
        flow = redeem(
            self._provider.client,
            metadata,
            pending,
            code,
            now=self._workload.clock(),
            resource=next(iter(self._provider.resources), None),
            scopes=self._provider.first,
            algorithms=self._provider.algorithms,
        )
        tokens = await self._workload.run(flow)
        described = self._workload.settings.described(self._provider.issuer)
        subject, name = _person(tokens.id_token or {}, described.subject)
        sid, sub = (_text(tokens.id_token or {}, name) for name in ("sid", "sub"))
        new_cookie, session = self._sessions.begin(self._provider.issuer, subject, name, sid=sid, sub=sub)
        await self._credentials.keep(
            session, tokens, next(iter(self._provider.resources), self._workload.home.network.broker)
        )
        return new_cookie, session

    async def sweep(self) -> None:
        """Forgets the secrets of logins that nobody came back from, and those that could not be forgotten before.

        However long the vault's keys are away.
        """
        for key in self._sessions.lapsed_logins():
            await patient(partial(self._vault.forget, "login", key))
        while self._owed:
            await patient(partial(self._credentials.forget, self._owed[0]))
            self._owed.pop(0)

    async def end(self, session: Session, *, goes_on: bool = False) -> None:
        """Signs out: here at once, and at the provider if it takes tokens back.

        Not where the provider's session goes on in another of ours: there are some at which a token that is taken back
        takes the whole session along.
        """
        self._sessions.end(session)
        refresh = None
        try:
            refresh = await self._credentials.refresh_token(session)
            await self._credentials.forget(session)
        except ProviderUnavailable:
            self._owed.append(session)
        if refresh is not None and not goes_on:
            await self._revoke(refresh)

    async def _take(self, cookie: str | None) -> AuthorizationRequest:
        if cookie and self._sessions.take_login(cookie):
            stored = await self._vault.take("login", digest(cookie), _REQUEST)
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


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    return value if isinstance(value, str) else None


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
