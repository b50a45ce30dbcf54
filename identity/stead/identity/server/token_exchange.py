"""Token exchange (RFC 8693): a workload asks for a token in the stead of the person who called it.

The authenticated client becomes the outermost actor; nothing is ever widened, lengthened or dropped on the way.
"""

import re
from typing import Any

from authlib.oauth2.rfc6749 import TokenEndpointMixin
from authlib.oauth2.rfc6749.grants import BaseGrant

from stead.identity.confirmation import Confirmation
from stead.identity.errors import InvalidToken
from stead.identity.server.authority import (
    Mode,
    check_edge,
    check_entitled,
    check_scopes,
    edges_of,
    owned_by,
    require_audience,
)
from stead.identity.server.client_authentication import CONFIDENTIAL
from stead.identity.server.client_credentials import single_target
from stead.identity.server.clients import EXCHANGE, Client
from stead.identity.server.core import Core, Request
from stead.identity.server.errors import (
    invalid_grant,
    invalid_request,
    invalid_scope,
    unauthorized_client,
)
from stead.identity.server.minting import Grantee, Issuance, access_token
from stead.identity.server.own_tokens import OwnToken, read_own
from stead.identity.server.people import Person, find_person
from stead.identity.server.store import Store
from stead.identity.types import Json
from stead.identity.values import MAX_ACTORS, Actor, Grant

ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"  # noqa: S105  (a name, not a token)
_TXN = re.compile(r"[A-Za-z0-9._:~-]{1,128}")
_EXCHANGEABLE = frozenset({Grant.LOGIN, Grant.OBO})


class ExchangeGrant(BaseGrant, TokenEndpointMixin):  # type: ignore[misc]
    """One subject token, one audience, an access token out."""

    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL
    GRANT_TYPE = EXCHANGE
    server: Core
    request: Request

    def validate_token_request(self) -> None:
        """RFC 8693 s2.1. Raises `Refused`."""
        client: Client = self.authenticate_token_endpoint_client()
        if not client.check_grant_type(EXCHANGE):
            raise unauthorized_client(f"{client.client_id} may not exchange tokens.")
        _check_form(self.request.form)

    def create_token_response(self) -> tuple[int, Json, Any]:
        """RFC 8693 s2.2. Raises `Refused`."""
        subject = self._subject()
        audience = single_target(self.request.parameters)
        person = self._person(subject)
        issuance = Issuance(
            self.request.client.client_id,
            audience,
            self._scopes(subject, person, audience),
            grantee_of(subject, person),
            act=actors(subject, self.request.client.client_id),
            txn=_txn(subject, self.request.form.get("txn")),
            family=subject.issued.family,
            parent=subject.claims["jti"],
            not_after=int(subject.claims["exp"]),
            confirmation=self._confirmation(subject),
        )
        body = access_token(self.server.issuer, issuance)
        return 200, {**body, "issued_token_type": ACCESS_TOKEN}, self.TOKEN_RESPONSE_HEADER

    def _subject(self) -> OwnToken:
        """The subject token, if it is a person's, was sent to this client, and this client may act with it."""
        try:
            subject = read_own(self.server.issuer, self.request.form["subject_token"])
        except InvalidToken as error:
            # RFC 8693 s2.2.2 knows invalid_request only; RFC 6749 s5.2's word says that another credential would do.
            raise invalid_grant(error.description, hint=error.hint) from None
        self._check_requester(subject)
        if subject.grant not in _EXCHANGEABLE:
            raise invalid_request(f"A token by {subject.grant} is not exchanged: it is for its audience alone.")
        return subject

    def _confirmation(self, subject: OwnToken) -> Confirmation | None:
        """Bound stays bound: to the key of whoever has the new token, which is this client and not its caller."""
        if "cnf" in subject.claims and self.request.confirmation is None:
            raise invalid_request("The subject token is bound to a key.", hint="Send a DPoP proof of your own key.")
        return self.request.confirmation

    def _check_requester(self, subject: OwnToken) -> None:
        client_id = self.request.client.client_id
        if subject.audience not in owned_by(self.server.issuer.store, client_id):
            raise invalid_request(f"The subject token was not sent to {client_id}.")
        may_act = subject.claims.get("may_act")
        if may_act is not None and not (isinstance(may_act, dict) and may_act.get("sub") == client_id):
            raise invalid_request(f"The subject token lets another party act, not {client_id}.")

    def _person(self, subject: OwnToken) -> Person:
        person = find_person(self.server.issuer.store, subject.claims["sub"])
        if person is None:
            raise invalid_grant("The person of this token is not known any more.")
        return person

    def _scopes(self, subject: OwnToken, person: Person, target: str) -> tuple[str, ...]:
        """Same audience: of the token's. Another: what the person is entitled to and this client may ask for there."""
        wanted = tuple(dict.fromkeys(self.request.form.get("scope", "").split()))
        if target == subject.audience:
            return _narrowed(subject, wanted)
        if not wanted:
            raise invalid_scope("The request names no scope.", hint="Ask for what the call needs, and no more.")
        check_delegation(self.server.issuer.store, self.request.client.client_id, person, target, wanted)
        return wanted


