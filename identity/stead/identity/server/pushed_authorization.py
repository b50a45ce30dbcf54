"""Pushed authorization requests (RFC 9126): nothing of the request passes through the browser."""

from stead.identity.server.calls import NO_STORE, Call, Parameters, Reply
from stead.identity.server.client_authentication import CONFIDENTIAL
from stead.identity.server.codes import push_request
from stead.identity.server.errors import Refused, invalid_request
from stead.identity.server.proofs import invalid_proof, proven_key
from stead.identity.server.requested import read_request
from stead.identity.server.site import Site

_AUTHENTICATION = frozenset({"client_assertion", "client_assertion_type"})


def push(site: Site, call: Call) -> Reply:
    """Validates the request as /authorize would, and keeps it for one use (RFC 9126 s2)."""
    client = site.core.authenticate_client(site.core.create_oauth2_request(call), CONFIDENTIAL)
    if call.form.one("request_uri") is not None:
        raise invalid_request("A pushed request cannot refer to another one.")
    kept = {name: found for name, found in call.form.values.items() if name not in _AUTHENTICATION}
    parameters = Parameters({**kept, **_bound(site, call), "client_id": (client.client_id,)})
    try:
        read_request(site, parameters, pushed=True)
    except Refused as refused:
        refused.redirect_uri = None  # RFC 9126 s2.3: the client is told, not the browser
        raise
    settings = site.issuer.settings
    expires = site.issuer.now() + settings.request_uri_lifetime
    reference = push_request(site.issuer.store, client.client_id, parameters, expires)
    return Reply(201, {"request_uri": reference, "expires_in": settings.request_uri_lifetime}, NO_STORE)


def _bound(site: Site, call: Call) -> dict[str, tuple[str, ...]]:
    """A proof says what `dpop_jkt` says; where both are sent they must agree (RFC 9449 s10.1)."""
    proven, named = proven_key(site.issuer, call), call.form.one("dpop_jkt")
    if proven is None:
        return {}
    if named not in (None, proven):
        raise invalid_proof("dpop_jkt names another key than the proof.")
    return {"dpop_jkt": (proven,)}
