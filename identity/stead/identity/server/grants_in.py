"""Leg 2 of a call from another domain: an identity assertion grant (ID-JAG) is spent here for an access token.

draft-ietf-oauth-identity-assertion-authz-grant s4.4, RFC 7523 s3. Nothing of the grant is read by anybody before it was
verified here: its issuer is chosen from configuration, then its signature counts, then its claims.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2.rfc6749 import TokenEndpointMixin
from authlib.oauth2.rfc6749.grants import BaseGrant
from sqlalchemy.dialects.sqlite import insert

from stead.identity.clock import SKEW
from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidToken
from stead.identity.platform_tokens import keys_in
from stead.identity.server import schema
from stead.identity.server.client_authentication import CONFIDENTIAL
from stead.identity.server.clients import ASSERTION, Client
from stead.identity.server.core import Core, Request
from stead.identity.server.domains import MAX_GRANT_LIFETIME, GrantIssuer
from stead.identity.server.errors import (
    invalid_grant,
    invalid_request,
    invalid_scope,
    invalid_target,
    unauthorized_client,
)
from stead.identity.server.grants_out import GRANT_TYP
from stead.identity.server.minting import Grantee, Issuance, access_token
from stead.identity.server.people import Person, find_person
from stead.identity.server.token_exchange import check_delegation
from stead.identity.types import Json
from stead.identity.values import MAX_ACTORS, Actor
from stead.identity.verification import TokenPolicy, Unverified, check, decode


class InwardGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """One grant, once, by the client that it names; an access token out, with that client as the actor."""

    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL
    GRANT_TYPE = ASSERTION
    server: Core
    request: Request

    def validate_token_request(self) -> None:
        """RFC 7523 s2.1. Raises `Refused`."""
        client: Client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(ASSERTION):
            raise unauthorized_client(f"{client.client_id} may not spend grants of other domains.")
        if "assertion" not in self.request.form:
            raise invalid_request("The request has no assertion.")

    def create_token_response(self) -> tuple[int, Json, Any]:
        """The token lives by this issuer's rules; no refresh token, since the grant can be asked for anew."""
        client_id = self.request.client.client_id
        trusted, claims = self._grant()
        _check_bearer(claims, client_id, self.request.confirmation)
        person = self._person(trusted, claims)
        resource, scopes = self._asked(claims)
        check_delegation(self.server.issuer.store, client_id, person, resource, scopes)
        act = _act(claims, client_id, trusted.issuer)
        self._spend(claims)
        issuance = Issuance(
            client_id, resource, scopes, _login(person, claims), act=act, confirmation=self.request.confirmation
        )
        return 200, access_token(self.server.issuer, issuance), self.TOKEN_RESPONSE_HEADER

    def _grant(self) -> tuple[GrantIssuer, Mapping[str, Any]]:
        """The verified grant, and whose it is."""
        try:
            unverified = decode(self.request.form["assertion"])
            trusted = self._issuer_of(unverified)
            policy = _policy(trusted, self.server.issuer.name)
            claims = check(unverified, keys_in(trusted.jwks_file), policy, self.server.issuer.now())
        except InvalidToken as error:
            raise invalid_grant(error.description, hint=error.hint) from None
        if claims.get("tenant") != trusted.tenant:
            raise invalid_grant("The grant is of another tenant.")
        return trusted, claims

    def _issuer_of(self, unverified: Unverified) -> GrantIssuer:
        name = unverified.issuer
        trusted = self.server.issuer.settings.grant_issuers.get(name) if isinstance(name, str) else None
        if trusted is None:
            raise InvalidToken("Grants of this issuer are not taken here.")
        return trusted

    def _person(self, trusted: GrantIssuer, claims: Mapping[str, Any]) -> Person:
        subject = trusted.subjects.get(claims["sub"])
        person = None if subject is None else find_person(self.server.issuer.store, subject)
        if person is None:
            raise invalid_grant("The person of this grant is nobody here.")
        return person

    def _asked(self, claims: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
        """Where to and for what: what the grant says, or less."""
        granted = tuple(str(claims.get("scope", "")).split())
        wanted = tuple(dict.fromkeys(self.request.form.get("scope", "").split())) or granted
        if not wanted or not set(wanted) <= set(granted):
            raise invalid_scope("The grant does not carry that scope.", hint="Scopes are never widened.")
        named = {*self.request.parameters.all("resource"), *self.request.parameters.all("audience")}
        resource = claims.get("resource")
        if not isinstance(resource, str) or not named <= {resource}:
            raise invalid_target("The grant is for another service, or for more than one.")
        return resource, wanted

    def _spend(self, claims: Mapping[str, Any]) -> None:
        """RFC 7523 s3, point 7. Names of clients hold no space, so that the two never meet."""
        row = {"client_id": f"grant {claims['iss']}", "jti": claims["jti"], "expires": claims["exp"] + SKEW}
        if self.server.issuer.store.run(insert(schema.assertions).values(row).on_conflict_do_nothing()) != 1:
            raise invalid_grant("The grant was used before.", hint="Ask for a new one for each token.")


def _policy(trusted: GrantIssuer, audience: str) -> TokenPolicy:
    return TokenPolicy(
        trusted.issuer,
        audience,
        algorithms=trusted.algorithms,
        typ=GRANT_TYP,
        max_lifetime=MAX_GRANT_LIFETIME,
        bound=True,
    )


def _check_bearer(claims: Mapping[str, Any], client_id: str, shown: Confirmation | None) -> None:
    """The client that the grant names, with the key that it is bound to; and nothing in it that would be dropped."""
    if claims["client_id"] != client_id:
        raise invalid_grant("The grant was given to another client.")
    if "cnf" in claims and Confirmation.from_claim(claims["cnf"]) != shown:
        raise invalid_grant("The grant is bound to a key that the request does not prove to have.")
    if "authorization_details" in claims:
        raise invalid_grant("A grant for one operation is not taken here.")


def _act(claims: Mapping[str, Any], client_id: str, home: str) -> Json:
    """The client as it is called here, over those who acted before it over there, each with its issuer."""
    prior = Actor.from_claim(claims["act"]).prior if "act" in claims else None
    if prior is not None and len(prior.chain()) >= MAX_ACTORS:
        raise invalid_request(f"The chain of actors is longer than {MAX_ACTORS}.")
    return {"sub": client_id} if prior is None else {"sub": client_id, "act": _with_issuer(prior, home)}


def _with_issuer(actor: Actor, home: str) -> Json:
    """A name is somebody only together with who gave it (RFC 8693 s4.1)."""
    own: Json = {"sub": actor.subject, "iss": actor.issuer or home}
    return own if actor.prior is None else {**own, "act": _with_issuer(actor.prior, home)}


def _login(person: Person, claims: Mapping[str, Any]) -> Grantee:
    """The sign-in as its own provider tells it; there is no session here, so that the token is not exchanged on."""
    when, acr, amr = claims.get("auth_time"), claims.get("acr"), claims.get("amr")
    return Grantee(
        person,
        None,
        when if isinstance(when, int) and not isinstance(when, bool) else None,
        acr if isinstance(acr, str) else None,
        tuple(one for one in amr if isinstance(one, str)) if isinstance(amr, list) else (),
    )
