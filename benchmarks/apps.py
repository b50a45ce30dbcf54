"""What the measured servers do: as little as a server of their kind can."""

from itertools import pairwise

from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.agents.kit import Agent
from stead.identity.egress import Target
from stead.identity.home import Home
from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.samples import ALICE
from stead.identity.server import (
    CODE,
    REFRESH,
    Seed,
    SeedAudience,
    SeedClient,
    SeedEdge,
    SeedPerson,
    ServerSettings,
    authorization_server,
    seed,
)
from stead.identity.types import ASGIApp, Json, Receive, Scope, Send
from stead.identity.values import Grant
from stead.identity.workload import Workload
from stead.mcp_servers.kit import Server

SCOPE = "portfolio:read"
LINKS = 5


class _Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        await event_queue.enqueue_event(new_text_message(context.get_user_input()))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


def agent(workload: Workload) -> ASGIApp:
    """The A2A SDK's agent, which answers with what it was told."""
    card = AgentCard(
        name="echo",
        description="Says it again.",
        version="1",
        supported_interfaces=[
            AgentInterface(url=f"{workload.url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
    )
    handler = DefaultRequestHandler(_Echo(), InMemoryTaskStore(), card)
    app = Starlette(routes=create_jsonrpc_routes(handler, "/a2a"))
    return _protected(workload, app, "SendMessage", "echo.say", Grant.OBO)


def kept_agent(workload: Workload) -> ASGIApp:
    """An agent of the kit, which answers with what it was told and keeps its tasks."""
    echo = Agent("echo", "Says it again.")

    @echo.skill(scopes=(SCOPE,), examples=["say hello"])
    async def say(text: str) -> str:
        """Says it again."""
        return text

    return echo.app(workload)


def tools(workload: Workload) -> ASGIApp:
    """An MCP server with one tool, which answers with what it was told."""
    server = Server("echo", "Says it again.")

    @server.tool(grant=Grant.OBO, scopes=(SCOPE,))
    async def say(text: str) -> str:
        """Says it again."""
        return text

    return server.app(workload)


def link(workload: Workload, number: str, following: str = "") -> ASGIApp:
    """One of a chain of services: it calls the next in the caller's stead, as often as it is told to."""

    async def answer(request: Request) -> Response:
        left = int((await request.json())["params"]["hops"]) - 1
        if left > 0:
            target = Target(following, (SCOPE,), Grant.OBO)
            async with workload.hop(target, operation="pass", resource="link.pass"):
                reply = await workload.http.post(f"{following}/pass", json=passing(left))
            reply.raise_for_status()
        return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {"left": left}})

    app = Starlette(routes=[Route("/pass", answer, methods=["POST"])])
    return _protected(workload, app, "pass", "link.pass", Grant.LOGIN if number == "1" else Grant.OBO)


def passing(hops: int) -> Json:
    """The call that goes through so many links."""
    return {"jsonrpc": "2.0", "id": 1, "method": "pass", "params": {"hops": hops}}


def link_name(number: int) -> str:
    """A link's client id."""
    return f"link-{number}"


def _protected(workload: Workload, app: ASGIApp, method: str, resource: str, grant: Grant) -> ASGIApp:
    def describe(_: Scope, document: Json) -> Operation | None:
        return Operation(method, resource) if document.get("method") == method else None

    policy = Policy([declared(resource, grant, [SCOPE])], known_resources=(resource,))
    return workload.protect(app, describe=describe, policy=policy, scopes=(SCOPE,), protocol="jsonrpc")


def issuer(home: Home, url: str) -> ASGIApp:
    """An authorization server that knows Alice and the links, and counts the requests at its token endpoint."""
    settings = ServerSettings(url, "Issuer", "corporate", home, "issuer")
    seed(settings, _seed(home))
    return _Counting(authorization_server(settings))


def _seed(home: Home) -> Seed:
    urls = home.network.agents
    names = [link_name(number) for number in range(1, LINKS + 1)]
    terminal = SeedClient("stead-cli", "terminal", redirect_uris=("http://127.0.0.1/callback",), grants=(CODE, REFRESH))
    return Seed(
        persons=(SeedPerson("alice", ALICE.username, ALICE.name, ALICE.password, ALICE.roles),),
        clients=(terminal, *(SeedClient(name, name, home.key(name)) for name in names)),
        audiences=tuple(SeedAudience(urls[name], name, {SCOPE: ("customer",)}, name) for name in names),
        edges=(
            SeedEdge("stead-cli", urls[names[0]], (SCOPE,), "login"),
            *(SeedEdge(one, urls[next_one], (SCOPE,), "obo") for one, next_one in pairwise(names)),
        ),
    )


class _Counting:
    """Answers `/counted` with how many requests its token endpoint had."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._count = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == "/counted":
            await JSONResponse({"token": self._count})(scope, receive, send)
            return
        self._count += scope["type"] == "http" and scope["path"] == "/token"
        await self._app(scope, receive, send)
