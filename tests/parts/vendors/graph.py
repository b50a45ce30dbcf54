"""Microsoft Graph, as far as applications are registered by it: what is taken, what is refused, and in which words.

Checked as we understand its documentation: members and their types, ids that are there at all, permissions that may not
go while they are enabled, addresses that a browser may be sent to. An application is not known to the rest of the
directory at once; what stands for it is refused the first time.
"""

import base64
import binascii
import datetime
import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.parts.vendors.vendor import Json, Refused

GRAPH = "00000003-0000-0000-c000-000000000000"
SIGN_IN = frozenset({"openid", "profile", "offline_access", "email", "User.Read"})
API = {"requestedAccessTokenVersion", "oauth2PermissionScopes", "preAuthorizedApplications", "knownClientApplications"}
APPLICATION: dict[str, type] = {
    "displayName": str,
    "signInAudience": str,
    "identifierUris": list,
    "api": dict,
    "appRoles": list,
    "optionalClaims": dict,
    "requiredResourceAccess": list,
    "isFallbackPublicClient": bool,
    "web": dict,
    "publicClient": dict,
    "keyCredentials": list,
}
SCOPE = {"id", "value", "type", "isEnabled", "adminConsentDisplayName", "adminConsentDescription"}
ROLE = {"id", "value", "allowedMemberTypes", "isEnabled", "displayName", "description"}
GROUP: dict[str, type] = {
    "displayName": str,
    "description": str,
    "mailEnabled": bool,
    "mailNickname": str,
    "securityEnabled": bool,
}
VALUE = re.compile(r"[A-Za-z0-9:!#$%&'()*+,\-./;<=>?@\[\]^_`{|}~]{1,120}")


def refuse(code: str, message: str, status: int = 400) -> Refused:
    """An error as Graph writes it."""
    inner = {"date": "2026-11-25T10:00:00", "request-id": str(uuid.uuid4()), "client-request-id": str(uuid.uuid4())}
    return Refused(status, {"error": {"code": code, "message": message, "innerError": inner}})


def need(holds: object, message: str) -> None:
    if not holds:
        raise refuse("Request_BadRequest", message)


def only(body: Json, shape: dict[str, type]) -> None:
    for name, value in body.items():
        need(name in shape, f"Invalid property '{name}'.")
        need(type(value) is shape[name], f"Property {name} has a value of another type.")


def is_guid(text: object) -> bool:
    try:
        return isinstance(text, str) and str(uuid.UUID(text)) == text
    except ValueError:
        return False


