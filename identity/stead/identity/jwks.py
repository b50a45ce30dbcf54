"""Other parties' public keys: which we accept, and how we keep them.

Knows JWK sets (RFC 7517) and where metadata names them (RFC 8414). Reaches the network only through the `fetch` it
is given, which must not follow redirects.
"""

import asyncio
import base64
import logging
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from joserfc.jwk import ECKey, Key, OctKey, OKPKey, RSAKey

from stead.identity.addresses import may_lead
from stead.identity.clock import Clock
from stead.identity.errors import IdentityError, InvalidRequest, ProviderUnavailable
from stead.identity.strict_json import parse_object
from stead.identity.weak_keys import is_of_small_order, is_roca

Fetch = Callable[[str], Awaitable[bytes]]
Keys = Mapping[str, Key]

MAX_DOCUMENT = 262_144
MAX_KEYS = 100
MAX_KID_LENGTH = 256
RSA_BITS = range(2048, 8193)
RSA_EXPONENTS = range(2**16 + 1, 2**64, 2)
"""FIPS 186-5 s5.1; and no longer than it has to be, for checking takes as long as its exponent."""

FRESH = 300.0
"""Seconds for which a fetched key set is used without asking again."""
STALE = 3600.0
"""Seconds for which it is still used while the provider cannot be reached."""
COOL_DOWN = 10.0
"""Seconds between two fetches, however many unknown key ids arrive."""
LOCATED = 3600.0
"""Seconds after which metadata is asked again where the keys are: the place that it named may be another's by now."""
RETRY = 1.0
"""Seconds before a provider that never answered is asked again."""
TIMEOUT = 5.0

