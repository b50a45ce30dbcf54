"""An organization at Okta: the part of its management API that a network needs, and the server that is set up by it.

What the API takes is checked, as we understand its documentation: members of the outermost object, kinds,
names that are there once, and ids that are there at all. The token endpoint then goes by it alone: who is a client, by
which key, and which rule of which policy allows what is asked for.
"""

import json
import re
import secrets
from dataclasses import dataclass, field
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, KeySet
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.parts.vendors.okta import SERVER, Okta, oauth
from tests.parts.vendors.vendor import CODE, EXCHANGE, Json, Refused

ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
RESERVED = {"openid", "profile", "offline_access", "email", "address", "phone"}
KINDS: dict[str, dict[str, type]] = {
    "groups": {"profile": dict},
    "scopes": {"name": str, "consent": str, "metadataPublish": str, "default": bool},
    "claims": {"name": str, "status": str, "claimType": str, "valueType": str, "value": str, "conditions": dict}
    | {"group_filter_type": str, "alwaysIncludeInToken": bool},
    "apps": {"name": str, "label": str, "signOnMode": str, "credentials": dict, "settings": dict},
    "policies": {"type": str, "name": str, "description": str, "status": str, "priority": int, "conditions": dict},
    "rules": {"type": str, "name": str, "status": str, "conditions": dict, "actions": dict},
    "server": {"name": str, "description": str, "audiences": list},
}
"""The members of each object that are to be there, all of them, and nothing else."""
APP_GRANTS = {
    "web": {"authorization_code", "refresh_token", "client_credentials", "implicit"},
    "native": {"authorization_code", "refresh_token", "implicit", "password"},
    "service": {"client_credentials"},
}
"""Token exchange is possible besides for each that has a credential."""


def invalid(why: str) -> Refused:
    """How the management API refuses what it was sent."""
    return Refused(
        400,
        {
            "errorCode": "E0000001",
            "errorSummary": f"Api validation failed: {why}",
            "errorLink": "E0000001",
            "errorId": "oae1",
            "errorCauses": [{"errorSummary": why}],
        },
    )


def need(holds: bool, why: str) -> None:
    if not holds:
        raise invalid(why)


def shown(kind: str, key: str, kept: Json) -> Json:
    """As it is answered: not every kind has its id in front, and there is more than was sent."""
    body = {name: value for name, value in kept.items() if name in KINDS[kind]}
    front = {"type": body["type"]} if "type" in body else {}
    more = {"created": "2026-11-25T10:00:00.000Z", "_links": {"self": {"href": "{id}", "hints": {"allow": ["GET"]}}}}
    return {**front, "id": key, **body, **more}


