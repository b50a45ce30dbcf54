"""A tenant of Microsoft Entra for the network: a script of requests to Microsoft Graph, good to run again.

Plain Graph and no template language: `sh`, `curl` and a token are all it takes, and Graph itself has an upsert by a
name of ours (`uniqueName`). Ids are Entra's to give, so that our settings are written by the script, at its end.
"""

import re
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from stead.demo.idp.demand import Demand
from stead.demo.idp.entra_apps import CALLERS, GRAPH, SIGN_IN, Registrations, bare, in_the_clear
from stead.demo.idp.shell import quoted, variable, written_last
from stead.identity.errors import InvalidRequest
from stead.identity.server import CODE, SeedClient
from stead.identity.types import Json

_HEAD = """#!/bin/sh
# Prepares a tenant of Microsoft Entra for this network, and writes stead.yaml beside itself. It can be run again: what
# is there already is brought up to date. Put an access token for Microsoft Graph into a file first:
#   az account get-access-token --resource-type ms-graph --query accessToken --output tsv > token
#   GRAPH_TOKEN_FILE=token sh entra-setup.sh
set -eu
: "${GRAPH_TOKEN_FILE:?name the file that holds an access token for Microsoft Graph}"
: "${GRAPH:=https://graph.microsoft.com/v1.0}"
: "${PAUSE:=5}"

# METHOD PATH [BODY]. The token goes to curl by a pipe, so that no list of processes shows it. What was just made takes
# a while to be known everywhere, so a 404 is asked again.
ask() {
  tries=6
  while :; do
    answer=$(
      printf 'header = "Authorization: Bearer %s"\\n' "$(cat "$GRAPH_TOKEN_FILE")" |
        curl -sS -K - -w '\\n%{http_code}' -X "$1" -H 'Content-Type: application/json' \\
          -H 'Prefer: create-if-missing' ${3:+--data "$3"} "$GRAPH/$2"
    ) || { echo "$1 $2 was not answered" >&2; exit 1; }
    status=$(printf '%s' "$answer" | tail -n 1)
    answer=$(printf '%s' "$answer" | sed '$d')
    case "$status $answer" in
      2*) printf '%s' "$answer"; return ;;
      404* | 429* | 5* | *NoBackingApplicationObject*) tries=$((tries - 1)) ;;
      *) tries=0 ;;
    esac
    [ "$tries" -gt 0 ] || { echo "$1 $2 was refused: $answer" >&2; exit 1; }
    sleep "$PAUSE"
  done
}

# MEMBER JSON: its first value, if there is one.
first() {
  printf '%s' "$2" | tr -d '\\n' | grep -o "\\"$1\\": *\\"[^\\"]*\\"" | head -n 1 | cut -d '"' -f 4
}

# MEMBER JSON: its first value.
member() {
  value=$(first "$1" "$2")
  [ -n "$value" ] || { echo "no $1 in the answer: $2" >&2; exit 1; }
  printf '%s' "$value"
}

# NAME BODY: the id of the application of that name, as clients and APIs are known by it.
application() {
  ask PATCH "applications(uniqueName='$1')" "$2" > /dev/null
  member appId "$(ask GET "applications(uniqueName='$1')?\\$select=appId")"
}

# APPLICATION BODY: the id of what stands for it in the tenant.
principal() {
  ask PATCH "servicePrincipals(appId='$1')" "$2" > /dev/null
  member id "$(ask GET "servicePrincipals(appId='$1')?\\$select=id")"
}

# NAME BODY: the id of the group of that name.
group() {
  ask PATCH "groups(uniqueName='$1')" "$2" > /dev/null
  member id "$(ask GET "groups(uniqueName='$1')?\\$select=id")"
}

# CLIENT API SCOPES: consents for everybody in the tenant to exactly these.
consent() {
  query="clientId%20eq%20'$1'%20and%20resourceId%20eq%20'$2'%20and%20consentType%20eq%20'AllPrincipals'"
  grant=$(first id "$(ask GET "oauth2PermissionGrants?\\$filter=$query")")
  if [ -n "$grant" ]; then
    ask PATCH "oauth2PermissionGrants/$grant" "{\\"scope\\": \\"$3\\"}" > /dev/null
  else
    whose="\\"clientId\\": \\"$1\\", \\"consentType\\": \\"AllPrincipals\\""
    body="{$whose, \\"resourceId\\": \\"$2\\", \\"scope\\": \\"$3\\"}"
    ask POST oauth2PermissionGrants "$body" > /dev/null
  fi
}

# WHO API ROLE: gives a service or a group a role, unless it has it.
assign() {
  held=$(ask GET "servicePrincipals/$2/appRoleAssignedTo?\\$top=999")
  printf '%s' "$held" | tr -d '\\n' | tr '}' '\\n' | grep -F "\\"$1\\"" | grep -qF "\\"$3\\"" && return
  body="{\\"principalId\\": \\"$1\\", \\"resourceId\\": \\"$2\\", \\"appRoleId\\": \\"$3\\"}"
  ask POST "servicePrincipals/$2/appRoleAssignedTo" "$body" > /dev/null
}
"""


