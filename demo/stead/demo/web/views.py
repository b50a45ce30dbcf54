"""What the page's script asks for: JSON, and one stream."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stead.demo.web.pages import Person, participants, person_json, render
from stead.demo.web.protection import body_json
from stead.demo.web.session import Session
from stead.demo.web.site import Site
from stead.demo.web.turns import read_turn
from stead.identity.errors import IdentityError, InvalidRequest, InvalidToken
from stead.identity.types import Json

IDLE = 15.0
_TASK = re.compile(r"[\w.:-]{1,64}")
_MESSAGE = re.compile(r"[\w-]{8,64}")
_TOKEN = re.compile(r"eyJ[\w-]{6,}(?:\.[\w-]*)*")


class Views:
    """The handlers. Each JSON one needs a session; each that changes something its token besides."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def session(self, request: Request) -> Response:
        """Whether the session lives."""
        self._session(request)
        return JSONResponse({"alive": True})

    async def state(self, request: Request) -> Response:
        """All that the page begins with. Parts that cannot be had are left out, with a sentence."""
        session, site = self._session(request), self._site
        directory, tasks = await asyncio.gather(
            site.directory(session), site.broker.tasks(session), return_exceptions=True
        )
        trouble = _trouble(directory, tasks)
        known = site.known
        turns = [] if isinstance(tasks, BaseException) else [await site.following.told(session, one) for one in tasks]
        return JSONResponse(
            {
                "now": site.workload.clock(),
                "person": person_json(Person(session.name)),
                "participants": participants(known, web=site.workload.url, broker=site.workload.home.network.broker),
                "facts": site.facts(),
                "examples": list(known.examples()),
                "turns": turns,
                "trouble": trouble,
            }
        )

    async def ask(self, request: Request) -> Response:
        """Something the person said. The same message twice is the same request."""
        session = self._session(request)
        text, message, task, plan_only = _said(await body_json(request, session))
        site = self._site
        if not site.sessions.asking(session, message):
            return JSONResponse(await self._again(session, message))
        try:
            if task is None:
                made = await site.broker.ask(session, text, message, plan_only=plan_only)
            else:
                made = await site.broker.say(session, task, text, message)
        except BaseException:
            site.sessions.not_asked(session, message)
            raise
        site.sessions.asked(session, message, str(made.get("id", "")))
        return JSONResponse(await site.following.told(session, made), 202)

    async def answer(self, request: Request) -> Response:
        """The person says no to an approval. Yes is said at the provider, never here."""
        session, task = self._session(request), _task(request)
        body = await body_json(request, session)
        challenge = body.get("challenge")
        if body.get("answer") != "declined" or not isinstance(challenge, str) or not _TASK.fullmatch(challenge):
            raise InvalidRequest("Only a decline can be given here.", hint="Approve at the provider's own page.")
        declined = await self._site.broker.decline(session, task, challenge)
        return JSONResponse(await self._site.following.told(session, declined))

    async def cancel(self, request: Request) -> Response:
        """The person stops a request."""
        session, task = self._session(request), _task(request)
        await body_json(request, session)
        stopped = await self._site.broker.cancel(session, task)
        return JSONResponse(await self._site.following.told(session, stopped))

    async def trail(self, request: Request) -> Response:
        """The trail of one of the person's tasks."""
        session = self._session(request)
        return JSONResponse({"trail": await self._site.broker.trail(session, _task(request))})

    async def plan(self, request: Request) -> Response:
        """The plan of a task, in full."""
        session = self._session(request)
        turn = self._site.named(read_turn(await self._site.broker.task(session, _task(request))))
        return JSONResponse({"html": render("plan_tab.html", turn=turn, person=Person(session.name))})

    async def raw(self, request: Request) -> Response:
        """Task and trail as they are. There is no token in them; should one ever be, it is struck out."""
        session, task = self._session(request), _task(request)
        told, trail = await asyncio.gather(
            self._site.broker.task(session, task), self._site.broker.trail(session, task), return_exceptions=True
        )
        if isinstance(told, BaseException):
            raise told
        parts = {"task": told, "trail": None if isinstance(trail, BaseException) else trail}
        return Response(_TOKEN.sub("[token]", json.dumps(parts)), media_type="application/json")

    async def network(self, request: Request) -> Response:
        """Agents and servers, from the registry."""
        session = self._session(request)
        directory = await self._site.directory(session)
        groups = [
            (title, [one for one in directory.members if one.kind == kind])
            for title, kind in (("Agents", "agent"), ("MCP servers", "mcp"))
        ]
        return JSONResponse({"html": render("network.html", groups=groups, person=Person(session.name))})

    async def cheat(self, request: Request) -> Response:
        """One attempt at what must not succeed."""
        session = self._session(request)
        await body_json(request, session)
        return JSONResponse(await self._site.cheating.attempt(request.path_params["name"], session))

    async def events(self, request: Request) -> Response:
        """Changes of the session's tasks and trails, from where the browser left off."""
        session = self._session(request)
        after = self._resumed(request.headers.get("last-event-id", ""))
        return EventSourceResponse(self._stream(session, after), ping=3600, headers={"x-accel-buffering": "no"})

    async def _stream(self, session: Session, after: int) -> AsyncIterator[ServerSentEvent]:
        epoch = self._site.following.audiences.epoch
        async for event in self._site.following.events(session, after, IDLE):
            if self._site.sessions.by_key(session.key) is None:
                yield _over()
                return
            if event is None:
                yield ServerSentEvent(comment="still here")
            else:
                yield ServerSentEvent(json.dumps(event.data), event=event.kind, id=f"{epoch}-{event.number}")

    def _resumed(self, last: str) -> int:
        """The number after which to go on: none of another process's numbers mean anything here."""
        epoch, _, number = last.partition("-")
        return int(number) if epoch == self._site.following.audiences.epoch and number.isdecimal() else 0

    async def _again(self, session: Session, message: str) -> Json:
        task = self._site.sessions.task_of(session, message)
        if not task:
            raise InvalidRequest("This is being sent already.", hint="Wait a moment.")
        return await self._site.following.told(session, await self._site.broker.task(session, task))

    def _session(self, request: Request) -> Session:
        session = self._site.sessions.find(request.cookies.get(self._site.cookie))
        if session is None:
            raise InvalidToken("You are not signed in, or your session has ended.", hint="Sign in again.")
        return session


