"""A fresh access token from a refresh token (RFC 6749 s6), for one resource at a time (RFC 8707 s2.2)."""

from collections.abc import Sequence
from dataclasses import replace

from joserfc.jwk import ECKey

from stead.identity.flows.client_assertion import ClientIdentity, token_request
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import (
    TargetBy,
    TokenSet,
    require_scope,
    scope_parameter,
    successful,
    target_parameter,
    token_set,
)
from stead.identity.types import Flow, Form, Request, Response
from stead.identity.values import RefreshToken


def renew(
    client: ClientIdentity,
    metadata: Metadata,
    refresh_token: RefreshToken,
    *,
    now: float,
    resource: str | None = None,
    scopes: Sequence[str] = (),
    target_by: TargetBy = "resource",
) -> Flow[TokenSet]:
    """New tokens; keep the refresh token of the result, it may be another. Raises the `GrantRefused` family."""
    response = yield renew_request(
        client, metadata, refresh_token, now=now, resource=resource, scopes=scopes, target_by=target_by
    )
    return process_renewed(response, metadata, refresh_token, now=now, scopes=scopes, proof_key=client.proof_key)


def renew_request(
    client: ClientIdentity,
    metadata: Metadata,
    refresh_token: RefreshToken,
    *,
    now: float,
    resource: str | None = None,
    scopes: Sequence[str] = (),
    target_by: TargetBy = "resource",
) -> Request:
    """The request half (RFC 6749 s6)."""
    form: Form = (
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.reveal()),
        *(target_parameter(resource, target_by) if resource else ()),
        *scope_parameter(scopes),
    )
    return token_request(metadata, form, client, now)


def process_renewed(
    response: Response,
    metadata: Metadata,
    refresh_token: RefreshToken,
    *,
    now: float,
    scopes: Sequence[str] = (),
    proof_key: ECKey | None = None,
) -> TokenSet:
    """The response half. Without a new refresh token the old one stays good (RFC 6749 s6)."""
    body = successful(response, metadata.issuer)
    tokens = token_set(body, metadata.issuer, asked=scopes, now=now, proof_key=proof_key)
    require_scope(tokens, scopes, metadata.issuer)
    return replace(tokens, refresh_token=tokens.refresh_token or refresh_token)
