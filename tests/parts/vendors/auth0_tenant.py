"""A tenant of Auth0: the part of its Management API that a network needs, and the token endpoint that goes by it alone.

What the API takes is checked, as we understand its documentation: members and their types, names and addresses that are
there once, what cannot be changed any more. Then: who is a client, by which key, and what a grant and a role allow.
"""

import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.parts.vendors.auth0 import Auth0, oauth
from tests.parts.vendors.vendor import ACCESS_TOKEN, CODE, EXCHANGE, REFRESH, SERVICE, Json, Refused

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
SIGN_IN = {"openid", "profile", "email", "offline_access"}
PERSON = "auth0|5f7c"
API: Mapping[str, type] = {
    "identifier": str, "name": str, "scopes": list, "signing_alg": str, "token_dialect": str, "enforce_policies": bool,
    "token_lifetime": int, "token_lifetime_for_web": int, "allow_offline_access": bool,
    "skip_consent_for_verifiable_first_party_clients": bool, "subject_type_authorization": dict,
}  # fmt: skip
CLIENT: Mapping[str, type] = {
    "name": str, "app_type": str, "grant_types": list, "callbacks": list, "allowed_logout_urls": list,
    "oidc_conformant": bool, "is_first_party": bool, "jwt_configuration": dict, "token_exchange": dict,
    "refresh_token": dict, "resource_server_identifier": str, "token_endpoint_auth_method": str,
    "client_authentication_methods": dict,
}  # fmt: skip
GRANT: Mapping[str, type] = {"client_id": str, "audience": str, "subject_type": str, "scope": list}
ROLE: Mapping[str, type] = {"name": str, "description": str}


def refuse(status: int, code: str, message: str) -> Refused:
    """An error of the Management API."""
    kind = {400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 409: "Conflict"}[status]
    return Refused(status, {"statusCode": status, "error": kind, "message": message, "errorCode": code})


def need(holds: object, message: str) -> None:
    if not holds:
        raise refuse(400, "invalid_body", f"Payload validation error: {message}")


