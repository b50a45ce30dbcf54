"""A Keycloak realm for the network: what `--import-realm` reads.

A scope's roles are the people's half of a right, and the clients that have the scope as an optional one the actor's: a
token gets a scope where both are met. The scope's mapper puts its services into `aud`.
"""

import json
from typing import Any
from urllib.parse import urljoin, urlsplit

from stead.demo.idp.demand import Demand, Right, settings_for
from stead.demo.idp.keycloak_levels import levels
from stead.demo.idp.keycloak_levels import settings as levels_settings
from stead.identity.errors import InvalidRequest
from stead.identity.samples import Person
from stead.identity.server import CODE, SeedClient
from stead.identity.signals.backchannel import PATH as LOGOUT
from stead.identity.types import Json

BASICS = "stead-basics"
_ATTRIBUTE = "oidc-usermodel-attribute-mapper"
LIFETIME, SESSION = 300, 8 * 3600

_PROFILE = {
    "attributes": [
        {"name": name, "permissions": {"view": ["admin", "user"], "edit": ["admin"]}, "required": {"roles": []}}
        for name in ("username", "email", "firstName", "lastName")
    ],
    "unmanagedAttributePolicy": "ADMIN_EDIT",
}


def realm_of(demand: Demand, issuer: str) -> Json:
    """The realm. Raises `InvalidRequest` where `issuer` is not the address of one."""
    return {
        "realm": name_of(issuer),
        "enabled": True,
        "sslRequired": "none" if issuer.startswith("http://") else "external",
        **levels(),
        "accessTokenLifespan": LIFETIME,
        "ssoSessionMaxLifespan": SESSION,
        "revokeRefreshToken": True,
        "bruteForceProtected": True,
        "roles": {"realm": [{"name": role} for role in demand.roles]},
        "users": [_user(person) for person in demand.persons],
        "clientScopes": [_basics(), _profile(), *(_scope(right) for right in demand.rights)],
        "scopeMappings": [
            {"clientScope": right.scope, "roles": list(right.roles)} for right in demand.rights if right.roles
        ],
        "clients": [_client(client, demand.asks.get(client.client_id, ())) for client in demand.clients],
        "components": {
            "org.keycloak.userprofile.UserProfileProvider": [
                {"providerId": "declarative-user-profile", "config": {"kc.user.profile.config": [json.dumps(_PROFILE)]}}
            ]
        },
    }


def settings_of(demand: Demand, issuer: str) -> Json:
    """The `stead.yaml` that goes with the realm. People are told by their user name, which is theirs for good there."""
    more = {"subject": "preferred_username", "levels": levels_settings(), "backchannel_logout": True}
    return settings_for(demand, issuer, "keycloak", **more)


def name_of(issuer: str) -> str:
    """The realm that an issuer's address names."""
    head, _, name = urlsplit(issuer).path.rpartition("/")
    if not head.endswith("/realms") or not name:
        raise InvalidRequest("This is not the address of a Keycloak realm.", hint="https://HOST/realms/NAME")
    return name


def _user(person: Person) -> Json:
    first, _, last = person.name.partition(" ")
    limit = person.transfer_limit
    told = {} if limit is None else {"transfer_limit": [json.dumps({"amount": str(limit), "currency": "EUR"})]}
    return {
        "username": person.username,
        "firstName": first,
        "lastName": last or first,
        "email": f"{person.username}@finport.example",
        "emailVerified": True,
        "enabled": True,
        "realmRoles": list(person.roles),
        "attributes": told,
        "credentials": [{"type": "password", "value": person.password, "temporary": False}],
    }


def _basics() -> Json:
    """What every token says: who, with which roles, by which login."""
    return _named_scope(
        BASICS,
        [
            _mapper("subject", "oidc-sub-mapper"),
            _mapper("roles", "oidc-usermodel-realm-role-mapper", claim="realm_access.roles", multivalued="true"),
            _mapper("login", "oidc-usersessionmodel-note-mapper", claim="auth_time", note="AUTH_TIME", kind="long"),
            _mapper("strength", "oidc-acr-mapper"),
            _mapper("levels", "oidc-usersessionmodel-note-mapper", claim="levels", note="loa-map", kind="JSON"),
            _mapper("user name", _ATTRIBUTE, claim="preferred_username", attribute="username"),
            _mapper("full name", "oidc-full-name-mapper"),
            _mapper(
                "limit",
                "oidc-usermodel-attribute-mapper",
                claim="transfer_limit",
                attribute="transfer_limit",
                kind="JSON",
            ),
        ],
        shown=False,
    )


def _profile() -> Json:
    return _named_scope("profile", [], shown=True)


def _scope(right: Right) -> Json:
    audiences = [_mapper(f"audience {service}", "oidc-audience-mapper", included=service) for service in right.services]
    return _named_scope(right.scope, audiences, shown=True)


def _named_scope(name: str, mappers: list[Json], *, shown: bool) -> Json:
    attributes = {"include.in.token.scope": str(shown).lower(), "display.on.consent.screen": "false"}
    return {"name": name, "protocol": "openid-connect", "attributes": attributes, "protocolMappers": mappers}


def _mapper(
    name: str,
    kind_of: str,
    *,
    claim: str | None = None,
    attribute: str | None = None,
    note: str | None = None,
    included: str | None = None,
    multivalued: str = "false",
    kind: str = "String",
) -> Json:
    config: dict[str, Any] = {
        "claim.name": claim,
        "user.attribute": attribute,
        "user.session.note": note,
        "included.client.audience": included,
        "multivalued": multivalued if claim else None,
        "jsonType.label": kind if claim else None,
        "id.token.claim": str(included is None).lower(),
        "access.token.claim": "true",
        "introspection.token.claim": "true",
    }
    told = {name: value for name, value in config.items() if value is not None}
    return {"name": name, "protocol": "openid-connect", "protocolMapper": kind_of, "config": told}


def _client(client: SeedClient, scopes: tuple[str, ...]) -> Json:
    signs_in, public = CODE in client.grants, client.key is None
    return {
        "clientId": client.client_id,
        "name": client.name,
        "publicClient": public,
        "clientAuthenticatorType": "client-jwt",
        "serviceAccountsEnabled": not public,
        "standardFlowEnabled": signs_in,
        "directAccessGrantsEnabled": False,
        "implicitFlowEnabled": False,
        "fullScopeAllowed": True,
        "redirectUris": list(client.redirect_uris),
        "defaultClientScopes": [BASICS],
        "optionalClientScopes": [*(["profile"] if signs_in else []), *scopes],
        "attributes": {**_keys(client), **_rules(client, signs_in)},
    }


def _keys(client: SeedClient) -> dict[str, str]:
    if client.key is None:
        return {}
    public = {**client.key.as_dict(private=False), "kid": client.key.kid, "use": "sig", "alg": "ES256"}
    return {
        "use.jwks.string": "true",
        "jwks.string": json.dumps({"keys": [public]}),
        "token.endpoint.auth.signing.alg": "ES256",
        "standard.token.exchange.enabled": "true",
    }


def _rules(client: SeedClient, signs_in: bool) -> dict[str, str]:
    pkce = {"pkce.code.challenge.method": "S256"}
    if not signs_in or not client.post_logout_redirect_uris:
        return pkce if signs_in else {}
    return {
        **pkce,
        "post.logout.redirect.uris": "##".join(client.post_logout_redirect_uris),
        "backchannel.logout.url": urljoin(client.post_logout_redirect_uris[0], LOGOUT),
        "backchannel.logout.session.required": "true",
    }
