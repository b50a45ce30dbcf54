"""`stead serve trail`: takes in what the journals ship, and shows each person the trails of their own tasks.

Shipping and looking are no hops, so neither is journaled here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.identity.audit.errors import ChainDiffers, NoSuchTask
from stead.identity.audit.event import Event
from stead.identity.audit.heads import Head, sign
from stead.identity.audit.hops import Trail
from stead.identity.audit.index import Index
from stead.identity.audit.trail import ROOT, assemble
from stead.identity.errors import IdentityError, InsufficientScope, InvalidRequest, InvalidToken
from stead.identity.types import ASGIApp, Json
from stead.identity.values import Principal

if TYPE_CHECKING:
    from stead.identity.workload import Workload

WRITE, OWN, ALL = "audit:write", "trail:read", "audit:read"
MAX_BATCH, MAX_WAIT, MAX_TASKS = 1_000, 30.0, 100
_log = logging.getLogger(__name__)


def collector(workload: "Workload") -> ASGIApp:
    """The collector as a protected service of this workload."""
    from stead.identity.policy import Policy

    app = application(Index(workload.home.database("trail")), workload.home.key(workload.name))
    return workload.protect(
        app,
        describe=lambda scope, body: None,
        policy=Policy.load([], known_resources=(), known_claims=()),
        scopes=(OWN, ALL, WRITE),
        protocol="http",
    )


def application(index: Index, key: ECKey, *, root: str = ROOT) -> Starlette:
    """The routes, behind an ingress that has put a verified principal into `scope["user"]`."""
    desk = _Desk(index, key, root)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await index.close()

    routes = [
        Route("/events", _answering(desk.events), methods=["POST"]),
        Route("/tasks", _answering(desk.tasks), methods=["GET"]),
        Route("/tasks/{task}/trail", _answering(desk.trail), methods=["GET"]),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


class _Watch:
    """One waiting reader: woken by events of hops or tasks that it looks at, at first by any."""

    def __init__(self) -> None:
        self.names: frozenset[str] | None = None
        self.stirred = asyncio.Event()

    def stir(self, names: frozenset[str]) -> None:
        if self.names is None or not self.names.isdisjoint(names):
            self.stirred.set()


class _Desk:
    def __init__(self, index: Index, key: ECKey, root: str) -> None:
        self._index, self._key, self._root = index, key, root
        self._watches: set[_Watch] = set()

    async def events(self, request: Request, principal: Principal) -> Json:
        """A batch from a journal. Only a workload as itself may ship, and only its own."""
        _require(principal, WRITE)
        batch = await _body(request)
        instance, replica, events = _batch(batch)
        if not principal.is_service or instance != principal.client_id:
            raise InsufficientScope("A workload ships its own events and no others.")
        held = await self._index.take(instance, replica, events)
        self._stir(events)
        return {"seq": held.seq, "receipt": await self._countersign(held, batch.get("head"))}

    async def trail(self, request: Request, principal: Principal) -> Json:
        """A task's trail, at once or, with `wait`, as soon as it differs from version `after`."""
        everybody = _require(principal, OWN, ALL) == ALL
        task, after = request.path_params["task"], _number(request, "after", -1.0)
        patience = min(_number(request, "wait", 0.0), MAX_WAIT)
        trail = await self._differing(task, after, patience)
        if trail.root is None or not (everybody or _owns(principal, trail)):
            raise NoSuchTask("There is no such task.", hint="A person sees the trails of their own tasks.")
        return trail.as_json()

    async def tasks(self, request: Request, principal: Principal) -> Json:
        """A person's tasks, newest first."""
        everybody = _require(principal, OWN, ALL) == ALL
        limit = int(min(max(_number(request, "limit", 20.0), 1), MAX_TASKS))
        owner = None if everybody else (principal.issuer, principal.subject)
        return {"tasks": await self._index.tasks(self._root, owner, limit)}

    async def _differing(self, task: str, after: float, patience: float) -> Trail:
        deadline = asyncio.get_running_loop().time() + patience
        with self._watching() as watch:
            while True:
                watch.stirred.clear()
                trail = await self._assemble(task)
                left = deadline - asyncio.get_running_loop().time()
                if left <= 0 or (trail.root is not None and trail.version != after):
                    return trail
                watch.names = frozenset({task, *(hop.hop for hop in trail.hops)})
                try:
                    await asyncio.wait_for(watch.stirred.wait(), left)
                except TimeoutError:
                    return trail

    async def _assemble(self, task: str) -> Trail:
        return assemble(await self._index.about(task), task, root=self._root, names=await self._index.callees())

    async def _countersign(self, held: Head, signed: object) -> str:
        head = Head(held.instance, held.replica, held.seq, held.hash, signed if isinstance(signed, str) else None)
        receipt = sign(head, self._key)
        await self._index.keep_receipt(head, receipt)
        return receipt

    @contextmanager
    def _watching(self) -> Iterator[_Watch]:
        watch = _Watch()
        self._watches.add(watch)
        try:
            yield watch
        finally:
            self._watches.discard(watch)

    def _stir(self, events: list[Event]) -> None:
        names = frozenset(name for each in events for name in (each.hop, each.parent_hop, each.task) if name)
        for watch in tuple(self._watches):
            watch.stir(names)


