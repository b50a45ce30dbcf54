"""From verified claims to a principal: read as their issuer writes them, and worth what the trust in it says."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from stead.identity.clock import SKEW
from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidToken
from stead.identity.trust import TrustedIssuer
from stead.identity.values import AccessToken, Actor, Grant, Principal, Provenance

_LATEST = 2**53


def build_principal(
    claims: Mapping[str, Any], trusted: TrustedIssuer, audience: str, token: AccessToken | None
) -> Principal:
    """The principal that verified `claims` describe, read as `trusted` writes them. Raises `InvalidToken`."""
    client_id = _client(str(claims[trusted.client]), trusted)
    is_service = _is_service(claims, trusted, client_id)
    subject = client_id if is_service else str(claims[trusted.subject])
    actor, chain_from = _actor(claims, trusted, client_id, is_service)
    grant = _grant(claims, is_service, actor)
    _check_subjects(trusted, grant)
    roles = _roles(claims, trusted.roles)
    return Principal(
        issuer=trusted.issuer,
        subject=subject,
        audience=audience,
        client_id=client_id,
        scopes=_worth(trusted, claims, roles, is_service=is_service),
        jti=str(claims[trusted.identifier]),
        expires_at=int(claims["exp"]),
        grant=grant,
        actor=actor,
        chain_from=chain_from,
        txn=_optional_text(claims, "txn"),
        confirmation=Confirmation.from_claim(claims["cnf"]) if "cnf" in claims else None,
        claims=_by_our_names(claims, trusted, roles),
        token=token,
        names=trusted.names,
    )


def _client(client_id: str, trusted: TrustedIssuer) -> str:
    """A client of that issuer that has chosen the name by which we know another is not taken for it."""
    if client_id in trusted.names.values() and client_id not in trusted.names:
        raise InvalidToken("The token was issued to a client that calls itself as one of ours.")
    return client_id


def _is_service(claims: Mapping[str, Any], trusted: TrustedIssuer, client_id: str) -> bool:
    if claims[trusted.subject] == client_id:
        return True
    # As the client that it was issued to, and not as any: people may choose names too.
    own = f"(?i:{re.escape(client_id)})"
    return any(
        isinstance(claims.get(name), str) and re.fullmatch(pattern.replace("{client}", own), claims[name])
        for name, pattern in trusted.services.items()
    )


def _actor(
    claims: Mapping[str, Any], trusted: TrustedIssuer, client_id: str, is_service: bool
) -> tuple[Actor | None, Provenance]:
    """Who acts: as the token says, else whoever it was issued to, which nobody but that client asserts."""
    if "act" in claims:
        return Actor.from_claim(claims["act"]), "token"
    if trusted.actor == "act" or is_service or client_id in trusted.login_clients:
        return None, "token"
    return Actor(client_id), "asserted"


def _grant(claims: Mapping[str, Any], is_service: bool, actor: Actor | None) -> Grant:
    if "authorization_details" in claims:
        return Grant.IN_TASK
    if actor is not None:
        return Grant.OBO
    return Grant.S2S if is_service else Grant.LOGIN


def _check_subjects(trusted: TrustedIssuer, grant: Grant) -> None:
    kind = "services" if grant is Grant.S2S else "persons"
    if trusted.subjects not in ("both", kind):
        raise InvalidToken(f"The {kind} of this token's issuer may do nothing here.", hint="See `issuers.subjects`.")


def _worth(trusted: TrustedIssuer, claims: Mapping[str, Any], roles: list[str], *, is_service: bool) -> frozenset[str]:
    """The scopes that count here: by our names, and none beyond the ceiling."""
    theirs = _scopes(claims.get(trusted.scopes))
    ours = {name: mine for mine, name in trusted.scope_names.items()}
    # What it calls otherwise is not meant where it uses our word: that is another right of its own.
    named = {ours.get(scope, scope) for scope in theirs if scope in ours or scope not in trusted.scope_names}
    by_role = {trusted.role_scopes[role] for role in roles if role in trusted.role_scopes} if is_service else set()
    wanted = {} if is_service else trusted.scope_roles
    scopes = frozenset(one for one in named | by_role if one not in wanted or set(wanted[one]) & set(roles))
    return scopes if trusted.allowed_scopes is None else scopes & trusted.allowed_scopes


def _scopes(value: object) -> frozenset[str]:
    """A space-separated string (RFC 8693 s4.2), or a list of strings as some issuers write it."""
    if value is None:
        return frozenset()
    if isinstance(value, str):
        return frozenset(value.split())
    return frozenset(_texts(value, "scope"))


def _roles(claims: Mapping[str, Any], path: str) -> list[str]:
    value = _at(claims, path)
    return [] if value is None else _texts(value, "roles")


def _by_our_names(claims: Mapping[str, Any], trusted: TrustedIssuer, roles: list[str]) -> Mapping[str, Any]:
    """All claims. One that is read from another place is only there if it is in that place."""
    mapped = {name: value for name, path in trusted.claims.items() if (value := _at(claims, path)) is not None}
    rest = {name: value for name, value in claims.items() if name not in trusted.claims}
    if trusted.levels:
        rest = {**{name: value for name, value in rest.items() if name != "acr"}, **_acr(claims, trusted)}
    return MappingProxyType({**rest, "roles": roles, **mapped})


def _acr(claims: Mapping[str, Any], trusted: TrustedIssuer) -> Mapping[str, str]:
    """The strongest level that the session had reached when the token was issued, and not too long before."""
    reached, issued = _at(claims, trusted.levels_claim), _time(claims.get("iat"))
    if not isinstance(reached, Mapping) or issued is None:
        return {}
    ages = {name: issued - since for name in trusted.levels if (since := _time(reached.get(name))) is not None}
    met = [level.acr for name, level in trusted.levels.items() if name in ages and -SKEW <= ages[name] <= level.lasts]
    return {"acr": met[-1]} if met else {}


def _time(value: object) -> float | None:
    """Seconds, if that is what it is; some issuers write them as text."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,15}", value):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if 0 <= value < _LATEST else None


def _at(claims: Mapping[str, Any], path: str) -> Any:
    """The claim of that name, else what lies on that path."""
    value = claims.get(path)
    if value is None and "." in path:
        value = claims
        for name in path.split("."):
            value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _texts(value: object, what: str) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise InvalidToken(f"The token's {what} claim is malformed.")
    return value


def _optional_text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, str):
        raise InvalidToken(f"The token's {name} claim is malformed.")
    return value
