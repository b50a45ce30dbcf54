"""`stead serve trail`: takes in what the journals ship, and shows each person the trails of their own tasks.

Shipping and looking are no hops, so neither is journaled here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.identity.audit.errors import ChainDiffers, HeadRefused, NoSuchTask
from stead.identity.audit.event import Event
from stead.identity.audit.heads import Head, read, sign
from stead.identity.audit.hops import Trail
from stead.identity.audit.index import Index
from stead.identity.audit.trail import ROOT, assemble, calls
from stead.identity.errors import IdentityError, InsufficientScope, InvalidRequest, InvalidToken
from stead.identity.jwks import Keys
from stead.identity.types import ASGIApp, Json
from stead.identity.values import Grant, Principal

if TYPE_CHECKING:
    from stead.identity.workload import Workload

WRITE, OWN, ALL = "audit:write", "trail:read", "audit:read"
MAX_BATCH, MAX_WAIT, MAX_TASKS, MAX_HOPS = 1_000, 30.0, 100, 1_000
_log = logging.getLogger(__name__)


def collector(workload: "Workload") -> ASGIApp:
    """The collector as a protected service of this workload."""
    from stead.identity.policy import Policy

    index = Index(workload.home.database("trail"))
    app = application(index, workload.home.key(workload.name), workload.workload_keys.of)
    return workload.protect(
        app,
        describe=lambda scope, body: None,
        policy=Policy.load([], known_resources=(), known_claims=()),
        scopes=(OWN, ALL, WRITE),
        protocol="http",
    )


KeysOf = Callable[[str], Awaitable[Keys]]
"""The registered public keys of a workload. Raises `ProviderUnavailable` when nobody can be asked."""


def application(index: Index, key: ECKey, keys_of: KeysOf, *, root: str = ROOT) -> Starlette:
    """The routes, behind an ingress that has put a verified principal into `scope["user"]`.

    `key` is the collector's own, by which it countersigns; `keys_of` finds those of who ships.
    """
    desk = _Desk(index, key, keys_of, root)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await index.close()

    routes = [
        Route("/events", _answering(desk.events), methods=["POST"]),
        Route("/chains", _answering(desk.chains), methods=["GET"]),
        Route("/hops", _answering(desk.hops), methods=["GET"]),
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
    def __init__(self, index: Index, key: ECKey, keys_of: KeysOf, root: str) -> None:
        self._index, self._key, self._keys_of, self._root = index, key, keys_of, root
        self._watches: set[_Watch] = set()

    async def events(self, request: Request, principal: Principal) -> Json:
        """A batch from a journal. Only a workload as itself may ship, and only its own."""
        _require(principal, WRITE)
        batch = await _body(request)
        instance, replica, events = _batch(batch)
        if not principal.is_service or instance != principal.named(principal.client_id):
            raise InsufficientScope("A workload ships its own events and no others.")
        signed = await self._signed(events[-1], batch.get("head"))
        held = await self._index.take(instance, replica, events)
        self._stir(events)
        return {"seq": held.seq, "receipt": await self._countersign(held, signed)}

    async def chains(self, request: Request, principal: Principal) -> Json:
        """The head of every chain that is held, with its receipt: for who compares them with the files."""
        _require(principal, ALL)
        return {"chains": await self._index.chains()}

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

    async def hops(self, request: Request, principal: Principal) -> Json:
        """Everything done in a person's stead, by time: the hops of their tasks, and calls that belong to none."""
        iss, sub = _whose(request, principal)
        since, limit = _number(request, "since", 0.0), int(min(_number(request, "limit", 100.0), MAX_HOPS))
        found: dict[str, Json] = {}
        for task in await self._index.tasks(self._root, (iss, sub), MAX_TASKS):
            for hop in (await self._assemble(task["task"])).hops:
                found[hop.hop] = {"task": task["task"], **hop.model_dump(mode="json")}
        names = await self._index.callees()
        for hop in calls(await self._index.of_person(iss, sub, since, limit), names=names):
            found.setdefault(hop.hop, {"task": None, **hop.model_dump(mode="json")})
        told = [each for each in found.values() if each["grant"] != Grant.S2S and each["started"] >= since]
        return {"sub": sub, "iss": iss, "hops": sorted(told, key=lambda each: each["started"])[-limit:]}

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

    async def _signed(self, newest: Event, signed: object) -> Head:
        """The batch's head, signed by a registered key of the workload; never by a key that the batch brings along."""
        if not isinstance(signed, str):
            raise HeadRefused("A batch carries its chain's head, signed by the workload.")
        try:
            head = read(signed, await self._keys_of(newest.instance))
        except InvalidToken as error:
            raise HeadRefused(error.description, hint="Its key is registered where it is a client.") from None
        if head.place != (newest.instance, newest.replica, newest.seq, newest.hash):
            raise HeadRefused("The signed head is not that of the batch's last event.")
        return replace(head, signed=signed)

    async def _countersign(self, held: Head, signed: Head) -> str | None:
        """A receipt for what is held; the one given before where this batch brought nothing newer."""
        if signed.place != held.place:
            return await self._index.receipt(held)
        receipt = sign(signed, self._key)
        await self._index.keep_receipt(signed, receipt)
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


def _whose(request: Request, principal: Principal) -> tuple[str | None, str]:
    """Whose hops are asked for: one's own; another's only with the right to all."""
    everybody = _require(principal, OWN, ALL) == ALL
    sub, iss = request.query_params.get("sub"), request.query_params.get("iss")
    own = sub in (None, principal.subject) and iss in (None, principal.issuer)
    if own and not principal.is_service:
        return principal.issuer, principal.subject
    if not everybody or sub is None:
        raise InsufficientScope(f"What was done for somebody else needs the scope {ALL}.")
    return iss, sub


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
