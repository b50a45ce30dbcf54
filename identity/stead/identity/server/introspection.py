"""Introspection (RFC 7662): only for the service that the token is for."""

from stead.identity.confirmation import JKT
from stead.identity.errors import InvalidToken
from stead.identity.server.authority import owned_by
from stead.identity.server.calls import Call, Reply, uncached
from stead.identity.server.client_authentication import CONFIDENTIAL
from stead.identity.server.errors import invalid_request
from stead.identity.server.own_tokens import OwnToken, read_own
from stead.identity.server.site import Site

_INACTIVE = {"active": False}


def introspect(site: Site, call: Call) -> Reply:
    """The claims of a token that is still good, to its own audience; to anybody else it is inactive (s2.2)."""
    issuer = site.issuer
    client = site.core.authenticate_client(site.core.create_oauth2_request(call), CONFIDENTIAL)
    token = call.form.one("token")
    if token is None:
        raise invalid_request("The request has no token.")
    try:
        own = read_own(issuer, token)
    except InvalidToken:
        return uncached(_INACTIVE)
    if own.audience not in owned_by(issuer.store, client.client_id):
        return uncached(_INACTIVE)
    return uncached({"active": True, "token_type": _type(own), **own.claims})


def _type(own: OwnToken) -> str:
    """A token that is bound to a certificate is sent as a bearer token (RFC 8705 s3)."""
    return "DPoP" if JKT in own.claims.get("cnf", {}) else "Bearer"
