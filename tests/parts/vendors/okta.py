"""Okta, a custom authorization server: `/oauth2/{id}/v1`, scopes in a list `scp`, exchange by audience and scope."""

import secrets
import time
from dataclasses import dataclass, field
from typing import ClassVar

from tests.parts.vendors.vendor import ACCESS_TOKEN, CODE, EXCHANGE, REFRESH, SERVICE, Json, Refused, Vendor

SERVER = "aus1finport2345678"
AUDIENCE = "api://finport"


@dataclass
class Okta(Vendor):
    """The server has one audience; what a token is for is told by its scopes. `login` is the person's user name."""

    login: str = "alice@finport.example"
    refreshes: dict[str, tuple[str, str]] = field(default_factory=dict)
    """The scope of each refresh token and its client; one that was used is gone (rotation without leeway)."""

    paths: ClassVar[tuple[str, str, str, str]] = (
        f"/oauth2/{SERVER}/.well-known/openid-configuration",
        f"/oauth2/{SERVER}/v1/keys",
        f"/oauth2/{SERVER}/v1/authorize",
        f"/oauth2/{SERVER}/v1/token",
    )

    @property
    def issuer(self) -> str:
        return f"{self.origin}/oauth2/{SERVER}"

    def token(self, client: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type")
        if grant == CODE:
            asked = self.redeemed(client, form)
            return self._person(client, asked["scope"], nonce=asked["nonce"])
        if grant == REFRESH:
            return self._refreshed(client, form)
        if grant == EXCHANGE:
            return self._exchanged(client, form)
        if grant == SERVICE:
            self._check(form.get("scope", ""))
            return self._plain({"sub": client, "cid": client}, form["scope"])
        raise oauth("unsupported_grant_type", "The authorization grant type is not supported.")

    def client_refused(self) -> Refused:
        return oauth("invalid_client", "The client secret supplied for a confidential client is invalid.", 401)

    def grant_refused(self, why: str) -> Refused:
        return oauth("invalid_grant", f"'subject_token' is invalid: {why}.")

    def _refreshed(self, client: str, form: dict[str, str]) -> Json:
        scope, owner = self.refreshes.pop(form.get("refresh_token", ""), ("", ""))
        if owner != client:
            raise oauth("invalid_grant", "The refresh token is invalid or expired.")
        return {**self._person(client, scope), **self._offline(client, scope)}

    def _offline(self, client: str, scope: str) -> Json:
        if "offline_access" not in scope.split():
            return {}
        made = secrets.token_urlsafe(32)
        self.refreshes[made] = (scope, client)
        return {"refresh_token": made}

    def _exchanged(self, client: str, form: dict[str, str]) -> Json:
        if not form.get("scope") or form.get("subject_token_type") != ACCESS_TOKEN:
            raise oauth("invalid_request", "The 'scope' and 'subject_token_type' parameters are required.")
        if form.get("audience") != AUDIENCE:
            raise oauth("invalid_target", "The requested audience is not valid.")
        self.read(form.get("subject_token", ""))
        self._check(form["scope"])
        return {**self._person(client, form["scope"]), "issued_token_type": ACCESS_TOKEN}

    def _check(self, scope: str) -> None:
        for one in scope.split():
            trouble = self.trouble.get(one)
            if trouble == "scope":
                raise oauth("invalid_scope", "One or more scopes are not configured for the authorization server.")
            if trouble == "consent":
                raise oauth("consent_required", "The client specified not to prompt, but consent is required.")
            if trouble == "mfa":
                raise oauth("insufficient_user_authentication", "The authentication is not strong enough.")
            if trouble == "policy":
                raise oauth("access_denied", "Policy evaluation failed for this request, please check the policies.")
            if trouble == "down":
                summary = {
                    "errorCode": "E0000047",
                    "errorSummary": "API call exceeded rate limit due to too many requests.",
                }
                raise Refused(429, {**summary, "errorLink": "E0000047", "errorId": "oae1", "errorCauses": []})

    def claimed(self) -> Json:
        """What claims are configured."""
        return {}

    def _person(self, client: str, scope: str, nonce: str | None = None) -> Json:
        said = {**self.claimed(), "sub": self.login, "uid": "00u1alice", "cid": client, "auth_time": int(time.time())}
        answer = self._plain(said, scope)
        if nonce is None:
            return answer
        identity = {"sub": "00u1alice", "aud": client, "nonce": nonce, "ver": 1, "amr": ["pwd"], "name": "Alice"}
        return {**answer, **self._offline(client, scope), "id_token": self.signed(identity)}

    def _plain(self, claims: Json, scope: str) -> Json:
        own = {"ver": 1, "jti": f"AT.{secrets.token_urlsafe(16)}", "aud": AUDIENCE, "scp": scope.split()}
        token = self.signed({**own, **claims})
        return {"token_type": "Bearer", "expires_in": 3600, "access_token": token, "scope": scope}


def oauth(error: str, description: str, status: int = 400) -> Refused:
    """An error of the token endpoint; other endpoints have `errorCode` instead."""
    return Refused(status, {"error": error, "error_description": description})
