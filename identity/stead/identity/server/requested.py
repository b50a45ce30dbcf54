"""An authorization request, validated: everything that the sign-in and consent pages may rely on.

Errors found before the redirect address is known to be the client's stay here; later ones carry it (RFC 6749 s4.1.2.1).
"""

import re
from dataclasses import dataclass
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error

from stead.identity.server.assurance import wished
from stead.identity.server.authority import LOGIN_SCOPES, Mode, edges_of, require_audience
from stead.identity.server.calls import Parameters
from stead.identity.server.clients import Client
from stead.identity.server.core import Request
from stead.identity.server.errors import Refused, invalid_request, invalid_scope, invalid_target
from stead.identity.server.rich import read_details
from stead.identity.server.site import Site
from stead.identity.types import Json

_PROMPTS = frozenset({"none", "login", "consent", "select_account"})
_IGNORED_SCOPES = frozenset({"offline_access"})
_SENTENCES = {
    "invalid_client": "This application is not known here.",
    "invalid_request": "The redirect_uri is not one that this application registered.",
    "unauthorized_client": "This application may not sign people in.",
    "unsupported_response_type": "The only response_type is code.",
}
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
# A wish inside `claims` that was passed over would look as if it had been met.
_UNSUPPORTED = {
    "request": "request_not_supported",
    "registration": "registration_not_supported",
    "claims": "invalid_request",
}


@dataclass(frozen=True)
class Requested:
    """What a client asks of a person. `wish` are the classes of sign-in that it would take, if it said."""

    request: Request
    grant: Any
    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    details: tuple[Json, ...]
    prompts: frozenset[str]
    max_age: int | None
    login_hint: str | None
    wish: tuple[str, ...] = ()
    jkt: str | None = None

    @property
    def state(self) -> str | None:
        return self.request.parameters.one("state")


def read_request(site: Site, parameters: Parameters, *, pushed: bool) -> Requested:
    """Validates an authorization request. Raises `Refused`, with `redirect_uri` where it may be answered there."""
    request = Request("GET", site.issuer.settings.url("/authorize"), parameters, {})
    grant = _authlib_checks(site, request)
    try:
        return _read(site, request, grant, pushed)
    except Refused as refused:
        refused.redirect_uri = grant.redirect_uri
        raise


def _authlib_checks(site: Site, request: Request) -> Any:
    """Client, redirect address, response type, PKCE."""
    try:
        return site.core.get_consent_grant(request)
    except Refused:
        raise
    except OAuth2Error as error:
        refused = Refused(error.error, _SENTENCES.get(error.error, "The request is not acceptable."))
        refused.redirect_uri = error.redirect_uri
        raise refused from None
    except ValueError:  # Authlib puts parameters into sentences, and then finds characters there that it does not allow
        raise invalid_request("The redirect_uri or response_type is not acceptable.") from None


def _read(site: Site, request: Request, grant: Any, pushed: bool) -> Requested:
    client, parameters = request.client, request.parameters
    _check_supported(parameters)
    if client.pushed_only and not pushed:
        raise invalid_request("This client has to push its authorization requests.", hint="Use the /par endpoint.")
    details = _details(client, parameters)
    resources = _resources(site, client, parameters, details)
    return Requested(
        request=request,
        grant=grant,
        client=client,
        redirect_uri=grant.redirect_uri,
        scopes=_scopes(site, client, parameters, resources),
        resources=resources,
        details=details,
        prompts=_prompts(parameters.one("prompt")),
        max_age=_max_age(parameters.one("max_age")),
        login_hint=parameters.one("login_hint"),
        wish=wished(parameters.one("acr_values")),
        jkt=_key(parameters.one("dpop_jkt")),
    )


def _check_supported(parameters: Parameters) -> None:
    for name, code in _UNSUPPORTED.items():
        if parameters.one(name) is not None:
            raise Refused(code, f"The parameter {name} is not supported.")
    if parameters.one("response_mode") not in (None, "query"):
        raise invalid_request("The only response_mode is query.")


def _details(client: Client, parameters: Parameters) -> tuple[Json, ...]:
    text = parameters.one("authorization_details")
    return () if text is None else tuple(read_details(text, client.details_types))


def _resources(site: Site, client: Client, parameters: Parameters, details: tuple[Json, ...]) -> tuple[str, ...]:
    """The audiences of this sign-in (RFC 8707 s2.1); an operation goes to the one it names."""
    located = tuple(str(location) for one in details for location in one["locations"])
    if client.details_types and not details and parameters.all("resource"):
        raise Refused("invalid_authorization_details", "This client asks for one operation at a time, and named none.")
    resources = tuple(dict.fromkeys(parameters.all("resource"))) or located
    for resource in resources:
        require_audience(site.issuer.store, resource)
    if located and resources != located:
        raise invalid_target("The resource is not the location of the operation.")
    return resources


def _scopes(site: Site, client: Client, parameters: Parameters, resources: tuple[str, ...]) -> tuple[str, ...]:
    wanted = [scope for scope in (parameters.one("scope") or "").split() if scope not in _IGNORED_SCOPES]
    edges = edges_of(site.issuer.store, client.client_id)
    known = {scope for audience in (*resources, site.issuer.name) for scope in edges.scopes(audience, Mode.LOGIN)}
    for scope in wanted:
        if scope not in known and scope not in LOGIN_SCOPES:
            raise invalid_scope(f"{client.client_id} may not ask for {scope} here.", hint="Name its resource as well.")
    return tuple(dict.fromkeys(wanted))


def _prompts(text: str | None) -> frozenset[str]:
    prompts = frozenset((text or "").split())
    if not prompts <= _PROMPTS or ("none" in prompts and len(prompts) > 1):
        raise invalid_request("The prompt is not one that this issuer knows.")
    return prompts


def _key(text: str | None) -> str | None:
    """RFC 9449 s10: the key to which the code is bound."""
    if text is not None and not _THUMBPRINT.fullmatch(text):
        raise invalid_request("The dpop_jkt is not the thumbprint of a key.")
    return text


def _max_age(text: str | None) -> int | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) <= 9):
        raise invalid_request("The max_age is not a number of seconds.")
    return int(text)
