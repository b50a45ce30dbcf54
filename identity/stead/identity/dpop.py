"""Proof of possession (RFC 9449): made for one request, and checked strictly. Knows no network and keeps nothing.

That a proof is used only once is for `replay`; that its key is the token's, for whoever holds the token.
"""

import hashlib
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from joserfc import jws, jwt
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from stead.identity.clock import SKEW
from stead.identity.errors import InvalidProof, InvalidRequest
from stead.identity.jwks import is_strong
from stead.identity.strict_json import parse_object
from stead.identity.values import AccessToken
from stead.identity.verification import base64url
from stead.identity.weak_keys import is_of_small_order

ALGORITHMS = ("ES256", "Ed25519", "EdDSA", "PS256", "RS256")
"""Accepted in proofs; ours are ES256."""
LIFETIME = 60.0
"""Seconds for which a proof is good, beside the skew of clocks (s11.1: seconds or minutes)."""
MAX_PROOF = 4096
MAX_HEADER = 2048
MAX_JTI = 128
REMEMBERED = 256
"""Headers of proofs that are kept as read: those of the newest callers."""

_TYP = "dpop+jwt"
_COMPACT = re.compile(r"([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)")
_PUBLIC = {
    "EC": frozenset({"kty", "crv", "x", "y"}),
    "OKP": frozenset({"kty", "crv", "x"}),
    "RSA": frozenset({"kty", "n", "e"}),
}
_DESCRIPTIVE = frozenset({"kid", "use", "alg", "key_ops"})
_UNRESERVED = "-._~!$&'()*+,;=:@/%"
_PORTS = {"http": 80, "https": 443}


class _Registry(jws.JWSRegistry):
    """joserfc's own limit of 512 bytes keeps out a proof with an RSA key."""

    max_header_length = MAX_HEADER


_REGISTRY = _Registry(algorithms=ALGORITHMS)


@dataclass(frozen=True, slots=True)
class Proof:
    """A true proof: the thumbprint of its key (RFC 7638), and by what its reuse is noticed. `until` is in seconds."""

    thumbprint: str
    jti: str
    until: float
    nonce: str | None = None


def sign_proof(
    key: ECKey, method: str, url: str, now: float, *, token: AccessToken | None = None, nonce: str | None = None
) -> str:
    """A proof for one request (s4.2); with `token`, for that token alone (`ath`)."""
    claims: dict[str, Any] = {
        "jti": secrets.token_urlsafe(16),
        "htm": method,
        "htu": target(url),
        "iat": int(now),
    }
    if token is not None:
        claims["ath"] = digest_of(token)
    if nonce is not None:
        claims["nonce"] = nonce
    return jwt.encode(_header_of(key), claims, key, algorithms=["ES256"], registry=_REGISTRY)


def check_proof(proof: str, method: str, url: str, now: float, *, token: AccessToken | None = None) -> Proof:
    """The proof, if it is one for exactly this request at this time, and with `token` for this token (s4.3).

    Raises `InvalidProof`, whatever the proof; nothing else.
    """
    segments = _COMPACT.fullmatch(proof) if isinstance(proof, str) and len(proof) <= MAX_PROOF else None
    if segments is None:
        raise InvalidProof("The DPoP proof is not a signed JWT.")
    signer = _signer(segments[1])
    _check_signature(proof, signer.key, signer.algorithm)
    claims = _parse(segments[2], MAX_PROOF, "payload")
    _check_request(claims, method, url)
    _check_token(claims, token)
    return Proof(signer.thumbprint, _jti(claims), _until(claims, now), _nonce(claims))


def digest_of(token: AccessToken) -> str:
    """The `ath` of a token: its SHA-256 digest, base64url (s4.2)."""
    return _b64(hashlib.sha256(token.reveal().encode("utf-8", "surrogatepass")).digest())


@lru_cache(maxsize=1024)
def target(url: str) -> str:
    """The `htu` of a URL: without query and fragment, normalized as RFC 3986 s6.2.2 and s6.2.3 say (s4.3 point 9).

    Raises `InvalidRequest` for what is no http URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise InvalidRequest("This is not a URL.") from None
    if parts.scheme.lower() not in _PORTS or not parts.hostname or "@" in parts.netloc:
        raise InvalidRequest("This is not an http or https URL without user name.")
    scheme, host = parts.scheme.lower(), parts.hostname.lower()
    host = f"[{host}]" if ":" in host else host
    shown = "" if port in (None, _PORTS[scheme]) else f":{port}"
    return f"{scheme}://{host}{shown}{_normal(parts.path)}"


def _normal(path: str) -> str:
    """Percent-encoding of unreserved characters undone, that of others in upper case; "" and "/" are the same."""
    escaped = re.sub(r"%([0-9A-Fa-f]{2})", _unescape, path)
    return quote(escaped, safe=_UNRESERVED) or "/"


def _unescape(match: re.Match[str]) -> str:
    letter = unquote(match[0], "latin-1")
    return letter if re.fullmatch(r"[A-Za-z0-9._~-]", letter) else match[0].upper()


def _header_of(key: ECKey) -> dict[str, Any]:
    public = key.as_dict(private=False)
    return {"typ": _TYP, "alg": "ES256", "jwk": {name: public[name] for name in sorted(_PUBLIC["EC"])}}


def _parse(segment: str, limit: int, part: str) -> Mapping[str, Any]:
    try:
        return parse_object(base64url(segment), max_bytes=limit, max_depth=4)
    except (InvalidRequest, ValueError):
        raise InvalidProof(f"The DPoP proof's {part} is malformed.") from None


@dataclass(frozen=True, slots=True)
class _Signer:
    """Whom a proof's header names."""

    key: Key
    algorithm: str
    thumbprint: str


