"""A tenant of Auth0 for the network: a script of requests to its Management API, good to run again.

A service is an API by its address, and a scope one of its permissions. What people may is said by roles (with RBAC on,
a token has the scopes of the person's roles alone), what clients may ask for by client grants. Who acts in people's
stead is a custom API client: the API itself, as a client. Client ids are Auth0's to give, so the script writes our
settings.
"""

import shlex
from base64 import encodebytes
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from stead.demo.idp.demand import Demand
from stead.demo.idp.shell import OBJECTS, quoted, variable, written_last
from stead.identity.errors import InvalidRequest
from stead.identity.server import CODE, EXCHANGE, REFRESH, SERVICE, SeedClient
from stead.identity.types import Json

LIFETIME, SESSION, IDLE = 300, 8 * 3600, 2 * 3600
"""Seconds: of an access token, of what came of one sign-in, and of a refresh token that nobody uses."""

_HEAD = """#!/bin/sh
# Prepares a tenant of Auth0 for this network, and writes stead.yaml beside itself. It can be run again: what is there
# already, by its name or address, is brought up to date. Put an access token for the Management API into a file first:
#   AUTH0_TOKEN_FILE=token sh auth0-setup.sh
set -eu
: "${AUTH0_TOKEN_FILE:?name the file that holds an access token for the Management API}"

# METHOD PATH [BODY]. The token goes to curl by a pipe, so that no list of processes shows it.
ask() {
  answer=$(
    printf 'header = "Authorization: Bearer %s"\\n' "$(cat "$AUTH0_TOKEN_FILE")" |
      curl -sS --fail-with-body -K - -X "$1" -H 'Accept: application/json' -H 'Content-Type: application/json' \\
        ${3:+--data "$3"} "$TENANT/api/v2/$2"
  ) || { echo "$1 $2 was refused: $answer" >&2; exit 1; }
  printf '%s' "$answer"
}
"""
_KEEP = """
# ID-MEMBER QUERY COLLECTION MEMBER VALUE CHANGED NEW: changes the one whose member is so, else makes it; prints its id.
keep() {
  list=$(ask GET "$3$2")
  id=$(value "$1" "$(with "$4" "$5" "$list")")
  if [ -n "$id" ]; then
    ask PATCH "$3/$id" "$6" > /dev/null
  else
    made=$(ask POST "$3" "$7")
    id=$(value "$1" "$made")
  fi
  [ -n "$id" ] || { echo "POST $3 has made nothing" >&2; exit 1; }
  printf '%s' "$id"
}
"""


@dataclass(frozen=True, slots=True)
class _Collection:
    """Where things of a kind are, which member is their id, and by which they are found again."""

    path: str
    member: str
    id_member: str = "id"


_APIS, _ROLES = _Collection("resource-servers", "identifier"), _Collection("roles", "name")
_CLIENTS, _GRANTS = _Collection("clients", "name", "client_id"), _Collection("client-grants", "audience")


def script_of(demand: Demand, issuer: str, certificates: Mapping[str, bytes]) -> str:
    """The commands. `certificates` are DER, by client. Raises `InvalidRequest` where `issuer` is not a tenant's."""
    named = f"TENANT={shlex.quote(_tenant(issuer))}\n"
    lines = (*_apis(demand), *_roles(demand), *_clients(demand, certificates), *_grants(demand))
    return "\n".join([_HEAD + OBJECTS + _KEEP, named, *lines, written_last(settings_of(demand, issuer))])


def settings_of(demand: Demand, issuer: str) -> Json:
    """The `stead.yaml` that goes with it, with the script's variables where Auth0's client ids are to be."""
    described = {
        "issuer": issuer,
        "preset": "auth0",
        "binds": False,
        "client_auth": "certificate_jwt",
        "login_clients": [_app(name) for name in demand.login_clients],
        "clients": {one.client_id: _settings_of(one) for one in demand.clients},
    }
    return {"issuer": issuer, "issuers": [described]}


def _tenant(issuer: str) -> str:
    parts = urlsplit(issuer)
    if parts.path != "/" or not parts.netloc or parts.query or parts.fragment:
        raise InvalidRequest("This is not the issuer of a tenant of Auth0.", hint="https://TENANT.auth0.com/")
    return f"{parts.scheme}://{parts.netloc}"


def _settings_of(client: SeedClient) -> Json:
    return {"client_id": _app(client.client_id), **({} if client.key else {"client_auth": "none"})}


def _app(name: str) -> str:
    return f"${variable('app', name)}"


def _address(demand: Demand, service: str) -> str:
    return next(address for address, name in demand.audiences.items() if name == service)


