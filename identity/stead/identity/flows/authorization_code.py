"""A person signs in, or approves: authorization code with PKCE (RFC 6749 s4.1, RFC 7636, OpenID Connect Core s3.1).

The caller keeps the `AuthorizationRequest` between redirect and callback, bound to the browser that started it.
"""

import json
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from hmac import compare_digest
from typing import Any
from urllib.parse import urlencode, urlsplit

from joserfc.util import urlsafe_b64encode

from stead.identity.clock import SKEW
from stead.identity.errors import InvalidGrant, InvalidRequest, InvalidToken
from stead.identity.flows.client_assertion import ClientIdentity, token_request
from stead.identity.flows.discovery import Metadata, fetch_keys
from stead.identity.flows.wire import TokenSet, host, refusal, scope_parameter, successful, token_set, unusable
from stead.identity.jwks import Keys, load_keys
from stead.identity.types import Flow, Form, Json, Request
from stead.identity.values import Secret
from stead.identity.verification import TokenPolicy, verify

Entropy = Callable[[int], str]

ID_TOKEN_LIFETIME = 86_400
"""Seconds. Providers let ID tokens live long; it counts only that this one was made for this request."""


class AuthorizationCode(Secret):
    """An authorization code (RFC 6749 s1.3.1)."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """An authorization that was begun: send the browser to `url`, keep this, and check the callback against it."""

    url: str
    issuer: str
    client_id: str
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_verifier: Secret
    resources: tuple[str, ...] = ()
    authorization_details: tuple[Json, ...] = field(default=(), repr=False)
    max_age: int | None = None
    acr_values: tuple[str, ...] = ()
    states_issuer: bool = False

    def to_json(self) -> Json:
        """For a store that only its owner reads, since the code verifier is in it."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "code_verifier": self.code_verifier.reveal()}

    @classmethod
    def from_json(cls, stored: Json) -> "AuthorizationRequest":
        """What `to_json` gave. Raises `InvalidRequest` if it is not that."""
        try:
            lists = {name: tuple(stored[name]) for name in _LISTS}
            return cls(**{**stored, **lists, "code_verifier": Secret(stored["code_verifier"])})
        except (KeyError, TypeError):
            raise InvalidRequest("This is no stored authorization request.") from None


_LISTS = ("scopes", "resources", "authorization_details", "acr_values")


def code_challenge(code_verifier: str) -> str:
    """The S256 challenge of a verifier (RFC 7636 s4.2)."""
    return urlsafe_b64encode(sha256(code_verifier.encode()).digest()).decode()


def begin(
    client: ClientIdentity,
    metadata: Metadata,
    *,
    redirect_uri: str,
    scopes: Sequence[str],
    resources: Sequence[str] = (),
    authorization_details: Sequence[Json] = (),
    max_age: int | None = None,
    acr_values: Sequence[str] = (),
    extra: Mapping[str, str] | None = None,
    entropy: Entropy = secrets.token_urlsafe,
) -> AuthorizationRequest:
    """A new authorization request (RFC 6749 s4.1.1), with state, nonce and PKCE of its own.

    `resources` are where the tokens shall be good (RFC 8707), `authorization_details` what is to be approved
    (RFC 9396). Of `max_age` and `acr_values` the ID token has to show that they were met: they are a wish to the
    provider (RFC 9470 s5). `extra` carries `prompt`, `login_hint` and the like.
    """
    pending = AuthorizationRequest(
        url=metadata.endpoint("authorization_endpoint"),
        issuer=metadata.issuer,
        client_id=client.client_id,
        redirect_uri=redirect_uri,
        scopes=tuple(scopes),
        state=entropy(24),
        nonce=entropy(24),
        code_verifier=Secret(entropy(48)),
        resources=tuple(resources),
        authorization_details=tuple(authorization_details),
        max_age=max_age,
        acr_values=tuple(acr_values),
        states_issuer=metadata.states_issuer,
    )
    return replace(pending, url=with_query(pending.url, (*_parameters(pending), *(extra or {}).items())))


def with_query(url: str, form: Form) -> str:
    """The URL with parameters added; RFC 6749 s3.1: those it already has stay."""
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(form)}"


def _parameters(pending: AuthorizationRequest) -> Form:
    form = [
        ("response_type", "code"),
        ("client_id", pending.client_id),
        ("redirect_uri", pending.redirect_uri),
        ("scope", " ".join(pending.scopes)),
        ("state", pending.state),
        ("nonce", pending.nonce),
        ("code_challenge", code_challenge(pending.code_verifier.reveal())),
        ("code_challenge_method", "S256"),
        *(("resource", resource) for resource in pending.resources),
    ]
    if pending.authorization_details:
        form.append(("authorization_details", json.dumps(pending.authorization_details)))
    if pending.max_age is not None:
        form.append(("max_age", str(pending.max_age)))
    if pending.acr_values:
        form.append(("acr_values", " ".join(pending.acr_values)))
    return tuple(form)


