"""`stead trail`: the trail of a task, drawn or exported."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import httpx

from stead.demo.cli.output import emit, say
from stead.demo.cli.session import Session, auditing, person_named, signed_in
from stead.identity.errors import AccessDenied, InvalidRequest, ProviderUnavailable
from stead.identity.home import Home
from stead.identity.samples import BANK_NAME

_SHIPPED_WITHIN = 5.0
"""Seconds within which every instance has handed its events to the collector."""

_QUIET = 0.2
"""Seconds without news after which a trail whose hops have all ended is taken to be whole."""


async def hops_of(session: Session, task: str, *, complete: bool = False) -> list[dict[str, Any]]:
    """The hops of a task. With `complete`, waits until every hop was confirmed and ended, for a few seconds at most."""
    trail = await trail_of(session, task, complete=complete)
    hops: list[dict[str, Any]] = trail["hops"]
    return hops


async def trail_of(session: Session, task: str, *, complete: bool = False) -> dict[str, Any]:
    """A task's trail as the collector knows it. Raises `InvalidRequest` when this person has no such task."""
    trail = await _fetched(session, task, after=None, wait=_SHIPPED_WITHIN if complete else 0.0)
    deadline = asyncio.get_running_loop().time() + _SHIPPED_WITHIN
    while complete and (left := deadline - asyncio.get_running_loop().time()) > 0:
        ended = _is_complete(trail)
        later = await _fetched(session, task, after=trail["version"], wait=min(left, _QUIET) if ended else left)
        if ended and later["version"] == trail["version"]:
            return later
        trail = later
    return trail


def _is_complete(trail: dict[str, Any]) -> bool:
    return bool(trail["hops"]) and all(hop["ended"] for hop in trail["hops"])


async def _fetched(session: Session, task: str, *, after: int | None, wait: float) -> dict[str, Any]:
    known = {} if after is None else {"after": str(after)}
    reply = await _get(session, f"/tasks/{task}/trail", {"wait": f"{wait:.2f}"} | known)
    if reply.status_code == 404:
        if wait > 0:
            return {"task": task, "version": None, "hops": []}
        raise InvalidRequest(
            f"{session.person.name} has no task {task!r}.", hint="`stead trail show` shows the newest."
        )
    return _document(reply)


async def _get(session: Session, path: str, parameters: dict[str, str]) -> httpx.Response:
    trail = session.home.network.trail
    try:
        return await session.http.get(f"{trail}{path}", params=parameters, auth=session.auth(trail))
    except httpx.HTTPError as error:
        raise ProviderUnavailable("The trail cannot be reached.", hint="Does the demo run?") from error


def _document(reply: httpx.Response) -> dict[str, Any]:
    if reply.status_code == 403:
        raise AccessDenied("This person may see what was done in their own stead, and no more.")
    if reply.status_code != 200:
        raise ProviderUnavailable(f"The trail answered {reply.status_code}.")
    document: dict[str, Any] = reply.json()
    return document


async def _newest(session: Session) -> str:
    tasks = _document(await _get(session, "/tasks", {"limit": "1"}))["tasks"]
    if not tasks:
        raise InvalidRequest("No task has left a trail yet.", hint='Ask something: stead ask "…" --as alice')
    newest: str = tasks[0]["task"]
    return newest


def asked_trail(task: str | None, username: str) -> dict[str, Any]:
    """The trail of a task, or of the newest, as that person may see it."""

    async def ask(session: Session) -> dict[str, Any]:
        return await trail_of(session, task or await _newest(session))

    return _signed_in(username, ask)


def asked(path: str, parameters: dict[str, str], username: str) -> dict[str, Any]:
    """What the collector answers that person."""

    async def ask(session: Session) -> dict[str, Any]:
        return _document(await _get(session, path, parameters))

    return _signed_in(username, ask)


def _signed_in(username: str, ask: Callable[[Session], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    async def run() -> dict[str, Any]:
        home = Home.current()
        auditor = "auditor" in person_named(username).roles
        session = await signed_in(home, username, auditing(home) if auditor else None)
        try:
            return await ask(session)
        finally:
            await session.close()

    return asyncio.run(run())


def show(task: str | None, username: str, *, json: bool) -> None:
    """Draws the trail as a tree."""
    trail = asked_trail(task, username)
    emit(trail) if json else draw(trail)


def draw(trail: dict[str, Any]) -> None:
    """A trail in the terminal."""
    from rich.console import Console

    from stead.identity.audit.render import as_tree
    from stead.identity.audit.trail import Trail

    Console().print(as_tree(Trail.model_validate(trail), names_of(Home.current())))


def names_of(home: Home) -> dict[str, str]:
    """What people call the two providers, whom hops name by address."""
    network = home.network
    return {network.corporate_idp: "FinPort Identity", network.bank_idp: BANK_NAME}


def export(task: str | None, username: str, *, form: str) -> None:
    """Prints the trail as JSON, Mermaid or SVG."""
    from stead.identity.audit import render
    from stead.identity.audit.trail import Trail

    trail = asked_trail(task, username)
    if form == "json":
        emit(trail)
    elif form == "mermaid":
        say(render.as_mermaid(Trail.model_validate(trail), names_of(Home.current())))
    else:
        say(render.as_svg(Trail.model_validate(trail), names_of(Home.current())))
