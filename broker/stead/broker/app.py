"""The broker as one app: registry, planner, executor and edge, put together for as long as the process lives."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes, create_rest_routes
from a2a.types import AgentCard
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from starlette.applications import Starlette
from starlette.routing import Route

from stead.broker.edge.board import TaskBoard
from stead.broker.edge.card import REST_PATH, RPC_PATH, broker_card, with_examples
from stead.broker.edge.doors import POLICY, PUSH, SCOPES, Scoped, operation, protocol, rest_routes
from stead.broker.edge.methods import Methods
from stead.broker.edge.requests import Requests
from stead.broker.executor import durable
from stead.broker.executor.agents import Agents
from stead.broker.executor.attempts import Attempts
from stead.broker.executor.errands import Errand
from stead.broker.executor.office import Office, close_office, open_office
from stead.broker.executor.replies import Reply
from stead.broker.executor.subjects import Subjects
from stead.broker.executor.tools import Tools
from stead.broker.planner import planner
from stead.broker.registry import Catalogue, Registry, Status
from stead.identity.patience import Unavailable, tell, telling
from stead.identity.types import ASGIApp
from stead.identity.vault_async import AsyncVault
from stead.identity.vaults import open_vault
from stead.identity.workload import Workload

NAME = "broker"
GATHERING = 10.0
"""Seconds after start for which readiness waits for the network's own agents; without one, one still plans."""


def broker_app(workload: Workload) -> ASGIApp:
    """The broker that runs as `workload`. It needs the ASGI lifespan, and is the only one of its process.

    Raises `ConfigurationError` for a planner that cannot be used.
    """
    settings = workload.settings
    engine = _engine(workload)
    board, requests, attempts = TaskBoard(engine), Requests(engine), Attempts(engine)
    registry = Registry(workload, Catalogue(engine))
    vault = AsyncVault(open_vault(workload.home, settings.vault, f"{NAME}-vault"))
    subjects = Subjects(vault, workload.verifier, workload.clock)
    office = Office(
        workload=workload,
        registry=registry,
        planner=planner(settings.planner, settings.planner_base_url, settings.planner_seconds),
        subjects=subjects,
        agents=Agents(workload, subjects, f"{workload.url}{PUSH}"),
        tools=Tools(workload, subjects, attempts),
        board=board,
    )

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        await asyncio.gather(board.open(), requests.open(), attempts.open())
        await registry.open(workload.home.network)
        async with _working(office):
            yield
        await vault.close()
        await engine.dispose()

    started = time.monotonic()

    def ready() -> bool:
        gathered = all(entry.status in (Status.READY, Status.CLOSED) for entry in registry.entries())
        return gathered or time.monotonic() - started > GATHERING

    routes = _routes(workload, office, Methods(office, board, requests))
    inner = Starlette(routes=routes, lifespan=lifespan, exception_handlers={Unavailable: tell})
    return workload.protect(
        Scoped(inner, workload.url),
        describe=operation,
        policy=POLICY,
        scopes=SCOPES,
        protocol=protocol,
        ready=ready,
    )


@asynccontextmanager
async def _working(office: Office) -> AsyncIterator[None]:
    """Opens the office, wakes what the last process left, and looks after registry and parked steps meanwhile."""

    async def look(errand: Errand, child: str) -> Reply | None:
        return await office.agents.look(errand, office.registry.entry(errand.step.agent), child)

    open_office(office)
    chores = [asyncio.create_task(office.registry.refresh()), asyncio.create_task(office.parked.sweep(look))]
    try:
        durable.launch(NAME, office.workload.home.database(f"{NAME}-workflows"))
        yield
    finally:
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        with suppress(Exception):
            await durable.close()
        close_office()


def _routes(workload: Workload, office: Office, methods: Methods) -> list[Any]:
    async def current(card: AgentCard) -> AgentCard:
        return with_examples(card, office.registry)

    made = [one for one in create_rest_routes(methods, path_prefix=REST_PATH) if isinstance(one, Route)]
    rest = [Route(one.path, telling(one.endpoint), methods=list(one.methods or ())) for one in made]
    return [
        *create_agent_card_routes(broker_card(workload), card_modifier=current),
        *create_jsonrpc_routes(methods, RPC_PATH),
        *rest,
        *rest_routes(lambda: office.registry, lambda: office.parked),
    ]


def _engine(workload: Workload) -> AsyncEngine:
    engine = create_async_engine(f"sqlite+aiosqlite:///{workload.home.database(NAME)}", hide_parameters=True)

    @event.listens_for(engine.sync_engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "busy_timeout = 10000"):
            connection.execute(f"PRAGMA {pragma}")

    return engine
