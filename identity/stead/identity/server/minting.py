"""Makes access tokens (RFC 9068) and ID tokens (OpenID Connect Core s2), and writes down that they were made."""

from dataclasses import dataclass
from typing import Any

from joserfc import jwt

from stead.identity.claims import PUBLISHED_CLAIMS
from stead.identity.confirmation import JKT, Confirmation
from stead.identity.server.authorization import Authorization
from stead.identity.server.issued import record_token
from stead.identity.server.issuer import Issuer
from stead.identity.server.people import Person
from stead.identity.server.store import fresh
from stead.identity.types import Json


@dataclass(frozen=True, slots=True)
class Grantee:
    """For whom: the person and the login it rests on. Absent for a service as itself.

    A login in another domain has no session here, and says of itself only what its provider said.
    """

    person: Person
    sid: str | None
    auth_time: int | None
    acr: str | None
    amr: tuple[str, ...]

    @classmethod
    def of(cls, person: Person, authorization: Authorization) -> "Grantee":
        """The person of an authorization."""
        return cls(person, authorization.sid, authorization.auth_time, authorization.acr, authorization.amr)

    def claims(self) -> Json:
        """RFC 9068 s2.2.1 and s2.2.3.1: the login is carried as it was, never inflated."""
        known = {name: self.person.claims[name] for name in PUBLISHED_CLAIMS if name in self.person.claims}
        return {
            **_present(sid=self.sid, auth_time=self.auth_time, acr=self.acr),
            "amr": list(self.amr),
            "name": self.person.name,
            "roles": list(self.person.roles),
            **known,
        }


@dataclass(frozen=True, slots=True)
class Issuance:
    """Everything that decides what an access token says."""

    client_id: str
    audience: str
    scopes: tuple[str, ...]
    grantee: Grantee | None = None
    act: Json | None = None
    txn: str | None = None
    details: tuple[Json, ...] = ()
    consent_id: str | None = None
    family: str | None = None
    parent: str | None = None
    not_after: int | None = None
    confirmation: Confirmation | None = None


def access_token(issuer: Issuer, what: Issuance) -> Json:
    """The token response's own members (RFC 6749 s5.1)."""
    now = int(issuer.now())
    lasts = now + issuer.settings.access_lifetime(what.audience)
    expires = lasts if what.not_after is None else min(lasts, what.not_after)
    jti = fresh(128)
    token = sign(issuer, "at+jwt", _access_claims(issuer, what, now, expires, jti))
    sid = what.grantee.sid if what.grantee else None
    record_token(issuer.store, jti, what.client_id, expires, parent=what.parent, family=what.family, sid=sid)
    kind = "DPoP" if what.confirmation is not None and what.confirmation.method == JKT else "Bearer"
    response: Json = {"access_token": token, "token_type": kind, "expires_in": expires - now}
    return {**response, "scope": " ".join(what.scopes), **_consented(what)}


def id_token(issuer: Issuer, client_id: str, person: Person, authorization: Authorization, nonce: str | None) -> str:
    """Says to the client who signed in, when and how."""
    now = int(issuer.now())
    claims: Json = {
        **issuer.settings.extra_claims,
        "iss": issuer.name,
        "sub": person.subject,
        "aud": client_id,
        "iat": now,
        "exp": now + issuer.settings.access_token_lifetime,
        "auth_time": authorization.auth_time,
        "acr": authorization.acr,
        "amr": list(authorization.amr),
        "sid": authorization.sid,
        "name": person.name,
        "preferred_username": person.username,
        **_present(nonce=nonce, consent_id=authorization.consent_id),
    }
    return sign(issuer, "JWT", claims)


def _access_claims(issuer: Issuer, what: Issuance, now: int, expires: int, jti: str) -> Json:
    return {
        **issuer.settings.extra_claims,
        "iss": issuer.name,
        "sub": what.grantee.person.subject if what.grantee else what.client_id,
        "aud": what.audience,
        "client_id": what.client_id,
        "scope": " ".join(what.scopes),
        "iat": now,
        "exp": expires,
        "jti": jti,
        **(what.grantee.claims() if what.grantee else {}),
        **_present(act=what.act, txn=what.txn, cnf=what.confirmation and what.confirmation.as_claim()),
        **_consented(what),
    }


def _consented(what: Issuance) -> Json:
    """RFC 9396 s7 and s9: what was authorized, in the response and in the token."""
    if not what.details:
        return {}
    return {"authorization_details": list(what.details), **_present(consent_id=what.consent_id)}


def _present(**claims: Any) -> Json:
    return {name: value for name, value in claims.items() if value is not None}


def sign(issuer: Issuer, kind: str, claims: Json) -> str:
    """A token of that type with these claims, signed with the issuer's key."""
    header = {"alg": "ES256", "kid": issuer.key.kid, "typ": kind}
    return jwt.encode(header, claims, issuer.key, algorithms=["ES256"])