@dataclass
class OktaOrg(Okta):
    """`token_of_admin` opens the API; `made` is what there is, by kind and id; `member_of` are the person's groups."""

    token_of_admin: str = "00-admin"
    made: dict[str, dict[str, Json]] = field(default_factory=dict)
    audiences: list[str] = field(default_factory=list)
    member_of: frozenset[str] = frozenset()
    assigned: set[tuple[str, str]] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def app(self) -> Starlette:
        own, server = super().app(), f"/api/v1/authorizationServers/{SERVER}"
        routes = [
            Route(server, self._api(self._server), methods=["PUT"]),
            *self._collection("/api/v1/groups", "groups", self._group),
            *self._collection("/api/v1/apps", "apps", self._app),
            Route("/api/v1/apps/{app}/groups/{group}", self._api(self._assign), methods=["PUT"]),
            *self._collection(server + "/scopes", "scopes", self._scope),
            *self._collection(server + "/claims", "claims", self._claim),
            *self._collection(server + "/policies", "policies", self._policy),
            *self._collection(server + "/policies/{policy}/rules", "rules", self._rule),
        ]
        return Starlette(routes=[*own.routes, *routes])

    def _collection(self, path: str, kind: str, take: Any) -> list[Route]:
        """To be listed, added to, and each of it replaced."""

        def listed(_: Any, request: Request, policy: str = "") -> list[Json]:
            wanted = request.query_params.get("q", "").lower()
            held = self.made.get(kind, {}).items()
            here = [(key, one) for key, one in held if one["within"] == policy]
            return [shown(kind, key, one) for key, one in here if one["title"].lower().startswith(wanted)]

        return [
            Route(path, self._api(listed, asked=True), methods=["GET"]),
            Route(path, self._api(take), methods=["POST"]),
            Route(path + "/{at}", self._api(take), methods=["PUT"]),
        ]

    def _api(self, take: Any, *, asked: bool = False) -> Any:
        async def endpoint(request: Request) -> Response:
            if request.headers.get("authorization") != f"SSWS {self.token_of_admin}":
                return JSONResponse({"errorCode": "E0000011", "errorSummary": "Invalid token provided"}, 401)
            self.asked.append(f"{request.method} {request.url.path.removeprefix('/api/v1/')}")
            try:
                given = {"request": request, **request.path_params} if asked else request.path_params
                answer = take(None if asked else await request.json(), **given)
            except Refused as refused:
                return JSONResponse(refused.body, refused.status)
            return Response(json.dumps(answer, indent=1), media_type="application/json")

        return endpoint

    def _keep(self, kind: str, prefix: str, body: Json, name: str, within: str = "", at: str | None = None) -> Json:
        shape = KINDS[kind]
        need(body.keys() == shape.keys(), f"{kind}: members {sorted(body.keys() ^ shape.keys())}")
        need(all(type(body[one]) is shape[one] for one in shape), f"{kind}: a member is of another type")
        kept = self.made.setdefault(kind, {})
        others = [one for key, one in kept.items() if key != at]
        need(all((one["as"], one["within"]) != (name, within) for one in others), f"{kind}: {name} exists")
        need(at is None or at in kept, f"{kind}: {at} is not there")
        made = at or prefix + secrets.token_hex(8)
        kept[made] = {**body, "as": name, "within": within, "title": body.get("label", name)}
        return shown(kind, made, kept[made])

    def _server(self, body: Json) -> Json:
        need(body.keys() == KINDS["server"].keys() and len(body["audiences"]) == 1, "audiences: exactly one")
        self.audiences = body["audiences"]
        return {"id": SERVER, **body}

    def _group(self, body: Json, at: str | None = None) -> Json:
        return self._keep("groups", "00g", body, body["profile"]["name"], at=at)

    def _scope(self, body: Json, at: str | None = None) -> Json:
        need(body["name"] not in RESERVED and body["consent"] in {"IMPLICIT", "REQUIRED", "FLEXIBLE"}, "scope")
        return self._keep("scopes", "scp", body, body["name"], at=at)

    def _claim(self, body: Json, at: str | None = None) -> Json:
        need(body["claimType"] == "RESOURCE" and body["valueType"] == "GROUPS", "claim")
        need(body["group_filter_type"] in {"STARTS_WITH", "EQUALS", "CONTAINS", "REGEX"}, "group_filter_type")
        re.compile(body["value"])
        return self._keep("claims", "ocl", body, body["name"], at=at)

    def _app(self, body: Json, at: str | None = None) -> Json:
        need((body["name"], body["signOnMode"]) == ("oidc_client", "OPENID_CONNECT"), "not an OpenID Connect app")
        proof, oauth_client = body["credentials"]["oauthClient"], body["settings"]["oauthClient"]
        need(re.fullmatch(r"[A-Za-z0-9$\-_.+!*'(),]{6,100}", proof["client_id"]) is not None, "client_id")
        kind, grants = oauth_client["application_type"], set(oauth_client["grant_types"])
        need(grants <= APP_GRANTS[kind] | ({EXCHANGE} if kind != "native" else set()), f"grants of {kind}")
        need(kind == "service" or (CODE in grants and bool(oauth_client["redirect_uris"])), "redirect_uris")
        need(oauth_client["response_types"] == (["token"] if kind == "service" else ["code"]), "response_types")
        keyed = proof["token_endpoint_auth_method"] == "private_key_jwt"
        need(keyed == bool(oauth_client.get("jwks", {}).get("keys")), "jwks and private_key_jwt need each other")
        need(all("d" not in key for key in oauth_client.get("jwks", {}).get("keys", ())), "jwks: a private key")
        return self._keep("apps", "0oa", body, proof["client_id"], at=at)

    def _assign(self, body: Json, app: str, group: str) -> Json:
        need(app in self.made["apps"] and group in self.made["groups"] and not body, "no such app or group")
        self.assigned.add((app, group))
        return {"id": group, "priority": 0}

    def _policy(self, body: Json, at: str | None = None) -> Json:
        need(body["type"] == "OAUTH_AUTHORIZATION_POLICY" and body["priority"] >= 1, "policy")
        clients = set(body["conditions"]["clients"]["include"])
        need(clients <= {self._id(one) for one in self._all("apps")}, "conditions.clients: no such client")
        return self._keep("policies", "00p", body, body["name"], at=at)

    def _rule(self, body: Json, policy: str, at: str | None = None) -> Json:
        need(body["type"] == "RESOURCE_ACCESS" and policy in self.made["policies"], "no such policy")
        on = body["conditions"]
        need(set(on["people"]["groups"]["include"]) <= {*self.made["groups"], "EVERYONE"}, "no such group")
        known = {one["name"] for one in self._all("scopes")} | RESERVED
        need(set(on["scopes"]["include"]) <= known, "no such scope")
        need(set(on["grantTypes"]["include"]) <= {*APP_GRANTS["web"], EXCHANGE}, "grantTypes")
        lives = body["actions"]["token"]
        need(5 <= lives["accessTokenLifetimeMinutes"] <= 1440, "accessTokenLifetimeMinutes")
        need(10 <= lives["refreshTokenWindowMinutes"] <= 2628000, "refreshTokenWindowMinutes")
        return self._keep("rules", "0pr", body, body["name"], policy, at)

    def _all(self, kind: str) -> list[Json]:
        return list(self.made.get(kind, {}).values())

    @staticmethod
    def _id(app: Json) -> str:
        return str(app["credentials"]["oauthClient"]["client_id"])

    # What was set up, put to use.

    def _client(self, request: Request, form: dict[str, str]) -> str:
        """By `private_key_jwt` against the keys of the application, as RFC 7523 has it."""
        name = form.get("client_id", "")
        for app in self._all("apps"):
            keys = app["settings"]["oauthClient"].get("jwks")
            if keys and form.get("client_assertion_type") == ASSERTION and self._proved(form, self._id(app), keys):
                return self._id(app)
            if keys is None and name == self._id(app):
                return name
        raise self.client_refused()

    def _proved(self, form: dict[str, str], client: str, keys: Json) -> bool:
        known = [{name: key[name] for name in ("kty", "crv", "x", "y", "kid")} for key in keys["keys"]]
        try:
            said = jwt.decode(
                form["client_assertion"], KeySet([ECKey.import_key(one) for one in known]), algorithms=["ES256"]
            ).claims
        except (JoseError, ValueError):
            return False
        return (said["iss"], said["sub"]) == (client, client) and said["aud"] in {self.issuer, self._token_url}

    @property
    def _token_url(self) -> str:
        return self.origin + self.paths[3]

    def token(self, client: str, form: dict[str, str]) -> Json:
        grant = form.get("grant_type", "")
        code = self.codes.get(form.get("code", ""), {})
        renewed, _ = self.refreshes.get(form.get("refresh_token", ""), ("", ""))
        self._allow(client, grant, set((code.get("scope") or renewed or form.get("scope", "")).split()))
        return super().token(client, form)

    def claimed(self) -> Json:
        """The person's groups, as far as the claim's filter lets them through."""
        return {
            one["name"]: sorted(name for name in self.member_of if re.search(one["value"], name))
            for one in self._all("claims")
        }

    def _allow(self, client: str, grant: str, scopes: set[str]) -> None:
        app = next(one for one in self._all("apps") if self._id(one) == client)
        if grant not in app["settings"]["oauthClient"]["grant_types"]:
            raise oauth("unauthorized_client", "The client is not authorized to use the provided grant type.")
        if not scopes <= {one["name"] for one in self._all("scopes")} | RESERVED:
            raise oauth("invalid_scope", "One or more scopes are not configured for the authorization server.")
        mine = {key for key, one in self.made["policies"].items() if client in one["conditions"]["clients"]["include"]}
        groups = {key for key, one in self.made["groups"].items() if one["as"] in self.member_of} | {"EVERYONE"}
        for rule in self._all("rules"):
            on = rule["conditions"]
            if (
                rule["within"] in mine
                and grant in on["grantTypes"]["include"]
                and scopes <= set(on["scopes"]["include"])
                and groups & set(on["people"]["groups"]["include"])
            ):
                return
        raise oauth("access_denied", "Policy evaluation failed for this request, please check the policies.")
