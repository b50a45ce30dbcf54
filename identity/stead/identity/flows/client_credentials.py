"""A workload as itself, for no person: the client credentials grant (RFC 6749 s4.4)."""

from collections.abc import Sequence

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
from stead.identity.types import Flow, Request, Response


def s2s(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    audience: str,
    scopes: Sequence[str],
    now: float,
    target_by: TargetBy = "resource",
) -> Flow[TokenSet]:
    """A token of the client's own for `audience`. Raises the `GrantRefused` family."""
    response = yield s2s_request(client, metadata, audience=audience, scopes=scopes, now=now, target_by=target_by)
    return process_s2s(response, metadata, scopes=scopes, now=now, proof_key=client.proof_key)


def s2s_request(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    audience: str,
    scopes: Sequence[str],
    now: float,
    target_by: TargetBy = "resource",
) -> Request:
    """The request half: RFC 6749 s4.4.2 with a resource indicator (RFC 8707 s2.2)."""
    form = (("grant_type", "client_credentials"), *target_parameter(audience, target_by), *scope_parameter(scopes))
    return token_request(metadata, form, client, now)


def process_s2s(
    response: Response, metadata: Metadata, *, scopes: Sequence[str], now: float, proof_key: ECKey | None = None
) -> TokenSet:
    """The response half (RFC 6749 s4.4.3). A refresh token has no business here and is dropped."""
    body = successful(response, metadata.issuer)
    tokens = token_set(body, metadata.issuer, asked=scopes, now=now, proof_key=proof_key)
    require_scope(tokens, scopes, metadata.issuer)
    return TokenSet(tokens.access_token, tokens.expires_at, tokens.scope)
