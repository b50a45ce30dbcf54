"""Auth0: an issuer with a slash at its end, `/oauth/token`, and an `act` that nests five deep."""

import secrets
from dataclasses import dataclass
from typing import ClassVar

from tests.parts.vendors.vendor import ACCESS_TOKEN, CODE, EXCHANGE, SERVICE, Json, Refused, Vendor


@dataclass
class Auth0(Vendor):
    """Every API has the RFC 9068 token profile; a custom API client is an API, too."""

    paths: ClassVar[tuple[str, str, str, str]] = (
        "/.well-known/openid-configuration",
        "/.well-known/jwks.json",
        "/authorize",
        "/oauth/token",
    )
    apis: tuple[tuple[str, str], ...] = ()
    """Which client is which API."""

    @property
    def issuer(self) -> str:
        return f"{self.origin}/"

    def token(self, client: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type")
        if grant == CODE:
            asked = self.redeemed(client, form)
            audience = asked.get("audience") or asked["resource"]
            identity = {"sub": "auth0|5f7c", "aud": client, "nonce": asked["nonce"], "sid": "s1", "name": "Alice"}
            answer = self._plain({"sub": "auth0|5f7c", "aud": audience, "client_id": client}, asked["scope"])
            return {**answer, "id_token": self.signed(identity, typ="JWT")}
        if grant == EXCHANGE:
            return self._exchanged(client, form)
        if grant == SERVICE:
            self._check(form.get("scope", ""))
            return self._plain(
                {"sub": f"{client}@clients", "aud": form["audience"], "client_id": client}, form["scope"]
            )
        raise oauth("unsupported_grant_type", "Unsupported grant type", 403)

    def client_refused(self) -> Refused:
        return oauth("access_denied", "Unauthorized", 401)

    def grant_refused(self, why: str) -> Refused:
        return oauth("invalid_grant", f"Invalid subject_token: {why}", 403)

    def _exchanged(self, client: str, form: dict[str, str]) -> Json:
        if form.get("subject_token_type") != ACCESS_TOKEN or not form.get("audience"):
            raise oauth("invalid_request", "Missing required parameter: audience")
        claims = self.read(form.get("subject_token", ""))
        if (client, claims["aud"]) not in self.apis:
            raise self.grant_refused("the audience is another client's")
        if form["audience"] not in {api for _, api in self.apis}:
            raise oauth("access_denied", f"Service not found: {form['audience']}", 403)
        self._check(form.get("scope", ""))
        act = {"sub": client, **({"act": claims["act"]} if "act" in claims else {})}
        if str(act).count("sub") > 5:
            raise self.grant_refused("the actor chain is too long")
        said = {"sub": claims["sub"], "aud": form["audience"], "client_id": client, "act": act}
        return {**self._plain(said, form["scope"]), "issued_token_type": ACCESS_TOKEN}

    def _check(self, scope: str) -> None:
        for one in scope.split():
            trouble = self.trouble.get(one)
            if trouble == "mfa":
                more = {"mfa_token": secrets.token_urlsafe(8)}
                raise Refused(403, {**oauth("mfa_required", "Multifactor authentication required").body, **more})
            if trouble == "consent":
                raise oauth("consent_required", "Consent required", 403)
            if trouble == "policy":
                raise oauth("access_denied", "User is not authorized to access this resource", 403)
            if trouble == "scope":
                raise oauth("invalid_scope", "The scope is not one of the API's")
            if trouble == "down":
                raise oauth("too_many_requests", "Global limit has been reached", 429)

    def _plain(self, claims: Json, scope: str) -> Json:
        token = self.signed({**claims, "scope": scope, "jti": secrets.token_urlsafe(12)}, typ="at+jwt")
        return {"token_type": "Bearer", "expires_in": 3600, "access_token": token, "scope": scope}


def oauth(error: str, description: str, status: int = 400) -> Refused:
    """An error as Auth0 writes it: often 403 where others say 400."""
    return Refused(status, {"error": error, "error_description": description})
