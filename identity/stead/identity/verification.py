"""Whether a signed token is what it claims to be: one strict function in front of joserfc (RFC 7519, 8725, 9068).

Knows no network, no cache and no configuration beyond the policy it is handed. joserfc checks the signature; what it
lets through (repeated members, other encodings, odd numbers, deep nesting) is refused here first. What is law, and what
a policy may loosen, is told by the policies.
"""

import base64
import binascii
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from joserfc import jws
from joserfc.jwk import Key

from stead.identity.clock import SKEW
from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidRequest, InvalidToken
from stead.identity.jwks import SYMMETRIC, algorithms_of, load_keys
from stead.identity.strict_json import parse_object
from stead.identity.values import Actor

MAX_TOKEN = 8192
MAX_HEADER = 512
MAX_DEPTH = 16
MAX_NAME = 255
MAX_SCOPE = 4096
LATEST = 253402300799
"""The last second of the year 9999: no token says anything later."""

_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_HEADERS = frozenset({"alg", "typ", "kid"})
_SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_GET_ANOTHER = "Get a fresh token and try again."


class KeySource(Protocol):
    """What `load_keys` returns: keys by `kid`."""

    def get(self, kid: str, /) -> Key | None: ...


@dataclass(frozen=True, slots=True)
class SignaturePolicy:
    """Which signatures are accepted, whatever it is that was signed.

    `unnamed` admits what the RFCs admit and issuers have no need of: a token that names no key, if exactly one fits,
    and keys without `kid` or `use`. An algorithm of the HS family lets `keys` hold shared secrets. Everything else is
    law: compact form, one spelling, a closed header without `crit`, the key's own algorithm, type and strength.
    """

    algorithms: tuple[str, ...] = ("ES256",)
    unnamed: bool = False
    tolerated_headers: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class TokenPolicy:
    """What a token must be. `typ` "JWT" also admits a token that names no type, as ID tokens do (RFC 7519 s5.1).

    `tolerated_headers` are header members that a foreign issuer adds and that are ignored (`x5t`); `audience_list`
    admits an `aud` that holds others beside the audience, as RFC 7519 does and our own profile does not. `bound` admits
    a token that is bound to a key, for a caller who then asks for proof: a bound token alone is a stolen one.
    `claims` must each have one of the values: they tell an issuer's access tokens from its others, and its tenants
    apart. For `algorithms` and `unnamed` see `SignaturePolicy`.
    """

    issuer: str
    audience: str
    algorithms: tuple[str, ...] = ("ES256",)
    typ: str = "at+jwt"
    max_lifetime: float = 3600
    leeway: float = SKEW
    required: tuple[str, ...] = ("sub", "client_id", "jti")
    audience_list: bool = False
    bound: bool = False
    claims: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    tolerated_headers: frozenset[str] = frozenset()
    unnamed: bool = False


@dataclass(frozen=True, slots=True)
class Unverified:
    """A token taken apart, of which nothing is known to be true yet."""

    text: str = field(repr=False)
    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)

    @property
    def issuer(self) -> object:
        """Whom the token says it is from: good for choosing among configured issuers, and for nothing else."""
        return self.claims.get("iss")

    @property
    def kid(self) -> str:
        """The key it says it is signed with."""
        return str(self.header["kid"])


def verify(token: str, keys: KeySource | Mapping[str, Any], policy: TokenPolicy, now: float) -> Mapping[str, Any]:
    """The claims of `token`, true under `policy` at `now`. `keys` is a JWK set, loaded or not.

    Raises `InvalidToken`, whatever the token; nothing else.
    """
    return check(decode(token, unnamed=policy.unnamed), keys, policy, now)


def verify_signature(token: str, keys: KeySource | Mapping[str, Any], policy: SignaturePolicy) -> bytes:
    """The payload of a signed token, of which nothing is known but who signed it. A service calls `verify`.

    `token` is a compact JWS (RFC 7515 s3.1), `keys` a JWK set, loaded or not. Raises `InvalidToken` and nothing else.
    """
    segments = _split(token)
    header = _header(segments[1], policy.unnamed)
    _check_members(header, policy)
    try:
        payload = base64url(segments[2])
    except binascii.Error:
        raise InvalidToken("The token's payload is malformed.") from None
    _check_signature(token, header, keys, policy)
    return payload


