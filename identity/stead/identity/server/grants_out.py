"""Leg 1 of a call into another domain: an identity assertion grant (ID-JAG) for the authorization server over there.

draft-ietf-oauth-identity-assertion-authz-grant s4.3. It is asked for like any exchange, and given by the same rules:
the person's roles, the client's edges. It is good at one server, for one client, once; and here for nothing.
"""

from collections.abc import Mapping
from typing import Any

from authlib.oauth2 import OAuth2Request

from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidToken
from stead.identity.flows.id_jag import ID_JAG, SUBJECT_TYPES
from stead.identity.server.browser import session_is_live
from stead.identity.server.clients import EXCHANGE, Client
from stead.identity.server.domains import MAX_GRANT_LIFETIME, ResourceServer
from stead.identity.server.errors import (
    LoginTooOld,
    invalid_grant,
    invalid_request,
    invalid_scope,
    invalid_target,
    unauthorized_client,
)
from stead.identity.server.minting import Grantee, sign
from stead.identity.server.people import Person, find_person
from stead.identity.server.store import fresh
from stead.identity.server.token_exchange import ExchangeGrant, actors, check_delegation, grantee_of
from stead.identity.types import Json
from stead.identity.verification import TokenPolicy, verify

GRANT_TYP = "oauth-id-jag+jwt"


class OutwardGrant(ExchangeGrant):
    """One subject token, one server elsewhere, a grant out. Registered before the plain exchange."""

    @classmethod
    def check_token_endpoint(cls, request: OAuth2Request) -> bool:
        """An exchange whose wish is a grant."""
        wanted = request.payload.data.get("requested_token_type")
        return bool(super().check_token_endpoint(request)) and wanted == ID_JAG

    def validate_token_request(self) -> None:
        """The draft's s4.3.1. Raises `Refused`."""
        client: Client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(EXCHANGE):
            raise unauthorized_client(f"{client.client_id} may not exchange tokens.")
        _check_form(self.request.form)

    def create_token_response(self) -> tuple[int, Json, Any]:
        """The draft's s4.3.2: `N_A`, for the grant is no access token. Raises `Refused`."""
        there, resource = self._target()
        name_there = there.clients.get(self.request.client.client_id)
        if name_there is None:
            raise unauthorized_client(f"{self.request.client.client_id} is not known at {there.issuer}.")
        grantee, act, cnf, until = self._whose()
        _check_age(there, grantee, self.server.issuer.now())
        scopes = self._wanted(grantee.person, resource)
        claims = {"aud": there.issuer, "client_id": name_there, "resource": resource, "scope": " ".join(scopes)}
        grant, lasts = self._minted({**claims, **_known(act=act, cnf=cnf)}, grantee, until)
        body = {"issued_token_type": ID_JAG, "access_token": grant, "token_type": "N_A", "expires_in": lasts}
        return 200, {**body, "scope": " ".join(scopes)}, self.TOKEN_RESPONSE_HEADER

    def _target(self) -> tuple[ResourceServer, str]:
        """The one server and the one service behind it."""
        audiences, resources = (self.request.parameters.all(name) for name in ("audience", "resource"))
        if len(audiences) != 1 or len(resources) != 1:
            raise invalid_target("A grant is for one server and one service.", hint="Send one audience, one resource.")
        there = self.server.issuer.settings.resource_servers.get(audiences[0])
        if there is None or resources[0] not in there.resources:
            raise invalid_target("This issuer gives no grants for that server and service.")
        return there, resources[0]

    def _whose(self) -> tuple[Grantee, Json | None, Json | None, int]:
        """The login, who acts in it, the key it is bound to, and how long it is vouched for."""
        if self.request.form["subject_token_type"] == SUBJECT_TYPES["id_token"]:
            grantee, until = self._signed_in()
            return grantee, None, _bound(self.request.confirmation), until
        subject = self._subject()
        grantee = grantee_of(subject, self._person(subject))
        confirmation = self._confirmation(subject)
        act = actors(subject, self.request.client.client_id)
        return grantee, act, _bound(confirmation), int(subject.claims["exp"])

    def _signed_in(self) -> tuple[Grantee, int]:
        """The login of an ID token that was issued to this client, and to nobody else."""
        issuer, client_id = self.server.issuer, self.request.client.client_id
        policy = TokenPolicy(issuer.name, client_id, typ="JWT", leeway=0, required=("sub", "sid", "acr"))
        try:
            claims = verify(self.request.form["subject_token"], issuer.keys, policy, issuer.now())
        except InvalidToken as error:
            raise invalid_grant(error.description, hint=error.hint) from None
        person = find_person(issuer.store, claims["sub"])
        if person is None or not session_is_live(issuer.store, claims["sid"], issuer.now()):
            raise invalid_grant("The session of this token has ended.", hint="Sign in again.")
        login = Grantee(person, claims["sid"], claims["auth_time"], claims["acr"], tuple(claims["amr"]))
        return login, int(claims["exp"])

    def _wanted(self, person: Person, resource: str) -> tuple[str, ...]:
        wanted = tuple(dict.fromkeys(self.request.form.get("scope", "").split()))
        if not wanted:
            raise invalid_scope("The request names no scope.", hint="Ask for what the call needs, and no more.")
        check_delegation(self.server.issuer.store, self.request.client.client_id, person, resource, wanted)
        return wanted

    def _minted(self, claims: Mapping[str, Any], grantee: Grantee, until: int) -> tuple[str, int]:
        """The grant, and the seconds that it lives: never longer than what it was given for."""
        issuer, now = self.server.issuer, int(self.server.issuer.now())
        expires = min(now + MAX_GRANT_LIFETIME, until)
        times = {"iat": now, "exp": expires, "auth_time": grantee.auth_time}
        login = {"sub": grantee.person.subject, "acr": grantee.acr, "amr": list(grantee.amr)}
        said = {"iss": issuer.name, "jti": fresh(128), **_known(tenant=issuer.settings.extra_claims.get("tenant"))}
        return sign(issuer, GRANT_TYP, {**claims, **said, **login, **times}), expires - now


def _check_form(form: Mapping[str, str]) -> None:
    if "subject_token" not in form:
        raise invalid_request("The request has no subject_token.")
    if form.get("subject_token_type") not in (SUBJECT_TYPES["access_token"], SUBJECT_TYPES["id_token"]):
        raise invalid_request("The subject_token has to be an access token or an ID token.")
    if "actor_token" in form or "actor_token_type" in form:
        raise invalid_request("The authenticated client is the actor.", hint="Send no actor_token.")
    if "authorization_details" in form:
        raise invalid_request("A grant for one operation is not given here: it is consented to over there.")


def _check_age(there: ResourceServer, grantee: Grantee, now: float) -> None:
    since = grantee.auth_time or 0
    if there.max_age is not None and now - since > there.max_age:
        raise LoginTooOld(there.max_age)


def _bound(to: Confirmation | None) -> Json | None:
    return None if to is None else dict(to.as_claim())


def _known(**claims: Any) -> Json:
    return {name: value for name, value in claims.items() if value is not None}