def check_delegation(store: Store, client_id: str, person: Person, target: str, wanted: tuple[str, ...]) -> None:
    """What the person is entitled to there, and this client may ask for in their stead. Raises `Refused`."""
    audience = require_audience(store, target)
    check_scopes(audience, wanted)
    check_edge(edges_of(store, client_id), audience, wanted, Mode.OBO)
    check_entitled(audience, person, wanted)


def _check_form(form: dict[str, str]) -> None:
    if "subject_token" not in form:
        raise invalid_request("The request has no subject_token.")
    if form.get("subject_token_type") != ACCESS_TOKEN:
        raise invalid_request("The subject_token has to be an access token.", hint=f"subject_token_type={ACCESS_TOKEN}")
    if form.get("requested_token_type", ACCESS_TOKEN) != ACCESS_TOKEN:
        raise invalid_request("Only access tokens are issued in exchange.")
    if "actor_token" in form or "actor_token_type" in form:
        raise invalid_request("The authenticated client is the actor.", hint="Send no actor_token.")


def _narrowed(subject: OwnToken, wanted: tuple[str, ...]) -> tuple[str, ...]:
    if not set(wanted) <= subject.scopes:
        raise invalid_scope("The subject token does not carry that scope.", hint="Scopes are never widened.")
    return wanted or tuple(str(subject.claims.get("scope", "")).split())


def actors(subject: OwnToken, client_id: str) -> Json:
    """This client, over those who acted before (RFC 8693 s4.1). Never from the request."""
    prior = subject.claims.get("act")
    chain = () if prior is None else Actor.from_claim(prior).chain()
    if client_id in chain:
        raise invalid_request(f"{client_id} acts in this call already.", hint="A chain of actors has no loops.")
    if len(chain) >= MAX_ACTORS:
        raise invalid_request(f"The chain of actors is longer than {MAX_ACTORS}.")
    return {"sub": client_id} if prior is None else {"sub": client_id, "act": prior}


def _txn(subject: OwnToken, asked: str | None) -> str | None:
    """Set once, then copied: a token of one task is never turned into one of another."""
    given = subject.claims.get("txn")
    if given is not None and asked not in (None, given):
        raise invalid_request("The subject token belongs to another task.", hint="txn is never changed.")
    if asked is not None and not _TXN.fullmatch(asked):
        raise invalid_request("The txn is not an identifier.")
    return given if given is not None else asked


def grantee_of(subject: OwnToken, person: Person) -> Grantee:
    """The login as the subject token has it. Raises `Refused` for a token of no login."""
    claims = subject.claims
    if subject.issued.sid is None or claims.get("sid") != subject.issued.sid:
        raise invalid_request("The subject token rests on no login.")
    return Grantee(person, claims["sid"], claims["auth_time"], claims["acr"], tuple(claims["amr"]))