def _apis(demand: Demand) -> Iterator[str]:
    for address, name in demand.audiences.items():
        scopes = [one.scope for one in demand.rights if name in one.services]
        body = {
            "name": f"FinPort: {name}",
            "scopes": [{"value": scope, "description": scope} for scope in scopes],
            "signing_alg": "RS256",
            "token_dialect": "rfc9068_profile",
            "enforce_policies": True,
            "token_lifetime": LIFETIME,
            "token_lifetime_for_web": LIFETIME,
            "allow_offline_access": True,
            "skip_consent_for_verifiable_first_party_clients": True,
            "subject_type_authorization": {
                "user": {"policy": "require_client_grant"},
                "client": {"policy": "require_client_grant"},
            },
        }
        query = f"?identifiers={quote(address, safe='')}"
        yield _kept(_APIS, query, address, body, {"identifier": address, **body})


def _roles(demand: Demand) -> Iterator[str]:
    for role in demand.roles:
        body = {"name": f"finport-{role}", "description": f"Has the role {role} in the network."}
        query = f"?name_filter={quote(body['name'])}"
        yield f"\n{variable('role', role)}=$({_keep(_ROLES, query, body['name'], body, body)})"
        permissions = [
            {"resource_server_identifier": _address(demand, service), "permission_name": right.scope}
            for right in demand.rights
            if role in right.roles
            for service in right.services
        ]
        if permissions:
            path = f'"roles/${variable("role", role)}/permissions"'
            yield f"ask POST {path} {quoted({'permissions': permissions})} > /dev/null"


def _clients(demand: Demand, certificates: Mapping[str, bytes]) -> Iterator[str]:
    for client in demand.clients:
        changed, name = _client(client, demand), f"FinPort: {client.name}"
        new = {**changed, **_once(client, demand, certificates.get(client.client_id))}
        query = "?fields=client_id,name&include_fields=true&per_page=100"
        made = _keep(_CLIENTS, query, name, changed, new)
        yield f"\n{variable('app', client.client_id)}=$({made})"


def _client(client: SeedClient, demand: Demand) -> Json:
    """What may be changed of an application."""
    signs_in, acts = CODE in client.grants, _acts(client, demand)
    grants = [one for one in client.grants if one in (CODE, REFRESH, SERVICE) or (one == EXCHANGE and acts)]
    body: Json = {
        "name": f"FinPort: {client.name}",
        "grant_types": grants,
        "callbacks": list(client.redirect_uris),
        "allowed_logout_urls": list(client.post_logout_redirect_uris),
        "oidc_conformant": True,
        "is_first_party": True,
        "jwt_configuration": {"alg": "RS256"},
    }
    if acts:
        body["token_exchange"] = {"allow_any_profile_of_type": ["on_behalf_of_token_exchange"]}
    if signs_in:
        people = demand.wanted(client, of_people=True)
        policies = [{"audience": _address(demand, name), "scope": scopes} for name, scopes in people.items()]
        body["refresh_token"] = {
            "rotation_type": "rotating",
            "expiration_type": "expiring",
            "leeway": 0,
            "token_lifetime": SESSION,
            "idle_token_lifetime": IDLE,
            "policies": policies,
        }
    return body


def _once(client: SeedClient, demand: Demand, certificate: bytes | None) -> Json:
    """What is said of an application when it is made: what it is, and by which key it proves itself."""
    kind = "native" if client.key is None else "regular_web" if CODE in client.grants else "non_interactive"
    body: Json = {"app_type": kind}
    if _acts(client, demand):
        body = {"app_type": "resource_server", "resource_server_identifier": _address(demand, client.client_id)}
    if certificate is None:
        return {**body, "token_endpoint_auth_method": "none"}
    pem = f"-----BEGIN CERTIFICATE-----\n{encodebytes(certificate).decode()}-----END CERTIFICATE-----\n"
    credential = {"credential_type": "public_key", "name": client.client_id, "alg": "PS256", "pem": pem}
    return {**body, "client_authentication_methods": {"private_key_jwt": {"credentials": [credential]}}}


def _acts(client: SeedClient, demand: Demand) -> bool:
    """Whether it goes on in people's stead, by exchange."""
    serves = client.client_id in demand.audiences.values()
    return serves and CODE not in client.grants and bool(demand.wanted(client, of_people=True))


def _grants(demand: Demand) -> Iterator[str]:
    yield ""
    for client in demand.clients:
        for kind, of_people in (("user", True), ("client", False)):
            for service, scopes in demand.wanted(client, of_people=of_people).items():
                yield _grant(client.client_id, _address(demand, service), kind, scopes)


def _grant(client: str, address: str, kind: str, scopes: list[str]) -> str:
    app = _app(client)
    query = f"?client_id={app}&audience={quote(address, safe='')}&subject_type={kind}"
    new = {"client_id": f"%{variable('app', client)}%", "audience": address, "subject_type": kind, "scope": scopes}
    return _kept(_GRANTS, query, address, {"scope": scopes}, new)


def _keep(where: _Collection, query: str, value: str, changed: Json, new: Json) -> str:
    told = f'{where.id_member} "{query}" {where.path} {where.member} {shlex.quote(value)}'
    return f"keep {told} {quoted(changed)} {quoted(new)}"


def _kept(where: _Collection, query: str, value: str, changed: Json, new: Json) -> str:
    return f"{_keep(where, query, value, changed, new)} > /dev/null"
