"""A tenant of Entra that goes by what was registered in it: who is a client, by which certificate, who consented."""

import base64
import hashlib
import secrets
import time
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, RSAKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from tests.parts.vendors.entra import ALICE, TENANT, Entra, aadsts
from tests.parts.vendors.graph import GRAPH, SIGN_IN, Directory, certificate_in
from tests.parts.vendors.vendor import CODE, JWT_BEARER, REFRESH, SERVICE, Json, Refused

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"


@dataclass
class EntraTenant(Entra):
    """`person` is who is signed in, by object id, and `member_of` the groups, by unique name."""

    directory: Directory = field(default_factory=Directory)
    person: str = ALICE
    member_of: frozenset[str] = frozenset()
    platforms: dict[str, KeySet] = field(default_factory=dict)
    """The keys of other issuers whose word counts where an application says so."""
    refreshes: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    """Client, person and scopes of each refresh token. They may be used again here."""
    nonces: dict[str, str] = field(default_factory=dict)

    def app(self) -> Starlette:
        return Starlette(routes=[*super().app().routes, *self.directory.routes()])

    # ---- signing in

    def _authorize(self, request: Request) -> Response:
        asked = dict(request.query_params)
        try:
            app = self._application(asked["client_id"])
            kinds = (app.get("web", {}), app.get("publicClient", {}))
            if asked["redirect_uri"] not in [uri for kind in kinds for uri in kind.get("redirectUris", ())]:
                raise aadsts("invalid_request", 50011, "The redirect URI does not match those configured.")
            self._resources(asked["client_id"], asked["scope"].split())
        except Refused as refused:
            return JSONResponse(refused.body, refused.status)
        return super()._authorize(request)

    def token(self, client: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type")
        if grant == CODE:
            return self._first(client, form)
        if grant == REFRESH:
            return self._renewed(client, form)
        if grant == JWT_BEARER and form.get("requested_token_use") == "on_behalf_of":
            return self._on_behalf_of(client, form)
        if grant == SERVICE:
            return self._itself(client, form)
        raise aadsts("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")

    def _first(self, client: str, form: dict[str, str]) -> Json:
        asked = self.redeemed(client, form)
        if asked["redirect_uri"] != form.get("redirect_uri"):
            raise aadsts("invalid_grant", 50011, "The redirect URI does not match.")
        wanted = form.get("scope", asked["scope"])
        if not set(wanted.split()) <= set(asked["scope"].split()):
            raise aadsts("invalid_grant", 70000, "The scope was not asked for at sign-in.")
        identity = {"aud": client, "sub": f"pairwise-{client}", "nonce": asked["nonce"], "tid": TENANT, "ver": "2.0"}
        id_token = self.signed({**identity, "oid": self.person, "name": "Alice"}, typ="JWT")
        return {**self._of_person(client, self.person, wanted, asked["scope"]), "id_token": id_token}

    def _renewed(self, client: str, form: dict[str, str]) -> Json:
        owner, person, scopes = self.refreshes.get(form.get("refresh_token", ""), ("", "", ""))
        if owner != client:
            raise aadsts("invalid_grant", 9002313, "The refresh token is malformed or invalid.")
        return self._of_person(client, person, form.get("scope", scopes), scopes)

    def _of_person(self, client: str, person: str, wanted: str, all_: str) -> Json:
        """A token for the one API that is wanted; at sign-in with none, a token that is Microsoft Graph's own."""
        answer = self._delegated(client, person, wanted.split())
        if "offline_access" in wanted.split():
            made = secrets.token_urlsafe(32)
            self.refreshes[made] = (client, person, all_)
            answer["refresh_token"] = made
        return answer

    def _on_behalf_of(self, client: str, form: dict[str, str]) -> Json:
        claims = self.read(form.get("assertion", ""))
        if claims["aud"] != client:
            raise self.grant_refused("audience")
        if claims.get("idtyp") == "app":
            raise self.grant_refused("app")
        self._check(form["scope"].split())
        return self._delegated(client, claims["oid"], form["scope"].split())

    def _delegated(self, client: str, person: str, scopes: list[str]) -> Json:
        resources = self._resources(client, scopes)
        if len(resources) > 1:
            raise aadsts("invalid_request", 28000, "The scope contains more than one resource.")
        if not resources:
            return self._opaque(scopes)
        ((api, values),) = resources.items()
        said = {"azp": client, "oid": person, "sub": f"pairwise-{api}", "name": "Alice", "scp": " ".join(values)}
        roles = self._roles_of_person(api, person)
        answer = self._issued(api, {**said, **({"roles": roles} if roles else {}), "auth_time": int(time.time())})
        return {**answer, "scope": " ".join(f"api://{api}/{value}" for value in values)}

    def _opaque(self, scopes: list[str]) -> Json:
        opaque = secrets.token_urlsafe(48)
        return {"token_type": "Bearer", "expires_in": 3599, "access_token": opaque, "scope": " ".join(scopes)}

    def _resources(self, client: str, scopes: list[str]) -> dict[str, list[str]]:
        """The scopes by their API, each of them consented to, for a person that is let in there."""
        found: dict[str, list[str]] = {}
        for scope in scopes:
            if scope in SIGN_IN:
                self._consented(client, GRAPH, scope)
                continue
            api, _, value = scope.rpartition("/")
            app = self._api(api)["appId"]
            self._consented(client, app, value)
            self._let_in(app)
            found.setdefault(app, []).append(value)
        return found

    def _consented(self, client: str, api: str, value: str) -> None:
        known = self.directory.principals
        if api not in known or client not in known:
            raise aadsts("invalid_resource", 500011, "The resource principal was not found in the tenant.")
        pair = known[client]["id"], known[api]["id"]
        if api != GRAPH and value not in {one["value"] for one in self.directory.scopes_of(pair[1])}:
            raise aadsts("invalid_scope", 70011, "The provided value for the input parameter 'scope' is not valid.")
        for grant in self.directory.grants.values():
            if (grant["clientId"], grant["resourceId"]) == pair and value in grant["scope"].split():
                return
        text = "The user or administrator has not consented to use the application."
        raise aadsts("invalid_grant", 65001, text, suberror="consent_required")

    def _let_in(self, api: str) -> None:
        required = self.directory.principals[api]["appRoleAssignmentRequired"]
        if required and not self._roles_of_person(api, self.person):
            raise aadsts("invalid_grant", 50105, "The signed in user is not assigned to a role for the application.")

    def _roles_of_person(self, api: str, _person: str) -> list[str]:
        groups = {one["id"] for name, one in self.directory.groups.items() if name in self.member_of}
        return self._roles(api, groups)

    def _roles(self, api: str, principals: set[str]) -> list[str]:
        sp = self.directory.principals[api]["id"]
        values = {one["id"]: one["value"] for one in self.directory.application_of(sp)["appRoles"]}
        held = [one for one in self.directory.assignments.values() if one["resourceId"] == sp]
        return sorted(values[one["appRoleId"]] for one in held if one["principalId"] in principals)

    def _itself(self, client: str, form: dict[str, str]) -> Json:
        name, _, what = form["scope"].rpartition("/")
        if what != ".default":
            raise aadsts("invalid_scope", 1002012, "The provided value for scope is not valid.")
        api = self._api(name)["appId"]
        me = self.directory.principals[client]["id"]
        roles = self._roles(api, {me})
        if self.directory.principals[api]["appRoleAssignmentRequired"] and not roles:
            raise aadsts("invalid_grant", 501051, "The application is not assigned to a role for the application.")
        said: Json = {"azp": client, "oid": me, "sub": me, **({"roles": roles} if roles else {})}
        optional = self._api(api).get("optionalClaims", {}).get("accessToken", ())
        if "idtyp" in {one["name"] for one in optional}:
            said["idtyp"] = "app"
        return self._issued(api, said)

    def _issued(self, api: str, said: Json) -> Json:
        """Of version 2 where the API wants it, else as it was before."""
        if self._api(api)["api"].get("requestedAccessTokenVersion") == 2:
            return self._plain({"aud": api, **said})
        return self._plain({"aud": f"api://{api}", "ver": "1.0", "appid": said.pop("azp"), **said})

    def _api(self, name: str) -> Json:
        """By the id of the application, or by one of its addresses."""
        for one in self.directory.applications.values():
            if name == one["appId"] or name in one.get("identifierUris", ()):
                return one
        raise aadsts("invalid_resource", 500011, "The resource principal was not found in the tenant.")

    # ---- clients

    def _application(self, client: str) -> Json:
        for one in self.directory.applications.values():
            if one["appId"] == client and client in self.directory.principals:
                return one
        raise aadsts("unauthorized_client", 700016, "Application was not found in the directory.")

    def _client(self, request: Request, form: dict[str, str]) -> str:
        client = form.get("client_id", "")
        app = self._application(client)
        if "client_secret" in form or "authorization" in request.headers:
            raise self.client_refused()
        if form.get("client_assertion_type") != ASSERTION:
            if app.get("isFallbackPublicClient"):
                return client
            raise aadsts("invalid_client", 7000218, "The request body must contain client_assertion or client_secret.")
        if not self._proved(client, app, form.get("client_assertion", "")):
            raise aadsts(
                "invalid_client", 700027, "The certificate used to sign the assertion is not registered.", status=401
            )
        return client

    def _proved(self, client: str, app: Json, text: str) -> bool:
        try:
            header = jws.extract_compact(text.encode()).headers()
            return self._by_certificate(client, app, header, text) or self._by_platform(app, text)
        except (JoseError, ValueError, KeyError):
            return False

    def _by_certificate(self, client: str, app: Json, header: Json, text: str) -> bool:
        for credential in app.get("keyCredentials", ()):
            digest = hashlib.sha256(base64.b64decode(credential["key"])).digest()
            if header.get("x5t#S256") != base64.urlsafe_b64encode(digest).rstrip(b"=").decode():
                continue
            public = certificate_in(credential).public_key()
            pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
            said = jwt.decode(text, RSAKey.import_key(pem), algorithms=["PS256"]).claims
            good = {self.issuer, self.origin + self.paths[3]}
            lives = said["nbf"] <= time.time() < said["exp"] <= said["nbf"] + 600
            return (
                (said["iss"], said["sub"]) == (client, client) and said["aud"] in good and lives and bool(said["jti"])
            )
        return False

    def _by_platform(self, app: Json, text: str) -> bool:
        for trusted in app.get("federated", {}).values():
            keys = self.platforms.get(trusted["issuer"])
            if keys is None:
                continue
            said = jwt.decode(text, keys, algorithms=["RS256"]).claims
            aud = said["aud"] if isinstance(said["aud"], list) else [said["aud"]]
            same = (said["iss"], said["sub"]) == (trusted["issuer"], trusted["subject"])
            return same and aud == trusted["audiences"] and said["exp"] > time.time()
        return False
