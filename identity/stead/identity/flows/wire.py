"""What all flows say and hear alike: bounded JSON, token answers (RFC 6749 s5.1) and errors (RFC 6749 s5.2).

Knows no grant; nothing that comes out of here is unvalidated.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import SplitResult, urlsplit

from joserfc.jwk import ECKey

from stead.identity.errors import (
    AccessDenied,
    ConsentRequired,
    GrantRefused,
    IdentityError,
    InvalidGrant,
    InvalidRequest,
    InvalidScope,
    InvalidTarget,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.strict_json import parse_object
from stead.identity.types import Form, Json, Response
from stead.identity.values import AccessToken, BoundToken, RefreshToken

ACCESS_TOKEN_TYPE = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  a name, not a secret
MAX_BODY = 262_144
MAX_TOKEN = 16_384
MAX_SENTENCE = 400
DEFAULT_LIFETIME = 60
"""Seconds a token is trusted to live when its issuer does not say (`expires_in` is only recommended)."""


class Refusal(Protocol):
    """How an error class is made."""

    def __call__(self, description: str, *, hint: str | None = None, **details: Any) -> IdentityError: ...


REFUSALS: Mapping[str, Refusal] = {
    "invalid_scope": InvalidScope,
    "invalid_target": InvalidTarget,
    "invalid_grant": InvalidGrant,
    "access_denied": AccessDenied,
    "consent_required": ConsentRequired,
    "login_required": StepUpRequired,
    "interaction_required": StepUpRequired,
    "insufficient_user_authentication": StepUpRequired,
    "mfa_required": StepUpRequired,
    "unmet_authentication_requirements": StepUpRequired,
    "server_error": ProviderUnavailable,
    "temporarily_unavailable": ProviderUnavailable,
    "slow_down": ProviderUnavailable,
}


@dataclass(frozen=True, slots=True)
class TokenSet:
    """A validated token answer (RFC 6749 s5.1). `scope` is what was granted, `id_token` verified claims."""

    access_token: AccessToken
    expires_at: float
    scope: frozenset[str]
    refresh_token: RefreshToken | None = None
    id_token: Mapping[str, Any] | None = field(default=None, repr=False)
    authorization_details: tuple[Json, ...] | None = field(default=None, repr=False)
    issued_token_type: str | None = None


def host(url: str) -> str:
    """The host and port of a URL: what a person is shown of a provider."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        return "an address that is none"


def origin(url: str) -> tuple[str, str, int | None]:
    """Scheme, host and port of a URL (RFC 6454). Raises `InvalidRequest` for one that has none, or carries userinfo."""
    try:
        parts = urlsplit(url)
        port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    except ValueError:
        raise InvalidRequest("This is not a URL.") from None
    if not _plain(parts):
        raise InvalidRequest("This is not an http or https URL without user name.")
    return parts.scheme, str(parts.hostname), port


def _plain(parts: SplitResult) -> bool:
    return parts.scheme in ("http", "https") and bool(parts.hostname) and "@" not in parts.netloc


def parse_json(response: Response, sender: str) -> Json:
    """The JSON object of a reply. Raises `ProviderUnavailable` for anything else."""
    media = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json" and not media.endswith("+json"):
        raise unusable(sender, f"status {response.status}, content type {media!r}")
    try:
        return parse_object(response.body, max_bytes=MAX_BODY)
    except InvalidRequest as malformed:
        raise unusable(sender, malformed.description) from None


def unusable(sender: str, debug: str) -> ProviderUnavailable:
    """The error for a reply that nobody can use."""
    return ProviderUnavailable(
        f"{host(sender)} gave no usable answer.", hint="Try again in a moment.", debug=f"{sender}: {debug}"
    )


def successful(response: Response, sender: str, statuses: Sequence[int] = (200,)) -> Json:
    """The JSON object of a success. Raises the error that the reply states otherwise (RFC 6749 s5.2)."""
    if response.status in statuses:
        return parse_json(response, sender)
    if response.status >= 500 or response.status == 429:
        raise unusable(sender, f"status {response.status}")
    raise refusal(parse_json(response, sender), sender)


