"""Revocation (RFC 7009), with cascade: what was made from the token ends with it."""

from stead.identity.errors import InvalidToken
from stead.identity.server.calls import NO_STORE, Call, Reply
from stead.identity.server.client_authentication import ANY
from stead.identity.server.errors import invalid_request
from stead.identity.server.issued import find_refresh, revoke_family, revoke_token
from stead.identity.server.issuer import Issuer
from stead.identity.server.own_tokens import read_own
from stead.identity.server.site import Site


def revoke(site: Site, call: Call) -> Reply:
    """Ends a token of the calling client. A token that is not known is no error (s2.2)."""
    client = site.core.authenticate_client(site.core.create_oauth2_request(call), ANY)
    token = call.form.one("token")
    if token is None:
        raise invalid_request("The request has no token.")
    if not _revoke_refresh(site.issuer, token, client.client_id):
        _revoke_access(site.issuer, token, client.client_id)
    return Reply(200, "", NO_STORE)


def _revoke_refresh(issuer: Issuer, token: str, client_id: str) -> bool:
    refresh = find_refresh(issuer.store, token)
    if refresh is None or refresh.client_id != client_id:
        return False
    revoke_family(issuer.store, refresh.family, issuer.now())
    return True


def _revoke_access(issuer: Issuer, token: str, client_id: str) -> None:
    try:
        own = read_own(issuer, token)
    except InvalidToken:
        return
    if own.issued.client_id == client_id:
        revoke_token(issuer.store, own.claims["jti"], issuer.now())
