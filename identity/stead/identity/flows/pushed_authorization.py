"""An authorization request sent behind the browser's back (RFC 9126), as approvals of operations are (RFC 9396)."""

from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

from stead.identity.flows.authorization_code import AuthorizationRequest, with_query
from stead.identity.flows.client_assertion import ClientIdentity, authenticated
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import successful, unusable
from stead.identity.types import Flow, Form, Request, Response

ADDED_BY_AUTHENTICATION = frozenset({"client_id"})


def push(
    client: ClientIdentity, metadata: Metadata, pending: AuthorizationRequest, *, now: float
) -> Flow[AuthorizationRequest]:
    """The same request with a `url` that only refers to it. Raises the `GrantRefused` family.

    The person's browser then carries no amount, no payee and no state that could be changed on the way.
    """
    response = yield push_request(client, metadata, pending, now=now)
    return process_pushed(response, metadata, pending)


def push_request(client: ClientIdentity, metadata: Metadata, pending: AuthorizationRequest, *, now: float) -> Request:
    """The request half (RFC 9126 s2.1)."""
    form = _pushed_parameters(metadata, pending)
    return authenticated(metadata, "pushed_authorization_request_endpoint", form, client, now)


def _pushed_parameters(metadata: Metadata, pending: AuthorizationRequest) -> Form:
    own = set(parse_qsl(urlsplit(metadata.endpoint("authorization_endpoint")).query))
    pairs = parse_qsl(urlsplit(pending.url).query, keep_blank_values=True)
    return tuple(pair for pair in pairs if pair not in own and pair[0] not in ADDED_BY_AUTHENTICATION)


def process_pushed(response: Response, metadata: Metadata, pending: AuthorizationRequest) -> AuthorizationRequest:
    """The response half (RFC 9126 s2.2)."""
    body = successful(response, metadata.issuer, statuses=(201, 200))
    reference = body.get("request_uri")
    if not isinstance(reference, str) or not 0 < len(reference) <= 1024:
        raise unusable(metadata.issuer, "no request_uri")
    form = (("client_id", pending.client_id), ("request_uri", reference))
    return replace(pending, url=with_query(metadata.endpoint("authorization_endpoint"), form))