def decode(token: str, *, unnamed: bool = False) -> Unverified:
    """Takes a token apart (RFC 7515 s3.1) without believing it. Raises `InvalidToken` where it cannot be one."""
    segments = _split(token)
    return Unverified(token, _header(segments[1], unnamed), _parse(segments[2], MAX_TOKEN, "payload"))


def check(token: Unverified, keys: KeySource | Mapping[str, Any], policy: TokenPolicy, now: float) -> Mapping[str, Any]:
    """The second half of `verify`, for a caller who had to know the issuer first. Raises `InvalidToken`."""
    _check_members(token.header, policy)
    _check_type(token.header, policy)
    if token.issuer != policy.issuer:
        raise InvalidToken("The token comes from another issuer.", hint=f"{policy.issuer} is trusted here.")
    _check_signature(token.text, token.header, keys, policy)
    _check_audience(token.claims, policy)
    _check_times(token.claims, policy, now)
    _check_names(token.claims, policy)
    _check_required(token.claims, policy)
    _check_confirmation(token.claims, policy)
    return token.claims


def _split(token: str) -> re.Match[str]:
    if not isinstance(token, str) or len(token) > MAX_TOKEN:
        raise InvalidToken(f"The token is longer than {MAX_TOKEN} characters.")
    segments = _COMPACT.fullmatch(token)
    if segments is None:
        raise InvalidToken("The token is not a signed JWT.", hint="Send the access token as it was issued.")
    return segments


def _header(segment: str, unnamed: bool) -> Mapping[str, Any]:
    header = _parse(segment, MAX_HEADER, "header")
    if not _is_name(header.get("kid")) and not (unnamed and "kid" not in header):
        raise InvalidToken("The token does not name its key.")
    return header


def _parse(segment: str, limit: int, part: str) -> Mapping[str, Any]:
    try:
        return parse_object(base64url(segment), max_bytes=limit, max_depth=MAX_DEPTH)
    except (InvalidRequest, binascii.Error):
        raise InvalidToken(f"The token's {part} is malformed.") from None


def base64url(segment: str) -> bytes:
    """The bytes of a segment (RFC 7515 s2). Raises `binascii.Error`, a ValueError, for any spelling but the one."""
    raw = base64.b64decode(segment + "=" * (-len(segment) % 4), b"-_", validate=True)
    # Unused bits of the last character must be zero, or one token has several spellings (RFC 4648 s3.5).
    if base64.urlsafe_b64encode(raw).rstrip(b"=").decode() != segment:
        raise binascii.Error
    return raw


