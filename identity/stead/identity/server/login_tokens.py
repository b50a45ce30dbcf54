"""The access token of a login: which of the authorized resources it is for, and what of the scopes it carries."""

from stead.identity.confirmation import Confirmation
from stead.identity.server.approvals import RICH_AUDIENCE_MISSING
from stead.identity.server.authority import LOGIN_SCOPES, at_login, edges_of, require_audience
from stead.identity.server.authorization import Authorization
from stead.identity.server.clients import Client
from stead.identity.server.errors import invalid_scope, invalid_target
from stead.identity.server.issuer import Issuer
from stead.identity.server.minting import Grantee, Issuance, access_token
from stead.identity.server.people import Person
from stead.identity.types import Json


def login_token(
    issuer: Issuer,
    client: Client,
    person: Person,
    authorization: Authorization,
    *,
    family: str,
    resource: str | None,
    confirmation: Confirmation | None = None,
) -> Json:
    """A token response for one resource (RFC 8707 s2.2). Raises `Refused`.

    Scopes that the person is not entitled to, or the client may not ask for, are left out; with none left it refuses.
    """
    audience = _audience(issuer, authorization, resource)
    scopes = _scopes(issuer, client, person, authorization, audience)
    issuance = Issuance(
        client.client_id,
        audience,
        tuple(scopes),
        Grantee.of(person, authorization),
        details=_details(authorization, audience),
        consent_id=authorization.consent_id,
        family=family,
        confirmation=confirmation,
    )
    return access_token(issuer, issuance)


def _audience(issuer: Issuer, authorization: Authorization, resource: str | None) -> str:
    """The resource asked for, else the first that was authorized, else this issuer (for userinfo)."""
    if resource is None:
        return authorization.resources[0] if authorization.resources else issuer.name
    if resource not in (*authorization.resources, issuer.name):
        raise invalid_target(f"The sign-in did not cover {resource[:200]}.", hint="Name it at the sign-in too.")
    return resource


def _scopes(issuer: Issuer, client: Client, person: Person, authorization: Authorization, audience: str) -> list[str]:
    found = require_audience(issuer.store, audience)
    scopes = at_login(edges_of(issuer.store, client.client_id), found, person, authorization.scopes)
    if audience == issuer.name:
        asked_here = not authorization.resources or issuer.name in authorization.resources
        identity = [scope for scope in LOGIN_SCOPES if scope in authorization.scopes]
        scopes = [*identity, *(scopes if asked_here else ())]
    if not scopes:
        raise invalid_scope(
            f"Nothing that {client.name} asked for at {found.name} is open to {person.name}.",
            hint="Ask an administrator for the role.",
        )
    return scopes


def _details(authorization: Authorization, audience: str) -> tuple[Json, ...]:
    """Consented details go only to the audience they name (RFC 9396 s2.2, locations)."""
    if any(audience not in one.get("locations", ()) for one in authorization.details):
        raise invalid_target(RICH_AUDIENCE_MISSING)
    return authorization.details
