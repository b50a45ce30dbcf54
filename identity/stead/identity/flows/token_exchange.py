"""A workload on behalf of whoever called it: token exchange (RFC 8693)."""

from collections.abc import Sequence

from joserfc.jwk import ECKey

from stead.identity.flows.client_assertion import ClientIdentity, token_request
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.exchange_refusals import exchanged
from stead.identity.flows.wire import (
    ACCESS_TOKEN_TYPE,
    TargetBy,
    TokenSet,
    require_scope,
    scope_parameter,
    target_parameter,
    token_set,
    unusable,
)
from stead.identity.types import Flow, Form, Request, Response
from stead.identity.values import AccessToken

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:token-exchange"


def obo(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    subject_token: AccessToken,
    audience: str,
    scopes: Sequence[str],
    now: float,
    txn: str | None = None,
    target_by: TargetBy = "resource",
) -> Flow[TokenSet]:
    """A token of the subject for `audience`, with this client as its actor. Raises the `GrantRefused` family.

    `txn` ties the token to one task; an issuer copies it, and never changes one that is there.
    """
    response = yield obo_request(
        client,
        metadata,
        subject_token=subject_token,
        audience=audience,
        scopes=scopes,
        now=now,
        txn=txn,
        target_by=target_by,
    )
    return process_obo(response, metadata, scopes=scopes, now=now, proof_key=client.proof_key)


def obo_request(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    subject_token: AccessToken,
    audience: str,
    scopes: Sequence[str],
    now: float,
    txn: str | None = None,
    target_by: TargetBy = "resource",
) -> Request:
    """The request half (RFC 8693 s2.1). The authenticated client is the actor, so no actor token is sent."""
    form: Form = (
        ("grant_type", GRANT_TYPE),
        ("subject_token", subject_token.reveal()),
        ("subject_token_type", ACCESS_TOKEN_TYPE),
        ("requested_token_type", ACCESS_TOKEN_TYPE),
        *target_parameter(audience, target_by),
        *scope_parameter(scopes),
        *((("txn", txn),) if txn is not None else ()),
    )
    return token_request(metadata, form, client, now)


def process_obo(
    response: Response, metadata: Metadata, *, scopes: Sequence[str], now: float, proof_key: ECKey | None = None
) -> TokenSet:
    """The response half (RFC 8693 s2.2). Only an access token will do; a refresh token is dropped."""
    body = exchanged(response, metadata.issuer)
    if body.get("issued_token_type") != ACCESS_TOKEN_TYPE:
        raise unusable(metadata.issuer, "the issued token is not an access token")
    tokens = token_set(body, metadata.issuer, asked=scopes, now=now, proof_key=proof_key)
    require_scope(tokens, scopes, metadata.issuer)
    return TokenSet(tokens.access_token, tokens.expires_at, tokens.scope, issued_token_type=ACCESS_TOKEN_TYPE)
