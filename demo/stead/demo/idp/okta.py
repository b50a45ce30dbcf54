"""A custom authorization server of Okta for the network: a script of requests to its management API, good to run again.

A scope is a right. Who may have it is said twice over: a policy's clients are the actor's half, and its rules' groups
the people's. A group is a role, and has the role's name. Clients prove themselves by keys, so that no secret is made.
"""

import re
import shlex
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

from stead.demo.idp.demand import Demand
from stead.demo.idp.shell import OBJECTS, held, quoted, variable
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
# Prepares an authorization server of Okta for this network. It can be run again: what is there already, by its name, is
# brought up to date. Put an API token into a file first:
#   OKTA_TOKEN_FILE=token sh okta-setup.sh
set -eu
: "${OKTA_TOKEN_FILE:?name the file that holds an API token}"

# METHOD PATH [BODY]. The token goes to curl by a pipe, so that no list of processes shows it.
ask() {
  answer=$(
    printf 'header = "Authorization: SSWS %s"\\n' "$(cat "$OKTA_TOKEN_FILE")" |
      curl -sS --fail-with-body -K - -X "$1" -H 'Accept: application/json' -H 'Content-Type: application/json' \\
        ${3:+--data "$3"} "$ORG/api/v1/$2"
  ) || { echo "$1 $2 was refused: $answer" >&2; exit 1; }
  printf '%s' "$answer"
}

"""

_KEEP = """
# QUERY COLLECTION MEMBER VALUE BODY: changes the one whose member is so, else makes it, and prints its id.
keep() {
  list=$(ask GET "$2$1")
  id=$(value id "$(with "$3" "$4" "$list")")
  if [ -n "$id" ]; then
    ask PUT "$2/$id" "$5" > /dev/null
  else
    made=$(ask POST "$2" "$5")
    id=$(value id "$made")
  fi
  [ -n "$id" ] || { echo "POST $2 has made nothing" >&2; exit 1; }
  printf '%s' "$id"
}
"""


def script_of(demand: Demand, issuer: str) -> str:
    """The commands. Raises `InvalidRequest` where `issuer` is not the address of a custom authorization server."""
    org, server = _address(issuer)
    named = f"ORG={shlex.quote(org)}\nSERVER={shlex.quote(server)}\n"
    return (
        "\n".join(
            [_HEAD + OBJECTS + _KEEP, named, *_server(demand), *_groups(demand), *_scopes(demand), *_clients(demand)]
        )
        + "\n"
    )


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
    yield _kept("claims", "roles", claim)


def _groups(demand: Demand) -> Iterator[str]:
    for role in demand.roles:
        body = {"profile": {"name": role, "description": f"Has the role {role} in the network."}}
        yield f"{variable('group', role)}=$(keep '?q={quote(role)}' groups name {shlex.quote(role)} {quoted(body)})"


def _scopes(demand: Demand) -> Iterator[str]:
    for right in demand.rights:
        body = {"name": right.scope, "consent": "IMPLICIT", "metadataPublish": "ALL_CLIENTS", "default": False}
        yield _kept("scopes", right.scope, body, f"?q={quote(right.scope, safe='')}")


def _clients(demand: Demand) -> Iterator[str]:
    for priority, client in enumerate(demand.clients, 1):
        query = f"?q={quote(client.name)}&limit=200"
        yield f"\napp=$(keep '{query}' apps client_id {_id_of(client.client_id)} {quoted(_app(client))})"
        for role in _signing_in(client, demand):
            yield _asked("PUT", f'"apps/$app/groups/${variable("group", role)}"', {})
        yield "policy=$(" + _keep("policies", client.name, _policy(client, priority)) + ")"
        for rule in _rules(client, demand):
            yield _kept("policies/$policy/rules", rule["name"], rule)


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
        yield _rule(f"People: {', '.join(roles)}", grants, scopes, [held("group", role) for role in roles])
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


def _keep(kind: str, name: str, body: Json, query: str = "") -> str:
    return f"keep '{query}' \"authorizationServers/$SERVER/{kind}\" name {shlex.quote(name)} {quoted(body)}"


def _kept(kind: str, name: str, body: Json, query: str = "") -> str:
    return f"{_keep(kind, name, body, query)} > /dev/null"


def _asked(method: str, path: str, body: Json) -> str:
    return f"ask {method} {path} {quoted(body)} > /dev/null"
