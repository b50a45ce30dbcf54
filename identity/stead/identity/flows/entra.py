"""On behalf of a person at Microsoft Entra ID: the JWT bearer grant with `requested_token_use`, and its refusals.

Its answers have no `act`; the caller is `azp`. A refusal that only the person can mend carries `claims`, a challenge
that is relayed to whoever signed the person in.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from stead.identity.errors import (
    AccessDenied,
    ConsentRequired,
    IdentityError,
    InvalidGrant,
    InvalidScope,
    InvalidTarget,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.flows.client_assertion import ClientIdentity, token_request
from stead.identity.flows.discovery import Metadata
from stead.identity.flows.wire import TokenSet, parse_json, refusal, sentence, token_set, unusable
from stead.identity.types import Flow, Form, Json, Request, Response
from stead.identity.values import AccessToken, RefreshToken

GRANT_TYPE = "urn:ietf:params:oauth:grant-type:jwt-bearer"
SIGNING_IN = ("openid", "profile", "offline_access")
"""Asked for beside an API's scopes whenever a person's tokens are: who it is, and that they can be renewed."""
MAX_CLAIMS = 2048

_KINDS: Mapping[int, type[IdentityError]] = MappingProxyType(
    {
        65001: ConsentRequired,  # neither the person nor an administrator has consented
        65004: ConsentRequired,  # the person declined
        50076: StepUpRequired,  # a second factor is needed
        50079: StepUpRequired,  # a second factor has to be enrolled
        53003: StepUpRequired,  # conditional access
        50158: StepUpRequired,  # an external challenge
        50013: InvalidGrant,  # the assertion's signature or audience is wrong
        500133: InvalidGrant,  # the assertion has expired
        50173: InvalidGrant,  # the grant was revoked
        700082: InvalidGrant,  # the refresh token has expired
        50105: AccessDenied,  # the person is assigned no role there
        501051: AccessDenied,  # nor is the application
        70011: InvalidScope,
        500011: InvalidTarget,  # no such resource in the tenant
        90033: ProviderUnavailable,
    }
)
_SUBERRORS: Mapping[str, type[IdentityError]] = MappingProxyType(
    {"consent_required": ConsentRequired, "basic_action": StepUpRequired, "additional_action": StepUpRequired}
)


def on_behalf_of(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    assertion: AccessToken,
    audience: str,
    scopes: Sequence[str],
    now: float,
) -> Flow[TokenSet]:
    """The person's token for another API. `assertion` must have been issued for this client.

    Raises `ConsentRequired`, `StepUpRequired` (with `claims`, if the provider said which) or the `GrantRefused` family.
    """
    response = yield on_behalf_of_request(
        client, metadata, assertion=assertion, audience=audience, scopes=scopes, now=now
    )
    return process_answer(response, metadata, scopes=scopes, now=now)


def on_behalf_of_request(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    assertion: AccessToken,
    audience: str,
    scopes: Sequence[str],
    now: float,
) -> Request:
    """The request half."""
    form: Form = (
        ("grant_type", GRANT_TYPE),
        ("assertion", assertion.reveal()),
        ("requested_token_use", "on_behalf_of"),
        ("scope", " ".join(long_names(audience, scopes)) or f"{audience}/.default"),
    )
    return token_request(metadata, form, client, now)


def as_itself(client: ClientIdentity, metadata: Metadata, *, audience: str, now: float) -> Flow[TokenSet]:
    """The client's own token: all that an administrator granted it there, which is what `.default` means."""
    form: Form = (("grant_type", "client_credentials"), ("scope", f"{audience}/.default"))
    response = yield token_request(metadata, form, client, now)
    return process_answer(response, metadata, scopes=(), now=now)


def renew(
    client: ClientIdentity, metadata: Metadata, refresh_token: RefreshToken, *, scopes: Sequence[str], now: float
) -> Flow[TokenSet]:
    """New tokens, for the API whose scopes these are, under their long names: nothing else tells which.

    Keep the refresh token of the result, it may be another. Raises as `on_behalf_of` does.
    """
    form: Form = (
        ("grant_type", "refresh_token"),
        ("refresh_token", refresh_token.reveal()),
        ("scope", " ".join((*SIGNING_IN, *scopes))),
    )
    response = yield token_request(metadata, form, client, now)
    tokens = token_set(_successful(response, metadata.issuer), metadata.issuer, asked=scopes, now=now)
    return replace(tokens, scope=short_names(tokens.scope), refresh_token=tokens.refresh_token or refresh_token)


def process_answer(response: Response, metadata: Metadata, *, scopes: Sequence[str], now: float) -> TokenSet:
    """The response half. Scopes come back under their long names, so that the token itself is what tells."""
    tokens = token_set(_successful(response, metadata.issuer), metadata.issuer, asked=scopes, now=now)
    return TokenSet(tokens.access_token, tokens.expires_at, short_names(tokens.scope))


def _successful(response: Response, issuer: str) -> Json:
    if response.status == 200:
        return parse_json(response, issuer)
    if response.status >= 500 or response.status == 429:
        raise unusable(issuer, f"status {response.status}")
    raise refused(parse_json(response, issuer), issuer)


def refused(body: Json, issuer: str) -> IdentityError:
    """The error that the answer states, by its most exact word: the number, then `suberror`, then the OAuth code."""
    stated = refusal(body, issuer)
    kind = _kind(body) or type(stated)
    details = {**stated.details, **_claims(body)}
    return kind(_plain(stated.description, kind), hint=stated.hint, **details)


def _kind(body: Json) -> type[IdentityError] | None:
    numbers = body.get("error_codes")
    for number in numbers if isinstance(numbers, list) else ():
        if isinstance(number, int) and number in _KINDS:
            return _KINDS[number]
    return _SUBERRORS.get(str(body.get("suberror")))


def _claims(body: Json) -> dict[str, Any]:
    claims = sentence(body.get("claims")) if len(str(body.get("claims", ""))) <= MAX_CLAIMS else None
    return {} if claims is None else {"claims": claims}


def _plain(description: str, kind: type[IdentityError]) -> str:
    """The first line of what it says: trace id, correlation id and time are for its own support."""
    first = description.split(" Trace ID:", maxsplit=1)[0].split("\r\n", maxsplit=1)[0]
    return first or f"The provider refused: {kind.code}."


def long_names(audience: str, scopes: Iterable[str]) -> tuple[str, ...]:
    """The scopes with the API whose they are."""
    return tuple(scope if "/" in scope else f"{audience}/{scope}" for scope in sorted(set(scopes)))


def short_names(scopes: Iterable[str]) -> frozenset[str]:
    """The scopes without it."""
    return frozenset(scope.rpartition("/")[2] for scope in scopes)
