"""The refresh grant: rotation at every use; a refresh token that comes back ends its family (RFC 9700 s4.14)."""

from typing import Any

from authlib.oauth2.rfc6749.grants import RefreshTokenGrant

from stead.identity.server.authorization import Authorization, Refresh
from stead.identity.server.browser import session_is_live
from stead.identity.server.client_authentication import ANY
from stead.identity.server.core import Core, Request
from stead.identity.server.errors import invalid_grant, invalid_scope
from stead.identity.server.issued import (
    family_end,
    family_is_revoked,
    find_refresh,
    new_refresh_token,
    revoke_family,
    spend_refresh,
)
from stead.identity.server.issuer import Issuer
from stead.identity.server.login_tokens import login_token
from stead.identity.server.logout_notices import announce
from stead.identity.server.people import Person, find_person
from stead.identity.server.proofs import require_key
from stead.identity.types import Json


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc]
    """One refresh token, one use, one resource (RFC 6749 s6, RFC 8707 s2.2)."""

    TOKEN_ENDPOINT_AUTH_METHODS = ANY
    server: Core
    request: Request

    def authenticate_refresh_token(self, refresh_token: str) -> Refresh:
        """The token, if its family, its session and its own life still are. Raises `Refused`."""
        issuer = self.server.issuer
        found, now = find_refresh(issuer.store, refresh_token), issuer.now()
        if found is None or not found.check_client(self.request.client):
            raise invalid_grant("The refresh token is not known.")
        if family_is_revoked(issuer.store, found.family) or found.expires <= now:
            raise invalid_grant("The refresh token is no longer good.", hint="Sign in again.")
        require_key(found.authorization.jkt, self.request.proven)
        if not session_is_live(issuer.store, found.authorization.sid, now):
            raise invalid_grant("The session has ended.", hint="Sign in again.")
        return found

    def create_token_response(self) -> tuple[int, Json, Any]:
        """A new access token and the next refresh token."""
        refresh: Refresh = self.request.refresh_token
        person = self._person(refresh)
        self._spend(refresh)
        issuer, client = self.server.issuer, self.request.client
        wanted = self._wanted(refresh)
        resource = self.request.payload.data.get("resource")
        body = login_token(
            issuer,
            client,
            person,
            wanted,
            family=refresh.family,
            resource=resource,
            confirmation=self.request.confirmation,
        )
        body["refresh_token"] = next_refresh_token(issuer, client.client_id, refresh.family, refresh.authorization)
        return 200, body, self.TOKEN_RESPONSE_HEADER

    def _wanted(self, refresh: Refresh) -> Authorization:
        """RFC 6749 s6: the same scopes or fewer, never more; the refresh token keeps them all."""
        asked = (self.request.payload.scope or "").split()
        if not asked:
            return refresh.authorization
        if not set(asked) <= set(refresh.authorization.scopes):
            raise invalid_scope("The sign-in did not cover that scope.", hint="Sign in again and ask for it.")
        return refresh.authorization.narrowed(tuple(asked))

    def _person(self, refresh: Refresh) -> Person:
        person = find_person(self.server.issuer.store, refresh.authorization.subject)
        if person is None:
            raise invalid_grant("The person of this refresh token is not known any more.")
        return person

    def _spend(self, refresh: Refresh) -> None:
        issuer = self.server.issuer
        if not spend_refresh(issuer.store, refresh, issuer.now()):
            revoke_family(issuer.store, refresh.family, issuer.now())
            announce(issuer.store, refresh.authorization.sid, issuer.now(), only=refresh.client_id)
            raise invalid_grant(
                "The refresh token was used before. Everything issued from it has been revoked.", hint="Sign in again."
            )


def next_refresh_token(issuer: Issuer, client_id: str, family: str, authorization: Authorization) -> str:
    """A refresh token that ends when nobody uses it, and in any case with its family: renewing never prolongs that."""
    idle = issuer.now() + issuer.settings.refresh_idle_lifetime
    expires = min(idle, family_end(issuer.store, family))
    return new_refresh_token(issuer.store, client_id, family, authorization, expires)