def failing(error: Exception) -> Response:
    """An error as JSON: sentence and hint, and nothing else."""
    if isinstance(error, IdentityError):
        return JSONResponse(error.as_json(), error.status)
    body = {"error": "server_error", "error_description": "FinPort could not do this.", "hint": "Try again."}
    return JSONResponse(body, 500)


def _over() -> ServerSentEvent:
    return ServerSentEvent(json.dumps({"kind": "session", "text": "The session has ended."}), event="notice")


def _said(body: Json) -> tuple[str, str, str | None, bool]:
    """Text, message id, task and mode of what was said. Raises `InvalidRequest`."""
    text, message, task, mode = (body.get(name) for name in ("text", "message_id", "task", "mode"))
    if not isinstance(text, str) or not text.strip() or len(text) > 2000:
        raise InvalidRequest("Say what shall be done, in at most 2,000 characters.")
    if not isinstance(message, str) or not _MESSAGE.fullmatch(message):
        raise InvalidRequest("The message has no usable id.")
    if task is not None and (not isinstance(task, str) or not _TASK.fullmatch(task)):
        raise InvalidRequest("There is no such request.")
    if mode not in (None, "run", "plan"):
        raise InvalidRequest("There is no such mode.")
    return text.strip(), message, task, mode == "plan"


def _task(request: Request) -> str:
    task = str(request.path_params["task"])
    if not _TASK.fullmatch(task):
        raise InvalidRequest("There is no such request.")
    return task


def _sentence(error: IdentityError) -> str:
    return " ".join(filter(None, (error.description, error.hint)))


def _trouble(*results: Any) -> str | None:
    """What went wrong in fetching, if it is bearable. Raises a session's end, and what nobody expects."""
    failures = [one for one in results if isinstance(one, BaseException)]
    for failure in failures:
        if isinstance(failure, InvalidToken) or not isinstance(failure, IdentityError):
            raise failure
    return next((_sentence(one) for one in failures if isinstance(one, IdentityError)), None)