def refusal(body: Mapping[str, Any], sender: str) -> IdentityError:
    """The error an authorization server states, as our own. Its words are kept only where they can be shown."""
    code = body.get("error")
    if not isinstance(code, str) or not 0 < len(code) <= 64 or not code.isprintable():
        return unusable(sender, "an error without a code")
    description = sentence(body.get("error_description")) or f"{host(sender)} refused: {code}."
    make: Refusal = REFUSALS.get(code, GrantRefused)
    return make(description, hint=sentence(body.get("hint")), error=code, issuer=sender)


def sentence(text: object) -> str | None:
    """Another party's words, if they are fit to be shown: bounded, printable and without anything like a token."""
    if not isinstance(text, str) or not text.isprintable() or not 0 < len(text) <= MAX_SENTENCE:
        return None
    return None if "eyJ" in text else text


def token_set(body: Json, sender: str, *, asked: Iterable[str], now: float, proof_key: ECKey | None = None) -> TokenSet:
    """A token answer (RFC 6749 s5.1); `asked` is the scope when it states none. Raises `ProviderUnavailable`.

    `proof_key` is the key that the request proved to have: the token is bound to it if the answer says so, and by an
    issuer that does not know DPoP it is a bearer token (RFC 9449 s5).
    """
    kind = str(body.get("token_type", "")).lower()
    if kind != "bearer" and not (kind == "dpop" and proof_key is not None):
        raise unusable(sender, "the token type is not one that was asked for")
    text = _token(body.get("access_token"), sender)
    refresh = body.get("refresh_token")
    return TokenSet(
        access_token=BoundToken(text, proof_key) if kind == "dpop" and proof_key else AccessToken(text),
        expires_at=now + _lifetime(body.get("expires_in", DEFAULT_LIFETIME), sender),
        scope=_scope(body.get("scope"), asked, sender),
        refresh_token=None if refresh is None else RefreshToken(_token(refresh, sender)),
        authorization_details=_details(body.get("authorization_details"), sender),
        issued_token_type=sentence(body.get("issued_token_type")),
    )


def require_scope(tokens: TokenSet, scopes: Iterable[str], sender: str) -> TokenSet:
    """The tokens, if they carry all of `scopes`. Raises `InvalidScope`: a hop with less would only fail further on."""
    missing = sorted(set(scopes) - tokens.scope)
    if missing:
        raise InvalidScope(f"{host(sender)} did not grant {' '.join(missing)}.", error="invalid_scope", issuer=sender)
    return tokens


def _token(value: object, sender: str) -> str:
    # RFC 6749 appendix A.12: visible ASCII.
    if isinstance(value, str) and 0 < len(value) <= MAX_TOKEN and all("!" <= letter <= "~" for letter in value):
        return value
    raise unusable(sender, "a token is missing or malformed")


def _lifetime(value: object, sender: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**31:
        return value
    raise unusable(sender, "expires_in is not a positive number")


def _scope(value: object, asked: Iterable[str], sender: str) -> frozenset[str]:
    if value is None:
        return frozenset(asked)
    if isinstance(value, str):
        return frozenset(value.split())
    raise unusable(sender, "scope is not a string")


def _details(value: object, sender: str) -> tuple[Json, ...] | None:
    """RFC 9396 s7: a list of objects, each with a type."""
    if value is None:
        return None
    if isinstance(value, list) and all(isinstance(one, dict) and isinstance(one.get("type"), str) for one in value):
        return tuple(value)
    raise unusable(sender, "authorization_details is not a list of typed objects")


TargetBy = Literal["resource", "audience", "scope"]
"""Which parameter names the target of a token: RFC 8707's, RFC 8693's, or none, where the scope itself tells."""


def target_parameter(audience: str, target_by: TargetBy) -> Form:
    """The parameter that names the target."""
    return () if target_by == "scope" else ((target_by, audience),)


def scope_parameter(scopes: Iterable[str]) -> Form:
    """The `scope` parameter, or nothing when no scope is asked for."""
    text = " ".join(sorted(set(scopes)))
    return (("scope", text),) if text else ()
