"""A token is given back before its time (RFC 7009)."""

from typing import Literal

from stead.identity.flows.client_assertion import ClientIdentity, authenticated
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import parse_json, refusal, unusable
from stead.identity.types import Flow, Request, Response
from stead.identity.values import AccessToken, RefreshToken


def revoke(client: ClientIdentity, metadata: Metadata, token: AccessToken | RefreshToken, *, now: float) -> Flow[None]:
    """Revokes the token. That it was unknown is a success too (RFC 7009 s2.2). Raises the `GrantRefused` family."""
    response = yield revoke_request(client, metadata, token, now=now)
    process_revoked(response, metadata)


def revoke_request(
    client: ClientIdentity, metadata: Metadata, token: AccessToken | RefreshToken, *, now: float
) -> Request:
    """The request half (RFC 7009 s2.1)."""
    hint: Literal["refresh_token", "access_token"] = (
        "refresh_token" if isinstance(token, RefreshToken) else "access_token"
    )
    form = (("token", token.reveal()), ("token_type_hint", hint))
    return authenticated(metadata, "revocation_endpoint", form, client, now)


def process_revoked(response: Response, metadata: Metadata) -> None:
    """The response half (RFC 7009 s2.2): only the status counts."""
    if response.status == 200:
        return
    if response.status >= 500 or response.status == 429:
        raise unusable(metadata.issuer, f"status {response.status}")
    raise refusal(parse_json(response, metadata.issuer), metadata.issuer)
