"""What the measured servers do: as little as a server of their kind can. Each is imported where it is served."""

from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.types import ASGIApp, Json, Scope
from stead.identity.values import Grant
from stead.identity.workload import Workload

SCOPE = "portfolio:read"
LINKS = 5


def passing(hops: int) -> Json:
    """The call that goes through so many links."""
    return {"jsonrpc": "2.0", "id": 1, "method": "pass", "params": {"hops": hops}}


def link_name(number: int) -> str:
    """A link's client id."""
    return f"link-{number}"


def protected(workload: Workload, app: ASGIApp, method: str, resource: str, grant: Grant) -> ASGIApp:
    """An app of which one method is an operation, behind its door."""

    def describe(_: Scope, document: Json) -> Operation | None:
        return Operation(method, resource) if document.get("method") == method else None

    policy = Policy([declared(resource, grant, [SCOPE])], known_resources=(resource,))
    return workload.protect(app, describe=describe, policy=policy, scopes=(SCOPE,), protocol="jsonrpc")
