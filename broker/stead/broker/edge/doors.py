"""What a request to the broker means, which scope its path needs, and what its REST pages answer."""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.broker.edge.card import ASK, REST_PATH, RPC_PATH
from stead.broker.errors import BrokerError
from stead.broker.executor.parked import Parked
from stead.broker.registry.registry import Registry, describe
from stead.identity.errors import InsufficientScope
from stead.identity.ingress import Operation
from stead.identity.policy import Outcome, Policy, Rule
from stead.identity.replies import Protocol, body_of, challenge, reply
from stead.identity.types import ASGIApp, Json, Receive, Scope, Send
from stead.identity.values import Principal

ADMIN, NOTIFY = "registry:admin", "task:notify"
SCOPES = (ASK, ADMIN, NOTIFY)
REGISTRY, PUSH = "/registry", "/push"

_STARTING = {"SendMessage", "SendStreamingMessage"}
_REST_STARTING = {f"{REST_PATH}/message:send": "SendMessage", f"{REST_PATH}/message:stream": "SendStreamingMessage"}

POLICY = Policy.load(
    [
        Rule(
            "ask",
            ("broker.ask",),
            Outcome.ALLOW,
            f'principal.grant in ["login", "obo"] && "{ASK}" in principal.scopes',
            params={"grant": "login", "scopes": (ASK,)},
        ),
        Rule(
            "administer",
            ("registry.add", "registry.remove"),
            Outcome.ALLOW,
            f'principal.grant == "login" && "{ADMIN}" in principal.scopes',
            params={"grant": "login", "scopes": (ADMIN,)},
        ),
    ]
)
"""Who may ask, and who may change the registry: persons, with the scope for it."""


def operation(scope: Scope, document: Json) -> Operation | None:
    """What is asked for. Polls, subscriptions, answers to a running task and hints are no operations of their own."""
    path, method = scope["path"], scope["method"]
    if path == RPC_PATH and document.get("method") in _STARTING:
        return _ask(str(document["method"]), document.get("params"))
    if path in _REST_STARTING:
        return _ask(_REST_STARTING[path], document)
    if path == REGISTRY and method == "POST":
        return Operation("POST", "registry.add", document, effects=True)
    if path.startswith(f"{REGISTRY}/") and method == "DELETE":
        return Operation("DELETE", "registry.remove", {"name": path.removeprefix(f"{REGISTRY}/")}, effects=True)
    return None


def _ask(method: str, params: object) -> Operation | None:
    message = params.get("message") if isinstance(params, Mapping) else None
    task = message.get("taskId") if isinstance(message, Mapping) else None
    # A message to a task is looked up under its owner; anything that could start one is an operation.
    return None if isinstance(task, str) and task else Operation(method, "broker.ask")


def protocol(scope: Scope) -> Protocol:
    """JSON-RPC where A2A speaks it, plain HTTP elsewhere."""
    return "jsonrpc" if scope["path"] == RPC_PATH else "http"


def needed(scope: Scope) -> tuple[str, ...]:
    """The scopes of which a request's path needs one; none where it is public."""
    path, reading = scope["path"], scope["method"] in ("GET", "HEAD")
    if path.startswith("/.well-known/"):
        return ()
    if path == PUSH:
        return (NOTIFY,)
    if path == REGISTRY or path.startswith(f"{REGISTRY}/"):
        return (ASK, ADMIN) if reading else (ADMIN,)
    return (ASK,)


class Scoped:
    """Lets a request through to `app` if its token has one of the scopes that its path needs."""

    def __init__(self, app: ASGIApp, audience: str) -> None:
        self._app = app
        self._audience = audience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        missing = self._missing(scope) if scope["type"] == "http" else None
        if missing is None:
            await self._app(scope, receive, send)
            return
        document = scope.get("state", {}).get("stead.json") or {}
        headers = {"www-authenticate": challenge(self._audience, SCOPES, missing)}
        body = body_of(missing, protocol(scope), request_id=document.get("id"))
        await reply(send, missing.status, body, headers)

    def _missing(self, scope: Scope) -> InsufficientScope | None:
        wanted, principal = needed(scope), scope.get("user")
        if not wanted or (isinstance(principal, Principal) and principal.scopes & set(wanted)):
            return None
        return InsufficientScope(
            "Your token does not allow this.", hint=f"It needs the scope {' or '.join(wanted)}.", scope=wanted[0]
        )


def rest_routes(registry: Callable[[], Registry], parked: Callable[[], Parked]) -> list[Route]:
    """The registry's pages, and the door for agents' hints."""

    async def listed(_: Request) -> Response:
        known = registry()
        return JSONResponse(describe(known.entries(), await known.candidates()))

    async def added(request: Request) -> Response:
        document = request.scope["state"]["stead.json"] or {}
        url, kind, name = document.get("url"), document.get("kind"), document.get("name")
        if not isinstance(url, str) or kind not in (None, "agent", "mcp") or not isinstance(name, str | None):
            hint = 'Send {"url": "http://host:port", "kind": "agent" or "mcp"}.'
            return JSONResponse({"error": "invalid_request", "error_description": "No url.", "hint": hint}, 400)
        known = registry()
        entry = await known.add(url, kind, name)
        planned = frozenset(candidate.key for candidate in await known.candidates())
        return JSONResponse(entry.as_json(planned), 201)

    async def removed(request: Request) -> Response:
        await registry().remove(request.path_params["name"])
        return Response(status_code=204)

    async def pushed(request: Request) -> Response:
        document = request.scope["state"]["stead.json"] or {}
        child = document.get("task")
        if isinstance(child, str) and 0 < len(child) <= 200:
            await parked().hint(child)
        return Response(status_code=202)

    return [
        Route(REGISTRY, _told(listed), methods=["GET"]),
        Route(REGISTRY, _told(added), methods=["POST"]),
        Route(f"{REGISTRY}/{{name}}", _told(removed), methods=["DELETE"]),
        Route(PUSH, _told(pushed), methods=["POST"]),
    ]


def _told(page: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The page, with errors of ours as their JSON."""

    async def told(request: Request) -> Response:
        try:
            return await page(request)
        except BrokerError as error:
            return JSONResponse(error.as_json(), error.status)

    return told
