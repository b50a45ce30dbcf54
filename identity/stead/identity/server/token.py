"""The token endpoint (RFC 6749 s3.2): one grant class for each grant type."""

from stead.identity.server.calls import Call, Reply
from stead.identity.server.errors import invalid_request
from stead.identity.server.proofs import confirmed
from stead.identity.server.site import Site


def token(site: Site, call: Call) -> Reply:
    """A token response, or the error of RFC 6749 s5.2."""
    if call.form.one("grant_type") is None:
        raise invalid_request("The request has no grant_type.")
    request = site.core.create_oauth2_request(call)
    request.confirmation = confirmed(site.issuer, call)
    reply: Reply = site.core.create_token_response(request)
    return reply
