"""The client credentials grant (RFC 6749 s4.4): a workload as itself, over an edge, to one audience."""

from typing import Any

from authlib.oauth2.rfc6749.grants import ClientCredentialsGrant

from stead.identity.server.authority import EDGES_READ, Mode, check_edge, check_scopes, edges_of, require_audience
from stead.identity.server.calls import Parameters
from stead.identity.server.client_authentication import CONFIDENTIAL
from stead.identity.server.core import Core, Request
from stead.identity.server.errors import invalid_scope, invalid_target
from stead.identity.server.minting import Issuance, access_token
from stead.identity.types import Json


class ServiceGrant(ClientCredentialsGrant):  # type: ignore[misc]
    """A token without a person: `sub` is the client, and there is no `act` and no session."""

    TOKEN_ENDPOINT_AUTH_METHODS = CONFIDENTIAL
    server: Core
    request: Request

    def create_token_response(self) -> tuple[int, Json, Any]:
        """One audience, scopes of its service edges only. Raises `Refused`."""
        issuer, client = self.server.issuer, self.request.client
        audience = single_target(self.request.parameters)
        scopes = self._scopes(audience, tuple(dict.fromkeys((self.request.payload.scope or "").split())))
        body = access_token(
            issuer, Issuance(client.client_id, audience, scopes, confirmation=self.request.confirmation)
        )
        return 200, body, self.TOKEN_RESPONSE_HEADER

    def _scopes(self, audience: str, wanted: tuple[str, ...]) -> tuple[str, ...]:
        issuer, client = self.server.issuer, self.request.client
        if audience == issuer.name and set(wanted) <= {EDGES_READ}:
            return (EDGES_READ,)  # every workload may read its own edges
        found = require_audience(issuer.store, audience)
        check_scopes(found, wanted)
        edges = edges_of(issuer.store, client.client_id)
        check_edge(edges, found, wanted, Mode.S2S)
        scopes = wanted or tuple(sorted(edges.scopes(audience, Mode.S2S)))
        if not scopes:
            raise invalid_scope(f"{client.client_id} may not ask {found.name} for anything for itself.")
        return scopes


def single_target(parameters: Parameters) -> str:
    """The one audience of the request, by `resource` (RFC 8707) or `audience` (RFC 8693). Raises `Refused`."""
    named = set(parameters.all("resource")) | set(parameters.all("audience"))
    if len(named) != 1:
        raise invalid_target(
            "The request names no audience." if not named else "The request names more than one audience.",
            hint="Send one resource parameter: the origin of the service.",
        )
    return named.pop()
