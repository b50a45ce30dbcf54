"""Who a client is: `private_key_jwt` (RFC 7523 s2.2), or its platform's token. Read strictly, checked, spent once."""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc7523 import JWTBearerClientAssertion
from joserfc.jwk import KeySet
from joserfc.jwt import Claims
from sqlalchemy.dialects.sqlite import insert

from stead.identity.clock import SKEW
from stead.identity.errors import ConfigurationError, InvalidToken
from stead.identity.platform_tokens import check_platform_token
from stead.identity.server import schema
from stead.identity.server.clients import Client
from stead.identity.server.core import Request
from stead.identity.server.errors import invalid_client
from stead.identity.server.issuer import Issuer
from stead.identity.verification import decode

CONFIDENTIAL = ("tls_client_auth", "private_key_jwt")
"""How a client proves itself, as Authlib is told: the first is by certificate, whoever signed it."""
ANY = (*CONFIDENTIAL, "none")
ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
MAX_LIFETIME = 300
_MAX_JTI = 256
_TYPES = (None, "JWT", "client-authentication+jwt")
"""RFC 7523bis s3.1: whatever else the client signs with its key names its own type, and is no assertion."""


class PrivateKeyJwt(JWTBearerClientAssertion):  # type: ignore[misc]
    """Authlib's check of signature and claims, after ours."""

    CLIENT_AUTH_METHOD = "private_key_jwt"

    def __init__(self, issuer: Issuer) -> None:
        super().__init__(leeway=int(SKEW))
        self._issuer = issuer

    def __call__(self, query_client: Any, request: Request) -> Client | None:
        kind, assertion = request.form.get("client_assertion_type"), request.form.get("client_assertion")
        if kind is None and assertion is None:
            return None
        if request.form.get("client_id") in self._issuer.settings.workloads:
            return self._vouched_for(query_client, request)
        if kind != ASSERTION_TYPE or assertion is None:
            raise invalid_client("The client assertion is incomplete.", hint=f"client_assertion_type: {ASSERTION_TYPE}")
        self._check(*_read(assertion))
        client: Client | None = super().__call__(query_client, request)
        if client is not None and client.client_id in self._issuer.settings.workloads:
            raise invalid_client("This client is known by its platform's token.", hint="Name it by client_id.")
        return client

    def _vouched_for(self, query_client: Any, request: Request) -> Client:
        """A client whose platform says who it is: that alone counts, and no key of its own."""
        form, issuer = request.form, self._issuer
        trusted = issuer.settings.workloads[form["client_id"]]
        kind, text = form.get("client_assertion_type"), form.get("client_assertion")
        try:
            check_platform_token(trusted, kind, text, issuer.name, issuer.now())
        except InvalidToken as error:
            raise invalid_client(error.description, hint=error.hint) from None
        client: Client | None = query_client(form["client_id"])
        if client is None:
            raise invalid_client("The client is not registered.")
        return client

    def get_audiences(self) -> list[str]:
        """The issuer (RFC 7523bis, FAPI 2.0), or the token endpoint."""
        return [self._issuer.name, self._issuer.settings.url("/token")]

    def resolve_client_public_key(self, client: Client) -> KeySet:
        return client.keys

    def validate_jti(self, claims: Claims, jti: str) -> bool:
        """True the first time (RFC 7523 s3, point 7)."""
        row = {"client_id": claims["sub"], "jti": jti, "expires": claims["exp"] + SKEW}
        return self._issuer.store.run(insert(schema.assertions).values(row).on_conflict_do_nothing()) == 1

    def verify_claims(self, claims: Claims) -> None:
        """After the signature (RFC 7523 s3): issuer and subject are the client, now is within its life, once."""
        now = self._issuer.now()
        if claims.get("iss") != claims.get("sub"):
            raise invalid_client("The client assertion is not the client's own.")
        if claims["exp"] <= now - SKEW or _after(claims, "iat", now) or _after(claims, "nbf", now):
            raise invalid_client("The client assertion is not valid now.", hint="Check this machine's clock.")
        if not self.validate_jti(claims, claims["jti"]):
            raise invalid_client("The client assertion was used before.", hint="Sign a new one for each request.")

    def _check(self, header: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
        """Before the signature: the type, the algorithm, one audience, a short life, a sane jti."""
        if header.get("typ") not in _TYPES:
            raise invalid_client("The client assertion is of another type.", hint="typ: client-authentication+jwt")
        if header.get("alg") != "ES256":
            raise invalid_client("The client assertion is not signed with ES256.")
        if claims.get("aud") not in self.get_audiences():
            raise invalid_client("The client assertion is not for this issuer alone.", hint=f"aud: {self._issuer.name}")
        if not _number(claims.get("exp")) or claims["exp"] > self._issuer.now() + MAX_LIFETIME + SKEW:
            raise invalid_client(f"The client assertion lives longer than {MAX_LIFETIME} seconds.")
        jti = claims.get("jti")
        if not isinstance(jti, str) or not 0 < len(jti) <= _MAX_JTI:
            raise invalid_client("The client assertion has no usable jti.")


class Certificate:
    """RFC 8705 s2: the certificate of the connection, for clients of which the settings say so."""

    CLIENT_AUTH_METHOD = "tls_client_auth"

    def __init__(self, issuer: Issuer) -> None:
        self._known = issuer.settings.client_certificates

    def __call__(self, query_client: Any, request: Request) -> Client | None:
        client_id = request.form.get("client_id")
        known = None if client_id is None else self._known.get(client_id)
        if known is None:
            return None
        if "client_assertion" in request.form:
            raise invalid_client("This client is known by its certificate.", hint="Send no client_assertion.")
        try:
            known.check(request.certificate)
        except (InvalidToken, ConfigurationError) as error:
            raise invalid_client(error.description, hint=error.hint) from None
        client: Client | None = query_client(client_id)
        if client is None:
            raise invalid_client("The client is not registered.")
        return client


def _number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _after(claims: Claims, name: str, now: float) -> bool:
    value = claims.get(name)
    return value is not None and (not _number(value) or value > now + SKEW)


def _read(assertion: str) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Header and claims, unverified, bounded in size and depth: Authlib parses before it checks the signature."""
    try:
        unverified = decode(assertion)
    except InvalidToken:
        raise invalid_client("The client assertion is not a readable JWT.") from None
    return unverified.header, unverified.claims
