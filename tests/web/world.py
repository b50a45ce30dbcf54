"""A small network on loopback: the real identity provider, the real web, and a broker that says what a test gives it.

The broker and the trail speak the real wire behind the real ingress; only what they answer is a sample.
"""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from stead.demo.network.providers import corporate
from stead.demo.web import web_app
from stead.identity.home import Home, Network
from stead.identity.policy import Policy
from stead.identity.settings import LoginSettings, Settings
from stead.identity.types import ASGIApp
from stead.identity.verifier import TrustedIssuer
from stead.identity.workload import Workload
from tests.web import samples

TERMINAL = ("COMPLETED", "REJECTED", "FAILED", "CANCELED")


class SampleBroker:
    """Answers A2A calls with sample tasks, and remembers what it was asked and by whom."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.tasks: dict[str, dict[str, Any]] = {}
        self.trails: dict[str, dict[str, Any]] = {}
        self.next: dict[str, Any] | None = None
        self.asked: list[dict[str, Any]] = []
        self.people: set[str] = set()
        self.away = False
        self.ends_unseen: dict[str, dict[str, Any]] = {}
        self.changed = asyncio.Event()

    def put(self, task: dict[str, Any], trail: dict[str, Any] | None = None) -> None:
        """Sets what a task is from now on, and wakes whoever watches it."""
        self.tasks[task["id"]] = task
        if trail is not None:
            self.trails[task["id"]] = trail
        self.changed.set()
        self.changed = asyncio.Event()

    def routes(self) -> list[Route]:
        return [
            Route("/.well-known/agent-card.json", self.card),
            Route("/registry", self.registry),
            Route("/a2a", self.call, methods=["POST"]),
            Route("/tasks/{task}/trail", self.trail),
        ]

    async def card(self, _: Request) -> Response:
        interface = {"url": f"{self.url}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}
        return JSONResponse(
            {
                "name": "Broker",
                "description": "plans",
                "version": "1",
                "supportedInterfaces": [interface],
                "capabilities": {"streaming": True},
                "defaultInputModes": ["text/plain"],
                "defaultOutputModes": ["text/plain"],
                "skills": [],
            }
        )

    async def registry(self, _: Request) -> Response:
        return JSONResponse(samples.registry())

    async def trail(self, request: Request) -> Response:
        trail = self.trails.get(request.path_params["task"])
        if trail is None:
            return JSONResponse({"error": "not_found", "error_description": "There is no such task."}, 404)
        if request.query_params.get("after", "").startswith("-"):
            return JSONResponse({"error": "invalid_request", "error_description": "after is a number."}, 400)
        if request.query_params.get("after") == str(trail["version"]):
            await asyncio.sleep(min(float(request.query_params.get("wait", 0)), 0.2))
        return JSONResponse(trail)

    async def call(self, request: Request) -> Response:
        if self.away:
            return Response(status_code=503)
        body = await request.json()
        self.people.add(request.user.subject)
        method, params = body["method"], body.get("params", {})
        if method in ("SendMessage", "SendStreamingMessage"):
            return self._heard(method, body, params["message"])
        if method == "ListTasks":
            listed = list(reversed(self.tasks.values()))
            return self._result(body, {"tasks": listed, "totalSize": len(listed), "pageSize": 20, "nextPageToken": ""})
        return self._about(method, body, params)

    def _heard(self, method: str, body: dict[str, Any], message: dict[str, Any]) -> Response:
        self.asked.append(message)
        task = self._made(message)
        self.put(task)
        if method == "SendStreamingMessage":
            return StreamingResponse(self._stream(body, task["id"]), media_type="text/event-stream")
        return self._result(body, {"task": task})

    def _about(self, method: str, body: dict[str, Any], params: dict[str, Any]) -> Response:
        task = self.tasks.get(params["id"])
        if task is None:
            error = {"code": -32001, "message": "Task not found"}
            return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "error": error})
        if method == "SubscribeToTask":
            if task["id"] in self.ends_unseen:
                self.put(self.ends_unseen.pop(task["id"]))
                return self._over(body)
            return StreamingResponse(self._stream(body, task["id"]), media_type="text/event-stream")
        if method == "CancelTask":
            task = {**task, "status": {"state": "TASK_STATE_CANCELED"}}
            self.put(task)
        return self._result(body, task)

    def _over(self, body: dict[str, Any]) -> Response:
        error = {"code": -32004, "message": "The task is over."}
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "error": error})

    def _made(self, message: dict[str, Any]) -> dict[str, Any]:
        known = self.tasks.get(message.get("taskId", ""))
        if known is not None:
            declined = "The person declined."
            status = {"state": "TASK_STATE_REJECTED", "message": {"parts": [{"text": declined}]}}
            return {**known, "status": status}
        text = message["parts"][0]["text"]
        made = self.next or samples.task(f"t-{len(self.asked)}", text, "WORKING")
        self.next = None
        return made

    async def _stream(self, body: dict[str, Any], task: str) -> AsyncIterator[bytes]:
        while True:
            changed = self.changed
            result = {"task": self.tasks[task]}
            yield f"data: {json.dumps({'jsonrpc': '2.0', 'id': body['id'], 'result': result})}\n\n".encode()
            if self.tasks[task]["status"]["state"].removeprefix("TASK_STATE_") in TERMINAL:
                return
            await changed.wait()

    def _result(self, body: dict[str, Any], result: dict[str, Any]) -> Response:
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": result})


class World:
    """The running network."""

    def __init__(
        self, home: Home, broker: SampleBroker, stack: AsyncExitStack, settings: Settings | None = None
    ) -> None:
        self._settings = settings
        self.home = home
        self.broker = broker
        self.url = home.network.web
        self._stack = stack

    async def start_web(self) -> None:
        """Starts the web, again if it ran: a new process in all but name, on the same state directory."""
        await self._stack.aclose()
        host, port = self.url.removeprefix("http://").split(":")
        self.workload = Workload.open("finport-web", home=self.home, settings=self._settings)
        app = web_app(self.workload)
        await self._stack.enter_async_context(_serving({"web": (app, _listening(host, int(port)))}))


@asynccontextmanager
async def running(home: Home, foreign: LoginSettings | None = None) -> AsyncIterator[World]:
    """Serves it all until the block ends; people sign in at the `foreign` provider if there is one."""
    sockets = {name: _listening(f"127.0.0.{last}") for name, last in _HOSTS.items()}
    network = _network({name: f"http://{one.getsockname()[0]}:{one.getsockname()[1]}" for name, one in sockets.items()})
    home.record(network)
    broker = SampleBroker(network.broker)
    apps: dict[str, ASGIApp] = {
        "corporate_idp": corporate(home, network.corporate_idp),
        "broker": _protected(
            Workload.open("broker", home=home, issuers=_trusted(foreign, network)),
            broker,
            "jsonrpc",
            ("broker:ask", "registry:admin"),
        ),
        "trail": _protected(Workload.open("trail", home=home), broker, "http", ("trail:read",)),
        "portfolio": _protected(Workload.open("portfolio-agent", home=home), broker, "jsonrpc", ("portfolio:read",)),
    }
    for name in sockets.keys() - apps.keys():
        sockets[name].close()
    async with _serving({name: (apps[name], sockets[name]) for name in apps}), AsyncExitStack() as stack:
        world = World(home, broker, stack, None if foreign is None else _settings(foreign, network))
        await world.start_web()
        yield world


_HOSTS = {"web": 1, "corporate_idp": 2, "bank_idp": 3, "transfer": 4, "broker": 5, "trail": 6, "portfolio": 7}


def _network(urls: dict[str, str]) -> Network:
    samples.place(
        broker=urls["broker"], transfer=urls["transfer"], bank=urls["bank_idp"], corporate=urls["corporate_idp"]
    )
    return Network(
        web=urls["web"],
        broker=urls["broker"],
        trail=urls["trail"],
        corporate_idp=urls["corporate_idp"],
        bank_idp=urls["bank_idp"],
        agents={"portfolio": urls["portfolio"], "market_data": "http://127.0.0.8:1", "transfer": urls["transfer"]},
        mcp_servers={
            name: f"http://127.0.0.9:{port}" for port, name in enumerate(("holdings", "quotes", "payments"), 1)
        },
    )


def _settings(foreign: LoginSettings, network: Network) -> Settings:
    """Settings of a web whose people sign in elsewhere."""
    return Settings(login=foreign.model_copy(update={"resource": network.broker}))


def _trusted(foreign: LoginSettings | None, network: Network) -> list[TrustedIssuer]:
    trusted = [TrustedIssuer(network.corporate_idp)]
    return trusted if foreign is None else [*trusted, TrustedIssuer(foreign.issuer, foreign.algorithms)]


def _protected(workload: Workload, broker: SampleBroker, protocol: Any, scopes: tuple[str, ...]) -> ASGIApp:
    return workload.protect(
        Starlette(routes=broker.routes()),
        describe=lambda scope, body: None,
        policy=Policy.load([], known_resources=(), known_claims=()),
        scopes=scopes,
        protocol=lambda scope: protocol if scope["method"] == "POST" and scope["path"] == "/a2a" else "http",
        public=lambda scope: str(scope["path"]).startswith("/.well-known/"),
    )


def _listening(host: str, port: int = 0) -> socket.socket:
    one = socket.socket()
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    one.bind((host, port))
    one.listen(128)
    return one


@asynccontextmanager
async def _serving(apps: dict[str, tuple[ASGIApp, socket.socket]]) -> AsyncIterator[None]:
    servers, tasks = [], []
    for app, listener in apps.values():
        config = uvicorn.Config(app, http="httptools", lifespan="on", log_config=None, timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        servers.append(server)
        tasks.append(asyncio.create_task(server._serve(sockets=[listener])))
    while not all(server.started for server in servers):
        await asyncio.sleep(0.01)
    try:
        yield
    finally:
        for server in reversed(servers):
            server.should_exit = True
        await asyncio.gather(*tasks)
