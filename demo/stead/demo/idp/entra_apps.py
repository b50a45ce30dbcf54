"""What each workload is registered as at Microsoft Entra: one application, which is a client, an API, or both.

A right of people is a delegated scope of the API that puts it to use, and one of services an application role. What
people may is told by application roles as well, since a scope that was consented to is everybody's there.
"""

import base64
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from stead.demo.idp.demand import Demand, Right
from stead.demo.idp.shell import held
from stead.identity.server import CODE, SeedClient
from stead.identity.types import Json

GRAPH = "00000003-0000-0000-c000-000000000000"
SIGN_IN: Mapping[str, str] = {
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
}
"""Microsoft Graph's ids of what a sign-in asks for."""
CALLERS = ("knownClientApplications", "preAuthorizedApplications")
"""The members of an API that are about who calls it."""
_PLAIN_HTTP = frozenset({"localhost", "127.0.0.1"})
"""The hosts to which Entra sends a browser without TLS."""


@dataclass(frozen=True, slots=True)
class Registrations:
    """The network's applications in one tenant. `certificates` are DER, by client."""

    demand: Demand
    tenant: str
    certificates: Mapping[str, bytes]

    def of(self, client: SeedClient) -> Json:
        """The application, all of it: what is sent again changes nothing."""
        name = client.client_id
        public = client.key is None
        return {
            **bare(client),
            "identifierUris": [f"api://{held('app', name)}"] if self.rights(name) else [],
            "api": self._api(name),
            "appRoles": [*self._service_roles(name), *self._person_roles(name)],
            "optionalClaims": {
                "accessToken": [_claim("idtyp"), _claim("auth_time")],
                "idToken": [_claim("auth_time")],
                "saml2Token": [],
            },
            "requiredResourceAccess": list(self._required(client)),
            "isFallbackPublicClient": public,
            "web": {"redirectUris": [] if public else redirects(client)},
            "publicClient": {"redirectUris": redirects(client) if public else []},
            "keyCredentials": self._keys(name),
        }

    def rights(self, service: str) -> list[Right]:
        """The rights that a service puts to use."""
        return [right for right in self.demand.rights if service in right.services]

    def delegated(self, client: SeedClient) -> Mapping[str, list[str]]:
        """The people's scopes that a client may ask for, by service."""
        return self.demand.wanted(client, of_people=True)

    def own(self, client: SeedClient) -> Mapping[str, list[str]]:
        """What a client may as itself, by service."""
        return self.demand.wanted(client, of_people=False)

    def scope_id(self, service: str, scope: str) -> str:
        return self._id(service, "scope", scope)

    def role_id(self, service: str, role: str) -> str:
        return self._id(service, "role", role)

    def roles(self, service: str) -> list[str]:
        """The roles of people that count at a service."""
        return sorted({role for right in self.rights(service) for role in right.roles})

    def _id(self, service: str, kind: str, value: str) -> str:
        """The same at each run: by its id a permission is known."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"stead:{self.tenant}/{service}/{kind}/{value}"))

    def _api(self, name: str) -> Json:
        callers = [one for one in self.demand.clients if name in self.delegated(one)]
        return {
            "requestedAccessTokenVersion": 2,
            "oauth2PermissionScopes": [self._scope(name, right.scope) for right in self.rights(name) if right.roles],
            "knownClientApplications": [held("app", one.client_id) for one in callers],
            "preAuthorizedApplications": [
                {
                    "appId": held("app", one.client_id),
                    "delegatedPermissionIds": [self.scope_id(name, scope) for scope in self.delegated(one)[name]],
                }
                for one in callers
            ],
        }

    def _scope(self, service: str, scope: str) -> Json:
        return {
            "id": self.scope_id(service, scope),
            "value": scope,
            "type": "Admin",
            "isEnabled": True,
            "adminConsentDisplayName": scope,
            "adminConsentDescription": f"{scope} for the person who is signed in.",
        }

    def _service_roles(self, service: str) -> Iterator[Json]:
        for right in self.rights(service):
            if not right.roles:
                yield self._role(service, right.scope, "Application")

    def _person_roles(self, service: str) -> Iterator[Json]:
        for role in self.roles(service):
            yield self._role(service, role, "User")

    def _role(self, service: str, role: str, members: str) -> Json:
        return {
            "id": self.role_id(service, role),
            "value": role,
            "allowedMemberTypes": [members],
            "isEnabled": True,
            "displayName": role,
            "description": f"{role} at this service.",
        }

    def _required(self, client: SeedClient) -> Iterator[Json]:
        delegated, own = self.delegated(client), self.own(client)
        for service in sorted({*delegated, *own}):
            scopes = [{"id": self.scope_id(service, one), "type": "Scope"} for one in delegated.get(service, ())]
            roles = [{"id": self.role_id(service, one), "type": "Role"} for one in own.get(service, ())]
            yield {"resourceAppId": held("app", service), "resourceAccess": [*scopes, *roles]}
        if CODE in client.grants:
            access = [{"id": one, "type": "Scope"} for one in SIGN_IN.values()]
            yield {"resourceAppId": GRAPH, "resourceAccess": access}

    def _keys(self, name: str) -> list[Json]:
        certificate = self.certificates.get(name)
        if certificate is None:
            return []
        key = base64.b64encode(certificate).decode()
        return [{"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": f"CN={name}", "key": key}]


def bare(client: SeedClient) -> Json:
    """As much of it as needs no other application."""
    return {"displayName": f"FinPort: {client.name}", "signInAudience": "AzureADMyOrg"}


def redirects(client: SeedClient) -> list[str]:
    """Where browsers come back to, after signing in and out, as far as Entra lets them."""
    return [one for one in (*client.redirect_uris, *client.post_logout_redirect_uris) if not in_the_clear(one)]


def in_the_clear(url: str) -> bool:
    """Whether Entra refuses the address for its want of TLS."""
    parts = urlsplit(url)
    return parts.scheme != "https" and parts.hostname not in _PLAIN_HTTP


def _claim(name: str) -> Json:
    return {"name": name, "source": None, "essential": False, "additionalProperties": []}