def script_of(demand: Demand, issuer: str, certificates: Mapping[str, bytes]) -> str:
    """The commands. `certificates` are DER, by client. Raises `InvalidRequest` where `issuer` is not a tenant's."""
    made = Registrations(demand, tenant_of(issuer), certificates)
    parts = (_clients(made), _groups(made), _apps(made), _consents(made), _assignments(made))
    return "\n".join(
        [
            _HEAD,
            *_left_out(demand),
            *(line for part in parts for line in part),
            written_last(settings_of(demand, issuer)),
        ]
    )


def settings_of(demand: Demand, issuer: str) -> Json:
    """The `stead.yaml` that goes with it, with the script's variables where Entra's ids are to be."""
    rights = demand.rights
    described = {
        "issuer": issuer,
        "preset": "entra",
        "required_claims": {"ver": ["2.0"], "tid": tenant_of(issuer)},
        "binds": False,
        "client_auth": "certificate_jwt",
        "login_clients": [_app(name) for name in demand.login_clients],
        "first_actors": [_app(name) for name in demand.first_actors],
        "audiences": {address: _app(name) for address, name in demand.audiences.items()},
        "role_scopes": {right.scope: right.scope for right in rights if not right.roles},
        "scope_roles": {right.scope: list(right.roles) for right in rights if right.roles},
        "clients": {one.client_id: _settings_of(one) for one in demand.clients},
    }
    return {"issuer": issuer, "issuers": [described]}


def tenant_of(issuer: str) -> str:
    """The tenant that an issuer's address names. Raises `InvalidRequest`."""
    parts = urlsplit(issuer)
    found = re.fullmatch(r"/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})/v2\.0", parts.path)
    if found is None or not parts.netloc:
        raise InvalidRequest(
            "This is not the issuer of a tenant of Microsoft Entra.",
            hint="https://login.microsoftonline.com/TENANT-ID/v2.0, where the id is the number and no domain",
        )
    return found[1]


def _settings_of(client: SeedClient) -> Json:
    return {"client_id": _app(client.client_id), **({} if client.key else {"client_auth": "none"})}


def _app(name: str) -> str:
    return f"${variable('app', name)}"


def _named(name: str) -> str:
    return f"finport-{name}"


def _left_out(demand: Demand) -> Iterator[str]:
    for client in demand.clients:
        for url in filter(in_the_clear, (*client.redirect_uris, *client.post_logout_redirect_uris)):
            yield f"# Left out, as Entra sends nobody to another machine without https: {url} of {client.client_id}."


def _clients(made: Registrations) -> Iterator[str]:
    for client in made.demand.clients:
        name = client.client_id
        app, sp = variable("app", name), variable("sp", name)
        yield f"\n{app}=$(application {_named(name)} {quoted(bare(client))})"
        required = {"appRoleAssignmentRequired": bool(made.rights(name))}
        yield f'{sp}=$(principal "${app}" {quoted(required)})'


def _groups(made: Registrations) -> Iterator[str]:
    yield ""
    for role in made.demand.roles:
        body = {
            "displayName": f"FinPort: {role}",
            "description": f"Has the role {role} in the network.",
            "mailEnabled": False,
            "mailNickname": _named(role),
            "securityEnabled": True,
        }
        yield f"{variable('group', role)}=$(group {_named(role)} {quoted(body)})"


def _apps(made: Registrations) -> Iterator[str]:
    """In two steps: who is allowed a scope beforehand is said once the scope is there."""
    applications = [(_named(one.client_id), made.of(one)) for one in made.demand.clients]
    yield ""
    for name, body in applications:
        api = {member: value for member, value in body["api"].items() if member not in CALLERS}
        yield f"ask PATCH \"applications(uniqueName='{name}')\" {quoted({**body, 'api': api})} > /dev/null"
    for name, body in applications:
        if body["api"]["oauth2PermissionScopes"]:
            again = {"displayName": body["displayName"], "api": body["api"]}
            yield f"ask PATCH \"applications(uniqueName='{name}')\" {quoted(again)} > /dev/null"
    for client, (issuer, subject) in made.demand.platforms.items():
        path = f"applications(uniqueName='{_named(client)}')/federatedIdentityCredentials(name='platform')"
        body = {"issuer": issuer, "subject": subject, "audiences": ["api://AzureADTokenExchange"]}
        yield f'ask PATCH "{path}" {quoted(body)} > /dev/null'


def _consents(made: Registrations) -> Iterator[str]:
    yield f'\ngraph=$(member id "$(ask GET "servicePrincipals(appId=\'{GRAPH}\')?\\$select=id")")'
    for client in made.demand.clients:
        sp = variable("sp", client.client_id)
        if CODE in client.grants:
            yield f'consent "${sp}" "$graph" "{" ".join(SIGN_IN)}"'
        for service, scopes in made.delegated(client).items():
            yield f'consent "${sp}" "${variable("sp", service)}" "{" ".join(scopes)}"'


def _assignments(made: Registrations) -> Iterator[str]:
    yield ""
    for client in made.demand.clients:
        for service, roles in made.own(client).items():
            for role in roles:
                yield _assigned(variable("sp", client.client_id), service, made.role_id(service, role))
    for service in made.demand.audiences.values():
        for role in made.roles(service):
            yield _assigned(variable("group", role), service, made.role_id(service, role))


def _assigned(who: str, service: str, role: str) -> str:
    return f'assign "${who}" "${variable("sp", service)}" {role}'