@dataclass
class Directory:
    """What there is in the tenant. `members` are the people of a group, by its unique name."""

    token_of_admin: str = "graph-admin"
    applications: dict[str, Json] = field(default_factory=dict)
    principals: dict[str, Json] = field(default_factory=dict)
    groups: dict[str, Json] = field(default_factory=dict)
    grants: dict[str, Json] = field(default_factory=dict)
    assignments: dict[str, Json] = field(default_factory=dict)
    members: dict[str, set[str]] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.principals[GRAPH] = {"id": str(uuid.uuid4()), "appId": GRAPH, "appRoleAssignmentRequired": False}

    def routes(self) -> list[Route]:
        one, v = self._endpoint, "/v1.0"
        return [
            Route(v + "/applications(uniqueName='{name}')", one(self.application), methods=["PATCH", "GET"]),
            Route(
                v + "/applications(uniqueName='{name}')/federatedIdentityCredentials(name='{which}')",
                one(self.federated),
                methods=["PATCH"],
            ),
            Route(v + "/servicePrincipals(appId='{app}')", one(self.principal), methods=["PATCH", "GET"]),
            Route(v + "/servicePrincipals/{sp}/appRoleAssignedTo", one(self.assigned), methods=["GET", "POST"]),
            Route(v + "/groups(uniqueName='{name}')", one(self.group), methods=["PATCH", "GET"]),
            Route(v + "/oauth2PermissionGrants", one(self.granted), methods=["GET", "POST"]),
            Route(v + "/oauth2PermissionGrants/{grant}", one(self.regranted), methods=["PATCH"]),
        ]

    def _endpoint(self, take: Callable[..., tuple[int, Json | None]]) -> Any:
        async def endpoint(request: Request) -> Response:
            try:
                if request.headers.get("authorization") != f"Bearer {self.token_of_admin}":
                    raise refuse("InvalidAuthenticationToken", "Access token validation failure.", 401)
                body = None if request.method == "GET" else await request.json()
                self.asked.append(f"{request.method} {request.url.path.removeprefix('/v1.0/')}")
                status, answer = take(request, body, **request.path_params)
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)
            return Response(status_code=status) if answer is None else JSONResponse(answer, status)

        return endpoint

    def _upsert(self, request: Request, kind: dict[str, Json], name: str, made: Json) -> tuple[int, Json | None]:
        """`made` is what a new one has besides."""
        if name in kind:
            return 204, None
        if request.headers.get("prefer") != "create-if-missing":
            raise refuse("Request_ResourceNotFound", f"Resource '{name}' does not exist.", 404)
        kind[name] = made
        return 201, {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#one/$entity", **made}

    def _selected(self, request: Request, kind: dict[str, Json], name: str) -> tuple[int, Json]:
        if name not in kind:
            raise refuse("Request_ResourceNotFound", f"Resource '{name}' does not exist.", 404)
        names = request.query_params.get("$select", "").split(",")
        need(all(one in kind[name] for one in names), "Could not find a property in $select.")
        chosen = {one: kind[name][one] for one in names}
        return 200, {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#one/$entity", **chosen}

    # ---- applications

    def application(self, request: Request, body: Json | None, name: str) -> tuple[int, Json | None]:
        if body is None:
            return self._selected(request, self.applications, name)
        only(body, APPLICATION)
        need(body.get("displayName"), "Property displayName is required.")
        former = self.applications.get(name, {})
        new = {"id": str(uuid.uuid4()), "appId": str(uuid.uuid4()), "uniqueName": name, "api": {}, "appRoles": []}
        wanted = {**(former or new), **body, "api": {**former.get("api", {}), **body.get("api", {})}}
        self._check(former, wanted)
        answer = self._upsert(request, self.applications, name, wanted)
        self.applications[name] = wanted
        return answer

    def _check(self, former: Json, app: Json) -> None:
        need(app.get("signInAudience") == "AzureADMyOrg", "signInAudience")
        self._check_permissions(former, app)
        self._check_callers(former, app)
        for uri in app.get("identifierUris", ()):
            if uri != f"api://{app['appId']}":
                raise refuse(
                    "HostNameNotOnVerifiedDomain", f"Values of identifierUris must use a verified domain: {uri}"
                )
        for kind in ("web", "publicClient"):
            for uri in app.get(kind, {}).get("redirectUris", ()):
                parts = urlsplit(uri)
                plain = parts.hostname in {"localhost", "127.0.0.1"}
                need(parts.scheme == "https" or plain, f"Reply URL is invalid: must begin with https: {uri}")
        need(len(app.get("optionalClaims", {"saml2Token": []})) in {1, 3}, "optionalClaims")
        for access in app.get("requiredResourceAccess", ()):
            need(is_guid(access["resourceAppId"]), "requiredResourceAccess.resourceAppId")
            for one in access["resourceAccess"]:
                need(is_guid(one["id"]) and one["type"] in {"Scope", "Role"}, "resourceAccess")
        for key in app.get("keyCredentials", ()):
            certificate_in(key)

    def _check_permissions(self, former: Json, app: Json) -> None:
        need(app["api"].keys() <= API, "Invalid property in api.")
        scopes, roles = app["api"].get("oauth2PermissionScopes", []), app["appRoles"]
        need(all(one.keys() == SCOPE and one["type"] in {"User", "Admin"} for one in scopes), "oauth2PermissionScopes")
        need(all(one.keys() == ROLE for one in roles), "appRoles")
        need(all(set(one["allowedMemberTypes"]) <= {"User", "Application"} for one in roles), "allowedMemberTypes")
        everything = [*scopes, *roles]
        need(
            all(is_guid(one["id"]) and VALUE.fullmatch(one["value"]) for one in everything), "A permission is invalid."
        )
        for member in ("id", "value"):
            values = [one[member] for one in everything]
            need(len(values) == len(set(values)), f"It contains duplicate values of {member}.")
        kept = {(one["id"], one["value"]) for one in everything}
        for one in (*former.get("api", {}).get("oauth2PermissionScopes", ()), *former.get("appRoles", ())):
            if one["isEnabled"] and (one["id"], one["value"]) not in kept:
                raise refuse(
                    "CannotDeleteOrUpdateEnabledEntitlement",
                    "Permission (scope or role) cannot be deleted or updated unless disabled first.",
                )

    def _check_callers(self, former: Json, app: Json) -> None:
        stored = {one["id"] for one in former.get("api", {}).get("oauth2PermissionScopes", ())}
        apps = {one["appId"] for one in self.applications.values()}
        for one in app["api"].get("preAuthorizedApplications", ()):
            need(one["appId"] in apps, "preAuthorizedApplications: no such application")
            need(set(one["delegatedPermissionIds"]) <= stored, "preAuthorizedApplications: no such permission")
        need(set(app["api"].get("knownClientApplications", ())) <= apps, "knownClientApplications: no such application")

    def federated(self, request: Request, body: Json | None, name: str, which: str) -> tuple[int, Json | None]:
        assert body is not None
        if name not in self.applications:
            raise refuse("Request_ResourceNotFound", f"Resource '{name}' does not exist.", 404)
        only(body, {"issuer": str, "subject": str, "audiences": list})
        need(len(body) == 3 and len(body["audiences"]) == 1, "issuer, subject and one audience are required.")
        kept = self.applications[name].setdefault("federated", {})
        answer = self._upsert(request, kept, which, {"id": str(uuid.uuid4()), "name": which, **body})
        kept[which] |= body
        return answer

    # ---- what stands for them

    def principal(self, request: Request, body: Json | None, app: str) -> tuple[int, Json | None]:
        if body is None:
            return self._selected(request, self.principals, app)
        only(body, {"appRoleAssignmentRequired": bool, "displayName": str})
        if app not in {one["appId"] for one in self.applications.values()} or app not in self.known:
            self.known.add(app)
            message = f"The appId '{app}' of the service principal does not reference a valid application object."
            raise refuse("NoBackingApplicationObject", message)
        made = {"id": str(uuid.uuid4()), "appId": app, "appRoleAssignmentRequired": False}
        answer = self._upsert(request, self.principals, app, made)
        self.principals[app] |= body
        return answer

    def group(self, request: Request, body: Json | None, name: str) -> tuple[int, Json | None]:
        if body is None:
            return self._selected(request, self.groups, name)
        only(body, GROUP)
        need(name in self.groups or body.keys() == GROUP.keys(), "A required property is missing.")
        need(re.fullmatch(r"[!#-'*-.0-9=?A-Z^-~/+]{1,64}", body["mailNickname"]), "mailNickname")
        answer = self._upsert(request, self.groups, name, {"id": str(uuid.uuid4()), "uniqueName": name})
        self.groups[name] |= body
        return answer

    def assigned(self, request: Request, body: Json | None, sp: str) -> tuple[int, Json | None]:
        here = [one for one in self.assignments.values() if one["resourceId"] == sp]
        if body is None:
            return 200, {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#roles", "value": here}
        only(body, {"principalId": str, "resourceId": str, "appRoleId": str})
        need(len(body) == 3 and body["resourceId"] == sp, "resourceId")
        kinds = {"Application": self.principals, "User": self.groups}
        kind = next((kind for kind, of in kinds.items() if body["principalId"] in {x["id"] for x in of.values()}), None)
        if kind is None:
            raise refuse("Request_ResourceNotFound", "The principal does not exist.", 404)
        roles = {one["id"]: one["allowedMemberTypes"] for one in self.application_of(sp)["appRoles"]}
        need(body["appRoleId"] in roles, "Permission being assigned was not found on application.")
        need(kind in roles[body["appRoleId"]], "Permission being assigned is for another type of principal.")
        same = [one for one in here if all(one[name] == body[name] for name in body)]
        need(not same, "Permission being assigned already exists on the object.")
        made = {"id": base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="), "principalType": kind, **body}
        self.assignments[made["id"]] = made
        return 201, made

    # ---- consent

    def granted(self, request: Request, body: Json | None) -> tuple[int, Json | None]:
        if body is None:
            pairs = re.findall(r"(\w+) eq '([^']*)'", request.query_params["$filter"])
            wanted = dict(pairs)
            need(" and ".join(f"{one} eq '{is_}'" for one, is_ in pairs) == request.query_params["$filter"], "$filter")
            found = [one for one in self.grants.values() if all(one[name] == value for name, value in wanted.items())]
            return 200, {"@odata.context": "https://graph.microsoft.com/v1.0/$metadata#grants", "value": found}
        only(body, {"clientId": str, "consentType": str, "resourceId": str, "scope": str})
        need(len(body) == 4 and body["consentType"] == "AllPrincipals", "consentType")
        self._check_scope(body)
        ids = {one["id"] for one in self.principals.values()}
        need({body["clientId"], body["resourceId"]} <= ids, "clientId or resourceId: no such service principal")
        if any(
            one["clientId"] == body["clientId"] and one["resourceId"] == body["resourceId"]
            for one in self.grants.values()
        ):
            raise refuse("Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists.", 409)
        made = {"id": base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="), "principalId": None, **body}
        self.grants[made["id"]] = made
        return 201, made

    def regranted(self, _: Request, body: Json | None, grant: str) -> tuple[int, Json | None]:
        assert body is not None
        if grant not in self.grants:
            raise refuse("Request_ResourceNotFound", f"Resource '{grant}' does not exist.", 404)
        only(body, {"scope": str})
        self._check_scope({**self.grants[grant], **body})
        self.grants[grant]["scope"] = body["scope"]
        return 204, None

    def _check_scope(self, grant: Json) -> None:
        graph = grant["resourceId"] == self.principals[GRAPH]["id"]
        scopes = set() if graph else {one["value"] for one in self.scopes_of(grant["resourceId"])}
        need(set(grant["scope"].split()) <= (SIGN_IN if graph else scopes), "scope: the resource does not publish it")

    # ---- reading

    def application_of(self, sp: str) -> Json:
        app = next((one["appId"] for one in self.principals.values() if one["id"] == sp), None)
        found = next((one for one in self.applications.values() if one["appId"] == app), None)
        if found is None:
            raise refuse("Request_ResourceNotFound", f"Resource '{sp}' does not exist.", 404)
        return found

    def scopes_of(self, sp: str) -> list[Json]:
        return list(self.application_of(sp)["api"].get("oauth2PermissionScopes", []))


def certificate_in(key: Json) -> x509.Certificate:
    """The certificate of a key credential: RSA, and not run out."""
    need((key.get("type"), key.get("usage")) == ("AsymmetricX509Cert", "Verify"), "keyCredentials: type and usage")
    try:
        found = x509.load_der_x509_certificate(base64.b64decode(key["key"], validate=True))
    except (binascii.Error, ValueError):
        raise refuse("Request_BadRequest", "Key credential value is invalid.") from None
    need(isinstance(found.public_key(), RSAPublicKey), "Key credential: only RSA is supported.")
    need(found.not_valid_after_utc > datetime.datetime.now(datetime.UTC), "Key credential end date is invalid.")
    return found
