"""Microsoft Entra ID, endpoint version 2.0: on behalf of, AADSTS numbers, claims challenges, tokens of version 2.0."""

import secrets
from dataclasses import dataclass
from typing import Any, ClassVar

from tests.parts.vendors.vendor import CODE, JWT_BEARER, SERVICE, Json, Refused, Vendor

TENANT = "8f2c6a1e-0d5b-4c7e-9a3f-1b2d3c4e5f60"
ALICE = "00000000-0000-0000-66f3-3332eca7ea81"
CHALLENGE = '{"access_token":{"acrs":{"essential":true,"value":"c1"}}}'


@dataclass
class Entra(Vendor):
    """An app is called by its id; `roles` are what applications were granted, by caller and API."""

    paths: ClassVar[tuple[str, str, str, str]] = (
        f"/{TENANT}/v2.0/.well-known/openid-configuration",
        f"/{TENANT}/discovery/v2.0/keys",
        f"/{TENANT}/oauth2/v2.0/authorize",
        f"/{TENANT}/oauth2/v2.0/token",
    )
    roles: Any = None

    @property
    def issuer(self) -> str:
        return f"{self.origin}/{TENANT}/v2.0"

    def published(self) -> Json:
        """Without `alg`, and with the thumbprint of its certificate."""
        known = super().published()
        del known["alg"]
        return {**known, "x5t": self.kid}

    def token(self, client: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type")
        if grant == CODE:
            return self._signed_in(client, form)
        if grant == JWT_BEARER and form.get("requested_token_use") == "on_behalf_of":
            return self._on_behalf_of(client, form)
        if grant == SERVICE:
            return self._itself(client, form)
        raise aadsts("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")

    def client_refused(self) -> Refused:
        return aadsts("invalid_client", 7000215, "Invalid client secret provided.", status=401)

    def grant_refused(self, why: str) -> Refused:
        number = {"expired": 500133, "signature": 50013, "audience": 500131, "code": 70008, "app": 7000114}[why]
        text = "Assertion is not within its valid time range." if why == "expired" else "The grant is not valid."
        return aadsts("invalid_grant", number, text)

    def _signed_in(self, client: str, form: dict[str, str]) -> Json:
        asked = self.redeemed(client, form)
        scopes = [one for one in asked["scope"].split() if "/" in one]
        identity = {"aud": client, "sub": f"pairwise-{client}", "nonce": asked["nonce"], "tid": TENANT, "ver": "2.0"}
        id_token = self.signed({**identity, "oid": ALICE, "name": "Alice"}, typ="JWT")
        return {**self._answer(client, scopes), "id_token": id_token, "refresh_token": secrets.token_urlsafe(32)}

    def _on_behalf_of(self, client: str, form: dict[str, str]) -> Json:
        claims = self.read(form.get("assertion", ""))
        if claims["aud"] != client:
            raise self.grant_refused("audience")
        if claims.get("idtyp") == "app":
            raise self.grant_refused("app")
        scopes = form["scope"].split()
        self._check(scopes)
        return self._answer(client, scopes)

    def _check(self, scopes: list[str]) -> None:
        for scope in scopes:
            trouble = self.trouble.get(scope.rpartition("/")[2])
            if trouble == "consent":
                text = "The user or administrator has not consented to use the application."
                raise aadsts("invalid_grant", 65001, text, suberror="consent_required")
            if trouble == "mfa":
                text = "Due to a configuration change, you must use multi-factor authentication."
                raise aadsts("interaction_required", 50076, text, suberror="basic_action", claims=CHALLENGE)
            if trouble == "scope":
                raise aadsts("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.")
            if trouble == "target":
                raise aadsts("invalid_resource", 500011, "The resource principal was not found in the tenant.")
            if trouble == "down":
                raise aadsts("temporarily_unavailable", 90033, "A transient error has occurred.", status=503)

    def _itself(self, client: str, form: dict[str, str]) -> Json:
        api, _, what = form["scope"].rpartition("/")
        if what != ".default":
            raise aadsts("invalid_scope", 1002012, "The provided value for scope is not valid.")
        api = api.removeprefix("api://")
        said = {"aud": api, "azp": client, "oid": f"sp-{client}", "sub": f"sp-{client}", "idtyp": "app"}
        return self._plain({**said, "roles": (self.roles or {}).get((client, api), [])})

    def _answer(self, client: str, scopes: list[str]) -> Json:
        api = scopes[0].rpartition("/")[0].removeprefix("api://")
        said = {"aud": api, "azp": client, "oid": ALICE, "sub": f"pairwise-{api}", "name": "Alice"}
        short = " ".join(scope.rpartition("/")[2] for scope in scopes)
        return {**self._plain({**said, "scp": short}), "scope": " ".join(scopes)}

    def _plain(self, claims: Json) -> Json:
        own = {"tid": TENANT, "ver": "2.0", "uti": secrets.token_urlsafe(16), "azpacr": "1"}
        token = self.signed({**own, **claims}, typ="JWT")
        return {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": token}


def aadsts(error: str, number: int, text: str, *, status: int = 400, **more: str) -> Refused:
    """An error as Entra writes it down."""
    trace, correlation, when = "0a1b2c3d", "4e5f6a7b", "2026-11-25 10:00:00Z"
    described = f"AADSTS{number}: {text} Trace ID: {trace} Correlation ID: {correlation} Timestamp: {when}"
    body = {"error": error, "error_description": described, "error_codes": [number], "timestamp": when}
    link = {"error_uri": f"https://login.microsoftonline.com/error?code={number}"}
    return Refused(status, {**body, "trace_id": trace, "correlation_id": correlation, **link, **more})