_PRIVATE_MEMBERS = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth"})
_OCTETS = {"EC": ("x", "y"), "OKP": ("x",), "RSA": ("n", "e"), "oct": ("k",)}
_BASE64URL = re.compile(r"[A-Za-z0-9_-]+")
_RSA_ALGORITHMS = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})
_COORDINATE_BYTES = {"P-256": 32, "P-384": 48, "P-521": 66, "Ed25519": 32}
_CURVE_ALGORITHMS = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}
_SECRET_BYTES = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518 s3.2: a secret is no shorter than the hash."""
SYMMETRIC = frozenset(_SECRET_BYTES)
_METADATA = "/.well-known/oauth-authorization-server"
_OPENID_METADATA = "/.well-known/openid-configuration"

log = logging.getLogger(__name__)


def load_keys(document: Mapping[str, Any], *, unnamed: bool = False, symmetric: bool = False) -> Keys:
    """The signature keys of a JWK set, by `kid`.

    Kept are public RSA of at least 2048 bits, EC on the NIST curves and Ed25519, for `use: sig`, under a `kid` of their
    own; anything else is passed over (RFC 7517 s5). `unnamed` also keeps what has no `use`, or no `kid` (by its
    thumbprint then); `symmetric` keeps shared secrets, which no document from the network ever holds rightly.
    Raises `InvalidRequest` where it is no JWK set, an immense one, or one of secrets and public keys together: there an
    HMAC may be made with what was meant for everybody.
    """
    entries = document.get("keys")
    if not isinstance(entries, list):
        raise InvalidRequest("The document is not a JWK set.")
    if len(entries) > MAX_KEYS:
        raise InvalidRequest(f"The JWK set has more than {MAX_KEYS} keys.")
    entries = [entry for entry in entries if isinstance(entry, dict)]
    if len({entry.get("kty") == "oct" for entry in entries}) > 1:
        raise InvalidRequest("The JWK set mixes secrets and public keys.")
    return _by_name(entries, unnamed, symmetric)


def algorithms_of(key: Key) -> frozenset[str]:
    """The signature algorithms that a key may be used with: the one it names, else those of its type."""
    named = key.alg
    match key:
        case ECKey():
            possible = frozenset({_CURVE_ALGORITHMS[key.curve_name]})
        case OKPKey():
            possible = frozenset({"EdDSA", "Ed25519"})
        case OctKey():
            possible = frozenset(name for name, least in _SECRET_BYTES.items() if len(key.raw_value) >= least)
        case _:
            possible = _RSA_ALGORITHMS
    return possible if named is None else possible & {named}


def _by_name(entries: list[dict[str, Any]], unnamed: bool, symmetric: bool) -> Keys:
    named = [entry for entry in entries if _is_kid(entry.get("kid"))]
    uses = Counter(entry["kid"] for entry in named)
    found = {entry["kid"]: _load_key(entry, unnamed, symmetric) for entry in named if uses[entry["kid"]] == 1}
    keys = {kid: key for kid, key in found.items() if key is not None}
    if unnamed:
        nameless = [_load_key(entry, unnamed, symmetric) for entry in entries if "kid" not in entry]
        # A name that somebody chose is not given away.
        keys = {**{key.thumbprint(): key for key in nameless if key is not None}, **keys}
    return MappingProxyType(keys)


def _is_kid(kid: object) -> bool:
    return isinstance(kid, str) and 0 < len(kid) <= MAX_KID_LENGTH


def _load_key(entry: Mapping[str, Any], unnamed: bool, symmetric: bool) -> Key | None:
    if not _is_signature_key(entry, unnamed) or ("k" in entry and not symmetric):
        return None
    try:
        key = _import_key(dict(entry))
    except Exception:  # joserfc and cryptography raise many kinds for a malformed key
        log.debug("a key of a JWK set was passed over: it is malformed")
        return None
    return key if key is not None and algorithms_of(key) else None


def _is_signature_key(entry: Mapping[str, Any], unnamed: bool) -> bool:
    """A key whose private half is published proves nothing, so that one is none."""
    operations = entry.get("key_ops", ["verify"])
    return (
        (entry.get("use") == "sig" or (unnamed and "use" not in entry))
        and isinstance(operations, list)
        and "verify" in operations
        and isinstance(entry.get("alg", ""), str)
        and _PRIVATE_MEMBERS.isdisjoint(entry)
        and all(_is_exact(entry, member) for member in _OCTETS.get(str(entry.get("kty")), ()))
    )


def _is_exact(entry: Mapping[str, Any], member: str) -> bool:
    """One key, one spelling (RFC 7518 s2, s6.2.1.2, s6.3.1.1): else its thumbprint says nothing."""
    text = entry.get(member)
    if not isinstance(text, str) or not _BASE64URL.fullmatch(text) or len(text) % 4 == 1:
        return False
    octets = _octets(text)
    if base64.urlsafe_b64encode(octets).rstrip(b"=").decode() != text:
        return False
    if "crv" in entry:
        return len(octets) == _COORDINATE_BYTES.get(str(entry["crv"]))
    return member == "k" or octets[0] != 0


def _octets(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _import_key(entry: dict[str, Any]) -> Key | None:
    match entry.get("kty"), entry.get("crv"):
        case "EC", "P-256" | "P-384" | "P-521":
            return ECKey.import_key(entry)
        case "OKP", "Ed25519":
            return None if is_of_small_order(_octets(entry["x"])) else OKPKey.import_key(entry)
        case "RSA", None:
            return _strong(RSAKey.import_key(entry))
        case "oct", None:
            return _long(entry)
    return None


def is_strong(key: RSAKey) -> bool:
    """Whether an RSA key is of a size and an exponent that are taken."""
    return key.public_key.key_size in RSA_BITS and key.public_key.public_numbers().e in RSA_EXPONENTS


def _strong(key: RSAKey) -> RSAKey | None:
    return key if is_strong(key) and not is_roca(key.public_key.public_numbers().n) else None


def _long(entry: dict[str, Any]) -> OctKey | None:
    # joserfc warns of a short secret while it imports it.
    is_long = len(str(entry.get("k"))) * 3 // 4 >= min(_SECRET_BYTES.values())
    return OctKey.import_key(entry) if is_long else None


def _ignore_removal(_: str) -> None:
    """Nobody wants to know."""


@dataclass
class _Held:
    """What is known of one issuer's keys. `location` is configured; `found` is told by metadata, and when it was."""

    location: str | None
    found: tuple[str, float] | None = None
    keys: Keys = field(default_factory=lambda: MappingProxyType({}))
    fetched_at: float | None = None
    attempted_at: float = float("-inf")
    flight: "asyncio.Task[None] | None" = None


