"""Into another domain in a person's stead: a grant from one's own provider, spent at the server over there (ID-JAG).

draft-ietf-oauth-identity-assertion-authz-grant. The draft's leg 1 starts from an ID or refresh token, which only the
client of the sign-in has. A workload further on has the access token it was called with, and starts from that, which is
identity chaining (draft-ietf-oauth-identity-chaining): no service is ever handed another client's ID token.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from stead.identity.errors import IdentityError, StepUpRequired
from stead.identity.flows.client_assertion import ClientIdentity, token_request
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.token_exchange import GRANT_TYPE as EXCHANGE
from stead.identity.flows.wire import (
    ACCESS_TOKEN_TYPE,
    MAX_TOKEN,
    TokenSet,
    parse_json,
    refusal,
    require_scope,
    scope_parameter,
    successful,
    token_set,
    unusable,
)
from stead.identity.step_up import StepUp
from stead.identity.types import Flow, Form, Json, Request, Response
from stead.identity.values import Secret

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
ID_JAG = "urn:ietf:params:oauth:token-type:id-jag"
PROFILE = "urn:ietf:params:oauth:grant-profile:id-jag"

Subject = Literal["access_token", "id_token", "refresh_token"]
SUBJECT_TYPES: Mapping[Subject, str] = MappingProxyType(
    {
        "access_token": ACCESS_TOKEN_TYPE,
        "id_token": "urn:ietf:params:oauth:token-type:id_token",
        "refresh_token": "urn:ietf:params:oauth:token-type:refresh_token",
    }
)


@dataclass(frozen=True, slots=True)
class Domain:
    """The other side: its authorization server, and who we are there."""

    client: ClientIdentity
    metadata: Metadata


def across(
    home: Domain,
    there: Domain,
    *,
    subject_token: Secret,
    audience: str,
    scopes: Sequence[str],
    now: float,
    subject: Subject = "access_token",
) -> Flow[TokenSet]:
    """The person's token for `audience` in the other domain, by both legs.

    Raises `StepUpRequired` (with `acr_values` and `max_age`, if stated), `ConsentRequired` or the `GrantRefused`
    family, as either server states it; each error names the server that refused, in `details`.
    """
    asking = grant_request(
        home, there, subject_token=subject_token, subject=subject, audience=audience, scopes=scopes, now=now
    )
    response = yield asking
    grant = process_grant(response, home.metadata)
    response = yield spend_request(there, grant, audience=audience, scopes=scopes, now=now)
    return process_spent(response, there, scopes=scopes, now=now)


def grant_request(
    home: Domain,
    there: Domain,
    *,
    subject_token: Secret,
    subject: Subject,
    audience: str,
    scopes: Sequence[str],
    now: float,
) -> Request:
    """Leg 1, the request: `audience` is the server that the grant is for, `resource` the service behind it."""
    form: Form = (
        ("grant_type", EXCHANGE),
        ("requested_token_type", ID_JAG),
        ("audience", there.metadata.issuer),
        ("resource", audience),
        ("subject_token", subject_token.reveal()),
        ("subject_token_type", SUBJECT_TYPES[subject]),
        *scope_parameter(scopes),
    )
    return token_request(home.metadata, form, home.client, now)


def process_grant(response: Response, metadata: Metadata) -> Secret:
    """Leg 1, the response. The grant is no access token, and says so (`N_A`): one that is would be good elsewhere."""
    issuer = metadata.issuer
    if response.status in (400, 401, 403):
        raise _refused(parse_json(response, issuer), issuer)
    body = successful(response, issuer)
    if body.get("issued_token_type") != ID_JAG:
        raise unusable(issuer, "the issued token is not an identity assertion grant")
    if str(body.get("token_type", "")).upper() != "N_A":
        raise unusable(issuer, "the grant is said to be an access token")
    return _grant(body.get("access_token"), issuer)


def spend_request(there: Domain, grant: Secret, *, audience: str, scopes: Sequence[str], now: float) -> Request:
    """Leg 2, the request (RFC 7523 s2.1), in the name that the other server knows us by."""
    form: Form = (
        ("grant_type", GRANT_TYPE),
        ("assertion", grant.reveal()),
        ("resource", audience),
        *scope_parameter(scopes),
    )
    return token_request(there.metadata, form, there.client, now)


def process_spent(response: Response, there: Domain, *, scopes: Sequence[str], now: float) -> TokenSet:
    """Leg 2, the response: an access token of the other domain. A refresh token is dropped: the grant is asked anew."""
    issuer = there.metadata.issuer
    if response.status in (400, 401, 403):
        raise _refused(parse_json(response, issuer), issuer)
    body = successful(response, issuer)
    tokens = token_set(body, issuer, asked=scopes, now=now, proof_key=there.client.proof_key)
    require_scope(tokens, scopes, issuer)
    return TokenSet(tokens.access_token, tokens.expires_at, tokens.scope)


def _refused(body: Json, issuer: str) -> IdentityError:
    """What it states; for a stronger login also which one (the draft's s4.3.3, RFC 9470 s3)."""
    stated = refusal(body, issuer)
    if not isinstance(stated, StepUpRequired):
        return stated
    return StepUpRequired(
        stated.description, hint=stated.hint, **{**stated.details, **StepUp.from_json(body).as_json()}
    )


def _grant(value: object, issuer: str) -> Secret:
    if isinstance(value, str) and 0 < len(value) <= MAX_TOKEN and all("!" <= letter <= "~" for letter in value):
        return Secret(value)
    raise unusable(issuer, "the grant is missing or malformed")
