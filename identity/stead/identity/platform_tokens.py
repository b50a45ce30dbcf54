"""Clients that another authority vouches for: a cluster, or a SPIFFE trust domain (RFC 7523 s3, RFC 7521 s4.2).

Such a token is not the client's own work: it is reused until the platform renews it, so that no `jti` is spent; that it
is short-lived, and for this issuer alone, is all the more required. Nothing is fetched: keys come from a file.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stead.identity.errors import InvalidRequest, InvalidToken
from stead.identity.flows.platform_token import TYPES, Kind
from stead.identity.jwks import Keys, load_keys
from stead.identity.verification import TokenPolicy, verify

_SIGNING = frozenset({"sig", "jwt-svid"})
_NOTHING: Mapping[str, Any] = {"keys": []}


@dataclass(frozen=True, slots=True)
class TrustedWorkload:
    """Whose word counts for one client: the keys of an authority, and the one subject that is the client there.

    `issuer` None is for JWT-SVIDs, which need not name one: the trust domain stands in `subject`. `audience` is what
    the token must be for; this issuer's name where it is None. `max_lifetime` is in seconds.
    """

    subject: str
    jwks_file: Path
    issuer: str | None = None
    kind: Kind = "jwt-bearer"
    audience: str | None = None
    algorithms: tuple[str, ...] = ("ES256", "RS256")
    max_lifetime: float = 7200


def check_platform_token(trusted: TrustedWorkload, kind: str | None, text: str | None, issuer: str, now: float) -> None:
    """Raises `InvalidToken` unless the token is the one by which this client is known."""
    if kind != TYPES[trusted.kind] or text is None:
        raise InvalidToken("This client is known by its platform's token.", hint=f"Send it as {TYPES[trusted.kind]}.")
    audience = trusted.audience or issuer
    claims = verify(text, keys_in(trusted.jwks_file), _policy(trusted, audience), now)
    if claims["sub"] != trusted.subject:
        raise InvalidToken("The platform's token is another workload's.")
    if claims["aud"] not in (audience, [audience]):
        raise InvalidToken("The platform's token is good elsewhere too.", hint=f"aud: {audience}, and nobody else.")


def _policy(trusted: TrustedWorkload, audience: str) -> TokenPolicy:
    return TokenPolicy(
        trusted.issuer,  # type: ignore[arg-type]  # None: the token must not name one either
        audience,
        algorithms=trusted.algorithms,
        typ="JWT",
        max_lifetime=trusted.max_lifetime,
        required=("sub",),
        audience_list=True,
    )


def keys_in(path: Path) -> Keys:
    """The key set of a file, as it is now: whoever rotates them replaces it."""
    try:
        changed = path.stat()
    except OSError:
        return load_keys(_NOTHING)
    return _loaded(path, changed.st_mtime_ns, changed.st_size, changed.st_ino)


@lru_cache(maxsize=64)
def _loaded(path: Path, *_: int) -> Keys:
    try:
        document = json.loads(path.read_bytes())
        entries = [{**entry, "use": "sig"} for entry in document["keys"] if entry.get("use", "sig") in _SIGNING]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return load_keys(_NOTHING)
    try:
        return load_keys({"keys": entries})
    except InvalidRequest:
        return load_keys(_NOTHING)