def validate_callback(
    pending: AuthorizationRequest, parameters: Mapping[str, str] | Iterable[tuple[str, str]]
) -> AuthorizationCode:
    """The code of a callback that answers `pending`. `state` first, then `iss`, then the error, then the code.

    Pass the query's pairs, so that a repeated parameter shows. Raises `InvalidRequest` for a callback that is
    somebody else's (RFC 9700 s4.7, RFC 9207 s2.4), `AccessDenied` when the person declined, else the stated error.
    """
    answer = _single(parameters.items() if isinstance(parameters, Mapping) else parameters)
    if not compare_digest(answer.get("state", "").encode(), pending.state.encode()):
        raise InvalidRequest("This callback answers no request of this browser.", hint="Start again.")
    _check_issuer(pending, answer.get("iss"))
    if "error" in answer:
        raise refusal(answer, pending.issuer)
    code = answer.get("code", "")
    if not 0 < len(code) <= 2048:
        raise InvalidRequest("The callback carries no code.", hint="Start again.")
    return AuthorizationCode(code)


def _single(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    # RFC 6749 s3.1: parameters must not be included more than once.
    answer: dict[str, str] = {}
    for name, value in pairs:
        if name in answer:
            raise InvalidRequest("The callback repeats a parameter.", hint="Start again.")
        answer[name] = value
    return answer


def _check_issuer(pending: AuthorizationRequest, issuer: str | None) -> None:
    if issuer is None and pending.states_issuer:
        raise InvalidRequest(f"The callback does not say that it comes from {host(pending.issuer)}.")
    if issuer is not None and issuer != pending.issuer:
        raise InvalidRequest("The callback comes from another issuer than the one that was asked.")


def redeem(
    client: ClientIdentity,
    metadata: Metadata,
    pending: AuthorizationRequest,
    code: AuthorizationCode,
    *,
    now: float,
    resource: str | None = None,
    scopes: Sequence[str] = (),
    algorithms: Sequence[str] = ("ES256",),
) -> Flow[TokenSet]:
    """Tokens for the code, the ID token verified (OpenID Connect Core s3.1.3.7) whenever `openid` was asked.

    `resource` picks one of the request's resources; without it the first. `scopes` are for providers at which they are
    what picks it. Raises the `GrantRefused` family, and `InvalidToken` for an ID token that is false.
    """
    response = yield redeem_request(client, metadata, pending, code, now=now, resource=resource, scopes=scopes)
    body = successful(response, metadata.issuer)
    tokens = token_set(body, metadata.issuer, asked=pending.scopes, now=now, proof_key=client.proof_key)
    if "openid" not in pending.scopes:
        return tokens
    keys = yield from fetch_keys(metadata)
    return replace(tokens, id_token=verify_id_token(body.get("id_token"), keys, pending, now, algorithms))


def redeem_request(
    client: ClientIdentity,
    metadata: Metadata,
    pending: AuthorizationRequest,
    code: AuthorizationCode,
    *,
    now: float,
    resource: str | None = None,
    scopes: Sequence[str] = (),
) -> Request:
    """The request half (RFC 6749 s4.1.3, RFC 7636 s4.5, RFC 8707 s2.2). Never to another issuer than was asked."""
    if metadata.issuer != pending.issuer or client.client_id != pending.client_id:
        raise InvalidGrant("The code belongs to another issuer or client.")
    chosen = resource or next(iter(pending.resources), None)
    form: Form = (
        ("grant_type", "authorization_code"),
        ("code", code.reveal()),
        ("redirect_uri", pending.redirect_uri),
        ("code_verifier", pending.code_verifier.reveal()),
        *((("resource", chosen),) if chosen else ()),
        *scope_parameter(scopes),
    )
    return token_request(metadata, form, client, now)


def verify_id_token(
    token: object, keys: Json, pending: AuthorizationRequest, now: float, algorithms: Sequence[str]
) -> Mapping[str, Any]:
    """The claims of the ID token that answers `pending`. Raises `InvalidToken`, `ProviderUnavailable` without one."""
    if not isinstance(token, str):
        raise unusable(pending.issuer, "no ID token")
    claims = verify(token, _published(keys), _id_token_policy(pending, algorithms), now)
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not compare_digest(nonce.encode(), pending.nonce.encode()):
        raise InvalidToken("The ID token answers another request.")
    if claims.get("azp", pending.client_id) != pending.client_id:
        raise InvalidToken("The ID token was issued to another client.")
    _check_age(claims, pending, now)
    if pending.acr_values and claims.get("acr") not in pending.acr_values:
        raise InvalidToken("The sign-in is not as strong as was asked for.", hint="Sign in with what it takes.")
    return claims


def _published(keys: Json) -> Keys:
    """The public keys of the set: a secret that anybody can fetch is none, whatever algorithms are accepted."""
    try:
        return load_keys(keys)
    except InvalidRequest as malformed:
        raise InvalidToken("The issuer's keys are not usable.", debug=malformed.description) from None


def _id_token_policy(pending: AuthorizationRequest, algorithms: Sequence[str]) -> TokenPolicy:
    return TokenPolicy(
        pending.issuer,
        pending.client_id,
        tuple(algorithms),
        typ="JWT",
        max_lifetime=ID_TOKEN_LIFETIME,
        required=("sub",),
        audience_list=True,
        tolerated_headers=frozenset({"x5t"}),
    )


def _check_age(claims: Mapping[str, Any], pending: AuthorizationRequest, now: float) -> None:
    if pending.max_age is None:
        return
    signed_in = claims.get("auth_time")
    if not isinstance(signed_in, int) or signed_in + pending.max_age + SKEW < now:
        raise InvalidToken("The login is older than was asked for.")