@lru_cache(maxsize=REMEMBERED)
def _signer(segment: str) -> _Signer:
    """A caller sends the same header with every proof, and reading its key costs half of a check."""
    header = _parse(segment, MAX_HEADER, "header")
    key = _key_of(header)
    return _Signer(key, header["alg"], key.thumbprint())


def _key_of(header: Mapping[str, Any]) -> Key:
    if header.keys() != {"typ", "alg", "jwk"} or header["typ"] != _TYP:
        raise InvalidProof("The DPoP proof's header is not one of a proof.")
    if header["alg"] not in ALGORITHMS:
        raise InvalidProof("The DPoP proof is signed with an algorithm that is not accepted.", algs=ALGORITHMS)
    jwk = header["jwk"]
    known = _PUBLIC.get(str(jwk.get("kty"))) if isinstance(jwk, dict) else None
    if known is None or not known <= jwk.keys() <= known | _DESCRIPTIVE:
        raise InvalidProof("The DPoP proof does not carry a public key, or carries more than one.")
    if not all(isinstance(jwk[name], str) for name in known):
        raise InvalidProof("The key of the DPoP proof is malformed.")
    return _import(tuple((name, jwk[name]) for name in sorted(known)), header["alg"])


@lru_cache(maxsize=1024)
def _import(jwk: tuple[tuple[str, str], ...], algorithm: str) -> Key:
    """A caller's key, which it proves with each of its requests, read once."""
    try:
        key = _public_key(dict(jwk))
        key.thumbprint()
    except Exception:  # joserfc and cryptography raise many kinds for a malformed key
        raise InvalidProof("The key of the DPoP proof is malformed.") from None
    if algorithm not in _fitting(key):
        raise InvalidProof("The key of the DPoP proof does not fit its algorithm.")
    return key


def _public_key(jwk: dict[str, Any]) -> Key:
    match jwk["kty"], jwk.get("crv"):
        case "EC", "P-256":
            return ECKey.import_key(jwk)
        case "OKP", "Ed25519" if not is_of_small_order(base64url(jwk["x"])):
            return OKPKey.import_key(jwk)
        case "RSA", None:
            return RSAKey.import_key(jwk)
    raise ValueError("no such curve, or no key of it")


def _fitting(key: Key) -> tuple[str, ...]:
    if isinstance(key, RSAKey):
        return ("PS256", "RS256") if is_strong(key) else ()
    return ("ES256",) if isinstance(key, ECKey) else ("Ed25519", "EdDSA")


def _check_signature(proof: str, key: Key, algorithm: str) -> None:
    try:
        jws.deserialize_compact(proof, key, algorithms=[algorithm], registry=_REGISTRY)
    except Exception:  # joserfc and cryptography raise many kinds; each means the same
        raise InvalidProof("The signature of the DPoP proof is wrong.") from None


def _check_request(claims: Mapping[str, Any], method: str, url: str) -> None:
    try:
        told = str(claims.get("htu"))
        same = claims.get("htm") == method and (told == url or target(told) == target(url))
    except InvalidRequest:
        same = False
    if not same:
        raise InvalidProof("The DPoP proof was made for another request.", hint="Make a proof for each request.")


def _check_token(claims: Mapping[str, Any], token: AccessToken | None) -> None:
    if token is not None and not secrets.compare_digest(str(claims.get("ath")).encode(), digest_of(token).encode()):
        raise InvalidProof("The DPoP proof was made for another token.")


def _jti(claims: Mapping[str, Any]) -> str:
    jti = claims.get("jti")
    if not isinstance(jti, str) or not 0 < len(jti) <= MAX_JTI:
        raise InvalidProof("The DPoP proof has no usable jti.")
    return jti


def _nonce(claims: Mapping[str, Any]) -> str | None:
    nonce = claims.get("nonce")
    return nonce if isinstance(nonce, str) else None


def _until(claims: Mapping[str, Any], now: float) -> float:
    issued = claims.get("iat")
    if isinstance(issued, bool) or not isinstance(issued, int) or not now - LIFETIME - SKEW < issued <= now + SKEW:
        raise InvalidProof("The DPoP proof is not fresh.", hint="Compare the clocks of caller and service.")
    return issued + LIFETIME + SKEW


def _b64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode()
