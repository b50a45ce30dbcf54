"""A client makes itself known to an issuer (RFC 7591)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import successful, unusable
from stead.identity.types import Flow, Json, Request, Response
from stead.identity.values import AccessToken, Secret


@dataclass(frozen=True, slots=True)
class Registration:
    """What the issuer registered (RFC 7591 s3.2.1); `metadata` is without the secret."""

    client_id: str
    client_secret: Secret | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict, repr=False)


def register(
    metadata: Metadata, client_metadata: Json, initial_access_token: AccessToken | None = None
) -> Flow[Registration]:
    """Registers a client. Raises the `GrantRefused` family."""
    response = yield register_request(metadata, client_metadata, initial_access_token)
    return process_registered(response, metadata)


def register_request(metadata: Metadata, client_metadata: Json, token: AccessToken | None = None) -> Request:
    """The request half (RFC 7591 s3.1)."""
    headers = {"accept": "application/json"}
    if token is not None:
        headers["authorization"] = f"Bearer {token.reveal()}"
    return Request("POST", metadata.endpoint("registration_endpoint"), headers, json=client_metadata)


def process_registered(response: Response, metadata: Metadata) -> Registration:
    """The response half (RFC 7591 s3.2.1)."""
    body = successful(response, metadata.issuer, statuses=(201, 200))
    client_id, secret = body.get("client_id"), body.pop("client_secret", None)
    if not isinstance(client_id, str) or not client_id or not isinstance(secret, str | None):
        raise unusable(metadata.issuer, "no client_id")
    return Registration(client_id, None if secret is None else Secret(secret), body)
