"""A custom authorization server of Okta for the network: a script of requests to Okta's management API.

A scope is a right. Who may have it is said twice over: a policy's clients are the actor's half, and its rules' groups
the people's. A group is a role, and has the role's name. Clients prove themselves by keys, so that no secret is made.
"""

import json
import re
import shlex
from collections.abc import Iterator
from urllib.parse import urlsplit

from stead.demo.idp.demand import Demand
from stead.identity.errors import InvalidRequest
from stead.identity.server import CODE, EXCHANGE, REFRESH, SERVICE, SeedClient
from stead.identity.types import Json

AUDIENCE = "api://finport"
SHORTEST_ID = 6
"""Characters: Okta takes no shorter client id."""
ASKED_AT_LOGIN = ("broker:ask", "trail:read")
"""What every customer may have: Okta refuses a login that asks for more than one rule allows."""
SIGNING_IN = ("openid", "profile", "offline_access")
LIFETIME, IDLE = 5, 480
"""Minutes: of an access token, which is the shortest that Okta has, and of a refresh token that nobody uses."""
_EVERYONE = "EVERYONE"

_HEAD = """#!/bin/sh
# Prepares an authorization server of Okta for this network. Put an API token into a file, and run it once:
#   OKTA_TOKEN_FILE=token sh okta-setup.sh
set -eu
: "${OKTA_TOKEN_FILE:?name the file that holds an API token}"

# METHOD PATH BODY. The token goes to curl by a pipe, so that no list of processes shows it.
ask() {
  answer=$(
    printf 'header = "Authorization: SSWS %s"\\n' "$(cat "$OKTA_TOKEN_FILE")" |
      curl -sS --fail-with-body -K - -X "$1" -H 'Accept: application/json' -H 'Content-Type: application/json' \\
        --data "$3" "$ORG/api/v1/$2"
  ) || { echo "$1 $2 was refused: $answer" >&2; exit 1; }
  printf '%s' "$answer"
}

# The same, and what was made is printed as its id.
make() {
  answer=$(ask POST "$1" "$2")
  id=$(printf '%s' "$answer" | grep -o '"id": *"[^"]*"' | head -n 1 | cut -d '"' -f 4)
  [ -n "$id" ] || { echo "POST $1 has made nothing" >&2; exit 1; }
  printf '%s' "$id"
}
"""


def script_of(demand: Demand, issuer: str) -> str:
    """The commands. Raises `InvalidRequest` where `issuer` is not the address of a custom authorization server."""
    org, server = _address(issuer)
    named = f"ORG={shlex.quote(org)}\nSERVER={shlex.quote(server)}\n"
    return "\n".join([_HEAD, named, *_server(demand), *_groups(demand), *_scopes(demand), *_clients(demand)]) + "\n"


def settings_of(demand: Demand, issuer: str) -> Json:
    """The `stead.yaml` that goes with it."""
    _address(issuer)
    web = _id_of("finport-web")
    renamed = {one.client_id: {"client_id": _id_of(one.client_id)} for one in demand.clients}
    described = {
        "issuer": issuer,
        "preset": "okta",
        "first_actors": [_id_of(name) for name in demand.first_actors],
        "audiences": dict.fromkeys(demand.audiences, AUDIENCE),
        "senders": {_id_of(name): address for address, name in demand.audiences.items()},
        "clients": {name: told for name, told in renamed.items() if told["client_id"] != name},
    }
    login = {"issuer": issuer, "client_id": web, "scopes": [*SIGNING_IN, *ASKED_AT_LOGIN], "algorithms": ["RS256"]}
    return {"issuer": issuer, "login": login, "issuers": [described]}


def _address(issuer: str) -> tuple[str, str]:
    parts = urlsplit(issuer)
    found = re.fullmatch(r"/oauth2/([A-Za-z0-9]+)", parts.path)
    if found is None or not parts.netloc:
        raise InvalidRequest(
            "This is not the address of a custom authorization server.", hint="https://ORG.okta.com/oauth2/SERVER-ID"
        )
    return f"{parts.scheme}://{parts.netloc}", found[1]


def _server(demand: Demand) -> Iterator[str]:
    """A token names the network's roles, and none of the person's other groups."""
    body = {"name": "FinPort", "description": "The network of FinPort.", "audiences": [AUDIENCE]}
    yield _asked("PUT", '"authorizationServers/$SERVER"', body)
    claim = {
        "name": "roles",
        "status": "ACTIVE",
        "claimType": "RESOURCE",
        "valueType": "GROUPS",
        "group_filter_type": "REGEX",
        "value": f"^({'|'.join(map(re.escape, demand.roles))})$",
        "alwaysIncludeInToken": True,
        "conditions": {"scopes": []},
    }
    yield _asked("POST", '"authorizationServers/$SERVER/claims"', claim)


