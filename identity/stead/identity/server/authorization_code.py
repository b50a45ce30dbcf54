"""The authorization code grant: RFC 6749 s4.1 with PKCE S256 for everybody (RFC 7636, RFC 9700 s2.1.1)."""

import re
from typing import Any

from authlib.oauth2.rfc6749.grants import AuthorizationCodeGrant
from authlib.oauth2.rfc7636 import CodeChallenge

from stead.identity.server.approvals import redeem_approval
from stead.identity.server.authorization import Authorization, Code
from stead.identity.server.client_authentication import ANY
from stead.identity.server.clients import REFRESH, Client
from stead.identity.server.codes import claim_code, new_code
from stead.identity.server.core import Core, Request
from stead.identity.server.errors import invalid_grant, invalid_request
from stead.identity.server.issued import new_family
from stead.identity.server.login_tokens import login_token
from stead.identity.server.logout_notices import takes_part
from stead.identity.server.minting import id_token
from stead.identity.server.people import Person, find_person
from stead.identity.server.proofs import require_key
from stead.identity.server.refresh_token import next_refresh_token
from stead.identity.types import Json

_S256 = re.compile(r"[A-Za-z0-9_-]{43}")


class RequiredChallenge(CodeChallenge):  # type: ignore[misc]
    """PKCE that cannot be left out, by anybody, and never `plain`."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]  # noqa: RUF012  (Authlib's own name and type)

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        data = grant.request.payload.data
        if not _S256.fullmatch(data.get("code_challenge") or ""):
            raise invalid_request("PKCE is required.", hint="Send code_challenge with code_challenge_method=S256.")
        if data.get("code_challenge_method") != "S256":
            raise invalid_request("The code_challenge_method has to be S256.")


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc]
    """Authlib's order of checks, our codes: claimed atomically, bound to client, address, challenge and login."""

    TOKEN_ENDPOINT_AUTH_METHODS = ANY
    server: Core
    request: Request

    def create_authorization_response(self, redirect_uri: str, grant_user: Person) -> tuple[int, str, Any]:
        """The code, and `iss` (RFC 9207)."""
        authorization: Authorization = self.request.authorization
        code = self._new_code(redirect_uri, authorization)
        reply = self.server.answer(redirect_uri, {"code": code}, self.request.payload.state)
        return reply.status, "", list(reply.headers)

    def query_authorization_code(self, code: str, client: Client) -> Code:
        return claim_code(self.server.issuer.store, code, client.client_id, self.server.issuer.now())

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Nothing to do: a claimed code stays as a tombstone, so that its replay is noticed."""

    def authenticate_user(self, authorization_code: Code) -> Person | None:
        return find_person(self.server.issuer.store, authorization_code.authorization.subject)

    def create_token_response(self) -> tuple[int, Json, Any]:
        """Access token, ID token for `openid`, refresh token for clients that may (RFC 6749 s4.1.4)."""
        code: Code = self.request.authorization_code
        person = self.authenticate_user(code)
        if person is None:
            raise invalid_grant("The person of this code is not known any more.")
        return 200, self._tokens(code, person), self.TOKEN_RESPONSE_HEADER

    def _tokens(self, code: Code, person: Person) -> Json:
        issuer, client, authorization = self.server.issuer, self.request.client, code.authorization
        require_key(authorization.jkt, self.request.jkt)
        self._redeem(code)
        resource = self.request.payload.data.get("resource")
        body = login_token(
            issuer,
            client,
            person,
            authorization,
            family=code.family,
            resource=resource,
            confirmation=self.request.confirmation,
        )
        if "openid" in authorization.scopes:
            body["id_token"] = id_token(issuer, client.client_id, person, authorization, code.nonce)
            until = issuer.now() + issuer.settings.session_lifetime
            takes_part(issuer.store, client.client_id, authorization.sid, person.subject, until)
        if client.check_grant_type(REFRESH):
            lasting = authorization.bound_to(self._lasting_key())
            body["refresh_token"] = next_refresh_token(issuer, client.client_id, code.family, lasting)
        return body

    def _lasting_key(self) -> str | None:
        """A public client's refresh token is bound to its key; a confidential one proves itself anyway (s5)."""
        return self.request.proven if self.request.client.jwks is None else None

    def _redeem(self, code: Code) -> None:
        """A consent is good for one token at a time, whatever number of codes was made from it."""
        issuer, consent = self.server.issuer, code.authorization.consent_id
        if consent is not None and not redeem_approval(issuer.store, consent, code.family, issuer.now()):
            raise invalid_grant("The approval was used before.", hint="Ask the person again.")

    def _new_code(self, redirect_uri: str, authorization: Authorization) -> str:
        issuer, data = self.server.issuer, self.request.payload.data
        now, settings = issuer.now(), issuer.settings
        family = new_family(issuer.store, now + settings.code_lifetime + settings.refresh_token_lifetime)
        code = Code(redirect_uri, data["code_challenge"], data.get("nonce"), family, authorization)
        return new_code(issuer.store, self.request.client.client_id, code, now + settings.code_lifetime)