def _answering(answer: Callable[[Request, Principal], Awaitable[Json]]) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        headers = {"cache-control": "no-store"}
        try:
            return JSONResponse(await answer(request, _principal(request)), headers=headers)
        except ChainDiffers as error:
            _log.error("%s", error.description)
            return JSONResponse(error.as_json(), error.status, headers)
        except IdentityError as error:
            return JSONResponse(error.as_json(), error.status, headers | _challenge(error))

    return endpoint


def _principal(request: Request) -> Principal:
    principal = request.scope.get("user")
    if not isinstance(principal, Principal):
        raise InvalidToken("Nobody is signed in to this call.")
    return principal


def _challenge(error: IdentityError) -> dict[str, str]:
    """RFC 6750 s3.1."""
    if not isinstance(error, InsufficientScope | InvalidToken):
        return {}
    return {"www-authenticate": f'Bearer error="{error.code}", error_description="{error.description}"'}


def _require(principal: Principal, *scopes: str) -> str:
    """The widest of the scopes that the token has. Raises `InsufficientScope` when it has none."""
    held = [scope for scope in scopes if scope in principal.scopes]
    if not held:
        raise InsufficientScope(f"This needs the scope {' or '.join(scopes)}.")
    return held[-1]


def _owns(principal: Principal, trail: Trail) -> bool:
    root = trail.root
    return root is not None and (root.iss, root.sub) == (principal.issuer, principal.subject)


async def _body(request: Request) -> Json:
    body: Any = request.scope.get("state", {}).get("stead.json")
    if body is None:
        try:
            body = await request.json()
        except (ValueError, RecursionError):
            raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(body, dict):
        raise InvalidRequest("The body is no JSON object.")
    return body


def _batch(body: Json) -> tuple[str, int, list[Event]]:
    instance, replica, events = body.get("instance"), body.get("replica", 0), body.get("events")
    if not isinstance(instance, str) or type(replica) is not int or not isinstance(events, list):
        raise InvalidRequest("A batch has the members instance, replica and events.")
    if not 1 <= len(events) <= MAX_BATCH:
        raise InvalidRequest(f"A batch has 1 to {MAX_BATCH} events.")
    read = [Event.from_json(each) for each in events]
    for before, each in zip([None, *read], read, strict=False):
        _follows(before, each, instance, replica)
    return instance, replica, read


def _follows(before: Event | None, each: Event, instance: str, replica: int) -> None:
    if (each.instance, each.replica) != (instance, replica):
        raise InvalidRequest("The batch has an event of another chain.")
    if before is not None and (each.seq, each.prev) != (before.seq + 1, before.hash):
        raise InvalidRequest(f"Event {each.seq} does not follow the one before it.")


def _number(request: Request, name: str, otherwise: float) -> float:
    text = request.query_params.get(name)
    if text is None:
        return otherwise
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < 1e15:
        raise InvalidRequest(f"{name} is a number, not less than zero.")
    return number