def _groups(demand: Demand) -> Iterator[str]:
    for role in demand.roles:
        body = {"profile": {"name": role, "description": f"Has the role {role} in the network."}}
        yield f"{_variable(role)}=$(make groups {_text(body)})"


def _scopes(demand: Demand) -> Iterator[str]:
    for right in demand.rights:
        body = {"name": right.scope, "consent": "IMPLICIT", "metadataPublish": "ALL_CLIENTS", "default": False}
        yield _asked("POST", '"authorizationServers/$SERVER/scopes"', body)


def _clients(demand: Demand) -> Iterator[str]:
    for priority, client in enumerate(demand.clients, 1):
        yield f"\napp=$(make apps {_text(_app(client))})"
        for role in _signing_in(client, demand):
            yield _asked("PUT", f'"apps/$app/groups/${_variable(role)}"', {})
        yield f'policy=$(make "authorizationServers/$SERVER/policies" {_text(_policy(client, priority))})'
        for rule in _rules(client, demand):
            yield _asked("POST", '"authorizationServers/$SERVER/policies/$policy/rules"', rule)


def _signing_in(client: SeedClient, demand: Demand) -> list[str]:
    """The roles whose people are let into the application at all."""
    asks = demand.asks.get(client.client_id, ()) if CODE in client.grants else ()
    return sorted({role for right in demand.rights if right.scope in asks for role in right.roles})


def _app(client: SeedClient) -> Json:
    signs_in = CODE in client.grants
    kind = "native" if client.key is None else "web" if signs_in else "service"
    oauth: Json = {
        "application_type": kind,
        "grant_types": list(client.grants),
        "response_types": ["code"] if signs_in else ["token"],
        "redirect_uris": list(client.redirect_uris),
        "post_logout_redirect_uris": list(client.post_logout_redirect_uris),
    }
    if REFRESH in client.grants:
        oauth["refresh_token"] = {"rotation_type": "ROTATE", "leeway": 0}
    if client.key is not None:
        public = {**client.key.as_dict(private=False), "kid": client.key.kid, "use": "sig", "status": "ACTIVE"}
        oauth["jwks"] = {"keys": [public]}
    how = "none" if client.key is None else "private_key_jwt"
    proof = {"client_id": _id_of(client.client_id), "token_endpoint_auth_method": how, "pkce_required": signs_in}
    return {
        "name": "oidc_client",
        "label": client.name,
        "signOnMode": "OPENID_CONNECT",
        "credentials": {"oauthClient": proof},
        "settings": {"oauthClient": oauth},
    }


def _policy(client: SeedClient, priority: int) -> Json:
    return {
        "type": "OAUTH_AUTHORIZATION_POLICY",
        "name": client.name,
        "description": f"What {client.name} may ask for.",
        "status": "ACTIVE",
        "priority": priority,
        "conditions": {"clients": {"include": [_id_of(client.client_id)]}},
    }


def _rules(client: SeedClient, demand: Demand) -> Iterator[Json]:
    """One for each set of roles, and one for what the client does as itself."""
    asks = [right for right in demand.rights if right.scope in demand.asks.get(client.client_id, ())]
    signing_in = SIGNING_IN if CODE in client.grants else ()
    grants = [CODE, REFRESH] if signing_in else [EXCHANGE]
    for roles in sorted({right.roles for right in asks if right.roles}):
        scopes = [*signing_in, *(right.scope for right in asks if right.roles == roles)]
        yield _rule(f"People: {', '.join(roles)}", grants, scopes, [f"%{_variable(role)}%" for role in roles])
    own = [right.scope for right in asks if not right.roles]
    if own and SERVICE in client.grants:
        yield _rule("As itself", [SERVICE], own, [_EVERYONE])


def _rule(name: str, grants: list[str], scopes: list[str], groups: list[str]) -> Json:
    return {
        "type": "RESOURCE_ACCESS",
        "name": name,
        "status": "ACTIVE",
        "conditions": {
            "people": {"users": {"include": []}, "groups": {"include": groups}},
            "grantTypes": {"include": grants},
            "scopes": {"include": scopes},
        },
        "actions": {
            "token": {
                "accessTokenLifetimeMinutes": LIFETIME,
                "refreshTokenLifetimeMinutes": IDLE,
                "refreshTokenWindowMinutes": IDLE,
            }
        },
    }


def _id_of(name: str) -> str:
    return name if len(name) >= SHORTEST_ID else f"stead-{name}"


def _variable(role: str) -> str:
    return "group_" + re.sub(r"\W", "_", role)


def _asked(method: str, path: str, body: Json) -> str:
    return f"ask {method} {path} {_text(body)} > /dev/null"


def _text(body: Json) -> str:
    """For the shell: a group's `%variable%` is what the shell has in it."""
    return re.sub(r"%(group_\w+)%", r"""'"$\1"'""", shlex.quote(json.dumps(body)))