class JwksCache:
    """The key sets of the issuers one trusts. For one event loop.

    One fetch at a time per issuer, shared by all who wait; an unknown key id causes at most one fetch per cool-down;
    a provider that cannot be reached is bridged for an hour. `on_removal(issuer)` is called when a key disappeared;
    `well_known` is where metadata lies first.
    """

    def __init__(
        self,
        fetch: Fetch,
        clock: Clock,
        *,
        on_removal: Callable[[str], None] = _ignore_removal,
        well_known: str = _METADATA,
    ) -> None:
        self._fetch = fetch
        self._well_known = well_known
        self._clock = clock
        self._on_removal = on_removal
        self._held: dict[str, _Held] = {}

    async def keys(self, issuer: str, kid: str, *, jwks_uri: str | None = None) -> Keys:
        """The keys of `issuer`, fetched if need be; `kid` may be missing from them.

        `issuer` comes from configuration, never from a token. Without `jwks_uri` its metadata is asked (RFC 8414).
        Raises `ProviderUnavailable` when there are no usable keys.
        """
        held = self._held.setdefault(issuer, _Held(jwks_uri))
        if self._is_due(held, kid):
            await self._refresh(issuer, held)
        age = self._age(held)
        if age is None or age > STALE:
            raise ProviderUnavailable(
                "The keys of the token's issuer cannot be fetched.", hint="Try again in a moment.", debug=issuer
            )
        return held.keys

    def _age(self, held: _Held) -> float | None:
        return None if held.fetched_at is None else self._clock() - held.fetched_at

    def _is_due(self, held: _Held, kid: str) -> bool:
        age = self._age(held)
        if age is not None and age < FRESH and kid in held.keys:
            return False
        wait = RETRY if age is None else COOL_DOWN
        return held.flight is not None or self._clock() - held.attempted_at >= wait

    async def _refresh(self, issuer: str, held: _Held) -> None:
        if held.flight is None:
            held.attempted_at = self._clock()
            held.flight = asyncio.create_task(self._renew(issuer, held), name=f"jwks {issuer}")
        # One who waits may be cancelled; the fetch goes on for the others.
        await asyncio.shield(held.flight)

    async def _renew(self, issuer: str, held: _Held) -> None:
        try:
            async with asyncio.timeout(TIMEOUT):
                keys = await self._download(issuer, held)
        except Exception as error:  # whatever went wrong there, whoever waits learns that there are no keys
            why = error.description if isinstance(error, IdentityError) else type(error).__name__
            log.warning("the keys of %s could not be fetched: %s", issuer, why)
        else:
            self._replace(issuer, held, keys)
        finally:
            held.flight = None

    async def _download(self, issuer: str, held: _Held) -> Keys:
        if held.location is not None:
            return load_keys(await self._document(held.location))
        found, held.found = held.found, None  # a place that fails is not kept
        if found is None or self._clock() - found[1] >= LOCATED:
            found = await self._discover(issuer), self._clock()
        keys = load_keys(await self._document(found[0]))
        held.found = found
        return keys

    def _replace(self, issuer: str, held: _Held, keys: Keys) -> None:
        was_there = _fingerprints(held.keys)
        held.keys, held.fetched_at = keys, self._clock()
        if not was_there <= _fingerprints(keys):
            self._on_removal(issuer)

    async def _discover(self, issuer: str) -> str:
        metadata = await self._metadata(issuer)
        # RFC 8414 s3.3: metadata that names another issuer is another issuer's.
        if metadata.get("issuer") != issuer:
            raise ProviderUnavailable("The issuer's metadata names another issuer.")
        location = metadata.get("jwks_uri")
        if not isinstance(location, str) or not may_lead(location, issuer):
            raise ProviderUnavailable("The issuer's metadata names no usable jwks_uri.")
        return location

    async def _metadata(self, issuer: str) -> Mapping[str, Any]:
        parts = urlsplit(issuer)
        path = parts.path.rstrip("/")
        try:
            # RFC 8414 s3.1 puts the well-known part before the path, OpenID Connect Discovery s4 after it.
            return await self._document(f"{parts.scheme}://{parts.netloc}{self._well_known}{path}")
        except (ProviderUnavailable, InvalidRequest):
            return await self._document(f"{issuer.rstrip('/')}{_OPENID_METADATA}")

    async def _document(self, url: str) -> Mapping[str, Any]:
        return parse_object(await self._fetch(url), max_bytes=MAX_DOCUMENT)


def _fingerprints(keys: Keys) -> set[tuple[str, str]]:
    return {(kid, key.thumbprint()) for kid, key in keys.items()}