@dataclass
class Auth0Tenant(Auth0):
    """`made` is what there is, by kind and id; `roles_of` are the signed-in person's roles, by name."""

    token_of_admin: str = "management-token"
    made: dict[str, dict[str, Json]] = field(default_factory=dict)
    permissions: dict[str, set[tuple[str, str]]] = field(default_factory=dict)
    roles_of: frozenset[str] = frozenset()
    refreshes: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        kinds = {
            "resource-servers": ("id", API, self._check_api),
            "clients": ("client_id", CLIENT, self._check_client),
            "client-grants": ("id", GRANT, self._check_grant),
            "roles": ("id", ROLE, lambda _: None),
        }
        routes = [
            Route("/api/v2/" + kind + at, self._api(kind, *rest), methods=methods)
            for kind, rest in kinds.items()
            for at, methods in (("", ["GET", "POST"]), ("/{at}", ["PATCH"]))
        ]
        allowed = Route("/api/v2/roles/{role}/permissions", self._permissions, methods=["POST"])
        return Starlette(routes=[*super().app().routes, *routes, allowed])

    # ---- the Management API

    def _admit(self, request: Request) -> None:
        self.asked.append(f"{request.method} {request.url.path.removeprefix('/api/v2/')}")
        if request.headers.get("authorization") != f"Bearer {self.token_of_admin}":
            raise refuse(401, "invalid_token", "Invalid token")

    def _api(self, kind: str, id_member: str, shape: Mapping[str, type], check: Any) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                self._admit(request)
                if request.method == "GET":
                    answer: Any = self._listed(request, kind, id_member)
                else:
                    answer = self._kept(kind, id_member, shape, check, await request.json(), **request.path_params)
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)
            status = 201 if request.method == "POST" else 200
            return Response(json.dumps(answer, indent=1), status, media_type="application/json")

        return endpoint

    def _listed(self, request: Request, kind: str, id_member: str) -> list[Json]:
        query = request.query_params
        renamed = {"identifiers": "identifier"}
        wanted = {renamed.get(key, key): query[key] for key in query if renamed.get(key, key) in {*API, *GRANT}}
        held = [{id_member: key, **one} for key, one in self.made.get(kind, {}).items()]
        found = [one for one in held if all(one[name] == value for name, value in wanted.items())]
        if "name_filter" in query:
            found = [one for one in found if query["name_filter"] in one["name"]]
        fields = query.get("fields", "").split(",") if "fields" in query else None
        return [{name: one[name] for name in fields or one} for one in found]

    def _kept(
        self, kind: str, id_member: str, shape: Mapping[str, type], check: Any, body: Json, at: str | None = None
    ) -> Json:
        kept = self.made.setdefault(kind, {})
        for name, value in body.items():
            need(name in shape, f"Additional properties not allowed: {name}")
            need(type(value) is shape[name], f"Expected type {shape[name].__name__} for {name}")
        if at is not None and at not in kept:
            raise refuse(404, "inexistent", f"There is no {kind} {at}")
        fixed = {"identifier", "client_id", "audience", "subject_type", "app_type", "resource_server_identifier"}
        need(at is None or not fixed & body.keys(), "It cannot be changed")
        wanted = {**(kept[at] if at else {}), **body}
        check(wanted)
        grant = ("client_id", "audience", "subject_type")
        unique = {"resource-servers": ("identifier",), "client-grants": grant, "roles": ("name",)}
        names = unique.get(kind, ())
        if any(key != at and names and all(one[x] == wanted[x] for x in names) for key, one in kept.items()):
            raise refuse(409, "already_exists", f"{kind}: it exists already")
        key = at or f"{kind[:3]}_{secrets.token_hex(8)}"
        kept[key] = wanted
        return {id_member: key, **wanted}

    def _check_api(self, body: Json) -> None:
        need(body["token_dialect"] in {"access_token", "rfc9068_profile"} | _AUTHZ, "token_dialect")
        need((body["token_dialect"] in _AUTHZ) <= body["enforce_policies"], "token_dialect needs enforce_policies")
        need(all(one.keys() == {"value", "description"} for one in body["scopes"]), "scopes")
        need(body["signing_alg"] in {"RS256", "PS256", "HS256"}, "signing_alg")
        policies = {one["policy"] for one in body["subject_type_authorization"].values()}
        need(policies <= {"require_client_grant", "allow_all", "deny_all"}, "subject_type_authorization")

    def _check_client(self, body: Json) -> None:
        known = {CODE, REFRESH, SERVICE, EXCHANGE, "implicit", "password"}
        need(set(body["grant_types"]) <= known, "grant_types")
        need(body["app_type"] in {"native", "spa", "regular_web", "non_interactive", "resource_server"}, "app_type")
        apis = {one["identifier"] for one in self.made.get("resource-servers", {}).values()}
        is_api = body["app_type"] == "resource_server"
        need(is_api == ("resource_server_identifier" in body), "resource_server_identifier")
        need(not is_api or body["resource_server_identifier"] in apis, "resource_server_identifier: no such API")
        kinds = set(body.get("token_exchange", {}).get("allow_any_profile_of_type", ()))
        need(kinds <= {"custom_authentication", "on_behalf_of_token_exchange"}, "token_exchange")
        need("on_behalf_of_token_exchange" not in kinds or is_api, "token_exchange: of custom API clients only")
        for policy in body.get("refresh_token", {}).get("policies", ()):
            need(policy.keys() == {"audience", "scope"} and policy["audience"] in apis, "refresh_token.policies")
        methods = body.get("client_authentication_methods", {})
        need(bool(methods) != (body.get("token_endpoint_auth_method") == "none"), "one way to prove itself")
        for one in methods.get("private_key_jwt", {}).get("credentials", ()):
            need(one["credential_type"] == "public_key" and one["alg"] in {"RS256", "RS384", "PS256"}, "credentials")
            public_key(one)

    def _check_grant(self, body: Json) -> None:
        need(body["client_id"] in self.made["clients"], "client_id: no such client")
        need(set(body["scope"]) <= self._scopes(body["audience"]), "scope: not of this API")
        need(body["subject_type"] in {"user", "client"}, "subject_type")

    async def _permissions(self, request: Request) -> Response:
        try:
            self._admit(request)
            role, body = request.path_params["role"], await request.json()
            need(role in self.made["roles"] and body.keys() == {"permissions"}, "no such role")
            for one in body["permissions"]:
                api, scope = one["resource_server_identifier"], one["permission_name"]
                need(scope in self._scopes(api), "permission_name: not of this API")
                self.permissions.setdefault(self.made["roles"][role]["name"], set()).add((api, scope))
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        return JSONResponse({}, 201)

    def _scopes(self, api: str) -> set[str]:
        for one in self.made.get("resource-servers", {}).values():
            if one["identifier"] == api:
                return {scope["value"] for scope in one["scopes"]}
        raise refuse(400, "invalid_body", "audience: no such API")

    # ---- what was set up, put to use

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        app = self.made["clients"].get(asked["client_id"])
        if app is None or asked["redirect_uri"] not in app["callbacks"]:
            return JSONResponse({"error": "invalid_request", "error_description": "Callback URL mismatch."}, 403)
        return super()._authorize(request)

    def _client(self, request: Request, form: dict[str, str]) -> str:
        name = form.get("client_id", "")
        app = self.made.get("clients", {}).get(name)
        if app is None or "authorization" in request.headers or "client_secret" in form:
            raise self.client_refused()
        if app.get("token_endpoint_auth_method") == "none":
            return name
        for one in app["client_authentication_methods"]["private_key_jwt"]["credentials"]:
            if form.get("client_assertion_type") == ASSERTION and self._proved(name, one, form["client_assertion"]):
                return name
        raise self.client_refused()

    def _proved(self, name: str, credential: Json, text: str) -> bool:
        pem = public_key(credential).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        try:
            said = jwt.decode(text, RSAKey.import_key(pem), algorithms=[credential["alg"]]).claims
        except (JoseError, ValueError):
            return False
        return (said["iss"], said["sub"], said["aud"]) == (name, name, self.issuer)

    def token(self, client: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type", "")
        if grant not in self.made["clients"][client]["grant_types"]:
            raise oauth("unauthorized_client", f"Grant type '{grant}' not allowed for the client.", 403)
        if grant == CODE:
            asked = self.redeemed(client, form)
            return self._first(client, asked)
        if grant == REFRESH:
            return self._renewed(client, form)
        if grant == EXCHANGE:
            return self._exchanged(client, form)
        return self._itself(client, form)

    def _first(self, client: str, asked: dict[str, str]) -> Json:
        identity = {"sub": PERSON, "aud": client, "nonce": asked["nonce"], "sid": "s1", "name": "Alice"}
        # Without an API, a token for the tenant's own userinfo, which nobody else can read.
        opaque = {"token_type": "Bearer", "expires_in": 86400, "access_token": secrets.token_urlsafe(24)}
        answer = self._of_person(client, asked["audience"], asked["scope"]) if "audience" in asked else opaque
        return {**answer, "id_token": self.signed(identity, typ="JWT")}

    def _renewed(self, client: str, form: dict[str, str]) -> Json:
        owner, audience, scope = self.refreshes.pop(form.get("refresh_token", ""), ("", "", ""))
        if owner != client:
            raise oauth("invalid_grant", "Unknown or invalid refresh token.", 403)
        policies = self.made["clients"][client].get("refresh_token", {}).get("policies", ())
        wanted = form.get("audience", audience)
        # One that no policy names is passed over in silence, and the first one's token comes back.
        chosen = next((one for one in policies if one["audience"] == wanted), None)
        if chosen is None or wanted == audience:
            return self._of_person(client, audience, scope)
        return self._of_person(client, wanted, " ".join([*chosen["scope"], "offline_access"]))

    def _of_person(self, client: str, audience: str, scope: str) -> Json:
        granted = self._may(client, audience, set(scope.split()) - SIGN_IN)
        openid = "openid" in scope.split()
        aud = [audience, f"{self.origin}/userinfo"] if openid else audience
        said = {"sub": PERSON, "aud": aud, "client_id": client, "azp": client}
        answer = self._plain(said, " ".join([*sorted(granted), *(sorted(SIGN_IN & set(scope.split())))]))
        if "offline_access" in scope.split():
            made = secrets.token_urlsafe(32)
            self.refreshes[made] = (client, audience, scope)
            answer["refresh_token"] = made
        return answer

    def _may(self, client: str, audience: str, wanted: set[str]) -> set[str]:
        """What the client was granted for people, and the person has by a role."""
        by_role = {scope for role in self.roles_of for api, scope in self.permissions.get(role, ()) if api == audience}
        return wanted & self._granted(client, audience, "user") & by_role

    def _granted(self, client: str, audience: str, kind: str) -> set[str]:
        for one in self.made["client-grants"].values():
            if (one["client_id"], one["audience"], one["subject_type"]) == (client, audience, kind):
                return set(one["scope"])
        raise oauth("access_denied", f"Client is not authorized to access resource server {audience}.", 403)

    def _exchanged(self, client: str, form: dict[str, str]) -> Json:
        if form.get("subject_token_type") != ACCESS_TOKEN or not form.get("audience"):
            raise oauth("invalid_request", "Missing required parameter: audience")
        claims, app = self.read(form.get("subject_token", "")), self.made["clients"][client]
        audiences = claims["aud"] if isinstance(claims["aud"], list) else [claims["aud"]]
        if app.get("resource_server_identifier") not in audiences or claims["sub"].endswith("@clients"):
            raise self.grant_refused("the audience is another client's")
        self._check(form.get("scope", ""))
        granted = self._may(client, form["audience"], set(form.get("scope", "").split()))
        act = {"sub": client, **({"act": claims["act"]} if "act" in claims else {})}
        said = {"sub": claims["sub"], "aud": form["audience"], "client_id": client, "act": act}
        return {**self._plain(said, " ".join(sorted(granted))), "issued_token_type": ACCESS_TOKEN}

    def _itself(self, client: str, form: dict[str, str]) -> Json:
        granted = self._granted(client, form["audience"], "client")
        wanted = set(form["scope"].split()) if "scope" in form else granted
        said = {"sub": f"{client}@clients", "aud": form["audience"], "client_id": client}
        return self._plain(said, " ".join(sorted(wanted & granted)))


_AUTHZ = {"access_token_authz", "rfc9068_profile_authz"}


def public_key(credential: Json) -> RSAPublicKey:
    """The key of a credential, which may be given in a certificate. Raises `Refused`."""
    try:
        found = x509.load_pem_x509_certificate(credential["pem"].encode()).public_key()
    except ValueError:
        raise refuse(400, "invalid_body", "credentials: pem is no certificate") from None
    need(isinstance(found, RSAPublicKey), "credentials: RSA only")
    assert isinstance(found, RSAPublicKey)
    return found