def _is_name(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= MAX_NAME and not _CONTROL.search(value)


def _check_members(header: Mapping[str, Any], policy: TokenPolicy | SignaturePolicy) -> None:
    if not header.keys() <= _HEADERS | policy.tolerated_headers or "crit" in header:
        raise InvalidToken("The token's header has members that are not accepted here.")
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in policy.algorithms:
        raise InvalidToken("The token is signed with an algorithm that is not accepted from its issuer.")


def _check_type(header: Mapping[str, Any], policy: TokenPolicy) -> None:
    typ = header.get("typ", "JWT")
    # RFC 7515 s4.1.9: "application/" may be left out.
    if typ not in (policy.typ, f"application/{policy.typ}"):
        raise InvalidToken("The token is of another type.", hint=f"A token of type {policy.typ} is needed.")


def _check_signature(
    text: str,
    header: Mapping[str, Any],
    keys: KeySource | Mapping[str, Any],
    policy: TokenPolicy | SignaturePolicy,
) -> None:
    algorithm = header["alg"]
    key = _find_key(header.get("kid"), algorithm, _loaded(keys, policy))
    if key is None or algorithm not in algorithms_of(key):
        raise InvalidToken("The token is signed with a key that its issuer does not publish.", hint=_GET_ANOTHER)
    try:
        jws.deserialize_compact(text, key, algorithms=[algorithm])
    except Exception as error:  # joserfc and cryptography raise many kinds; each means the same
        raise InvalidToken("The token's signature is wrong.", debug=type(error).__name__) from None


def _loaded(
    keys: KeySource | Mapping[str, Any], policy: TokenPolicy | SignaturePolicy
) -> KeySource | Mapping[str, Any]:
    if not isinstance(keys, Mapping) or not isinstance(keys.get("keys"), list):
        return keys
    try:
        return load_keys(keys, unnamed=policy.unnamed, symmetric=not SYMMETRIC.isdisjoint(policy.algorithms))
    except InvalidRequest as error:
        raise InvalidToken("The issuer's keys are not usable.", debug=error.description) from None


def _find_key(kid: str | None, algorithm: str, keys: KeySource | Mapping[str, Any]) -> Key | None:
    """The key of that name; without one, the only key that fits."""
    if kid is not None:
        key = keys.get(kid)
        return key if isinstance(key, Key) else None
    known = keys.values() if isinstance(keys, Mapping) else ()
    fitting = [key for key in known if isinstance(key, Key) and algorithm in algorithms_of(key)]
    return fitting[0] if len(fitting) == 1 else None


def _check_audience(claims: Mapping[str, Any], policy: TokenPolicy) -> None:
    audience = claims.get("aud")
    if audience == policy.audience:
        return
    if policy.audience_list and isinstance(audience, list) and policy.audience in audience:
        return
    raise InvalidToken(
        "The token is for another service.", hint=f"Ask for a token whose audience is {policy.audience}."
    )


def _check_times(claims: Mapping[str, Any], policy: TokenPolicy, now: float) -> None:
    expires, issued = _time(claims, "exp"), _time(claims, "iat")
    if now >= expires + policy.leeway:
        raise InvalidToken(f"The token expired at {_utc(expires)}.", hint=_GET_ANOTHER)
    if issued > now + policy.leeway or ("nbf" in claims and _time(claims, "nbf") > now + policy.leeway):
        raise InvalidToken("The token is not valid yet.", hint="Compare the clocks of issuer and service.")
    signed_in = claims.get("auth_time")
    if isinstance(signed_in, int | float) and signed_in > now + policy.leeway:
        # However long one waits, it would pass for fresh (RFC 9470 s4).
        raise InvalidToken("The token's sign-in lies in the future.", hint="Compare the clocks of issuer and service.")
    if not issued < expires <= issued + policy.max_lifetime:
        raise InvalidToken(f"The token is valid for longer than {policy.max_lifetime:.0f} seconds, or never.")


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InvalidToken(f"The token has no usable {name} claim.")
    if not 0 <= value <= LATEST:
        raise InvalidToken(f"The token's {name} claim is out of range.")
    return value


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _check_names(claims: Mapping[str, Any], policy: TokenPolicy) -> None:
    for name in policy.required:
        if not _is_name(claims.get(name)):
            raise InvalidToken(f"The token has no usable {name} claim.")
    scope = claims.get("scope", "")
    if not isinstance(scope, str) or len(scope) > MAX_SCOPE or not (scope == "" or _SCOPE.fullmatch(scope)):
        raise InvalidToken("The token's scope claim is malformed.")
    if "act" in claims:
        Actor.from_claim(claims["act"])


def _check_required(claims: Mapping[str, Any], policy: TokenPolicy) -> None:
    for name, values in policy.claims.items():
        if claims.get(name) not in values:
            raise InvalidToken(f"The token's {name} claim is not what it has to be here.")


def _check_confirmation(claims: Mapping[str, Any], policy: TokenPolicy) -> None:
    if "cnf" not in claims:
        return
    Confirmation.from_claim(claims["cnf"])
    if not policy.bound:
        # RFC 9449 s7.1, RFC 7800 s3.1.
        raise InvalidToken("The token is bound to a key, and nothing proves that its bearer has the key.")
