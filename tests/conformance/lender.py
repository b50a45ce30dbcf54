"""A small A2A agent that owes nothing to ours: its own JSON-RPC, its own pages, opaque tokens. It lends what is asked.

Sound as it stands; each flaw takes one promise away, the way it went missing in agents that were found elsewhere.
"""

import asyncio
import json
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

Json = dict[str, Any]
EXTENSION = "urn:example:ask-first"
PATIENCE = 60.0
OVER = {"COMPLETED", "REJECTED", "FAILED", "CANCELED"}


class Flaw(StrEnum):
    """What is wrong with the agent."""

    NONE = "none"
    UNDECLARED = "does not declare the extension"
    UNNAMED = "does not name the extension where it asks"
    SILENT = "asks without a word"
    UNTYPED = "asks for something of no type"
    UNPINNED = "asks without saying for what"
    EAGER = "never asks"
    SHIFTING = "shows another question each time"
    FORGETFUL = "loses the question after it was asked"
    PRIVATE = "lets nobody watch"
    HOLDING = "keeps the call open while it waits"
    DEAF = "closes the stream while the task waits"
    UNDEAD = "goes on after it was taken back"
    UNSTOPPABLE = "cannot be taken back"
    STUCK = "waits for a message after the yes"
    INEXACT = "says something else than what it did"
    BULLY = "takes a no for a yes"
    FICKLE = "takes a yes after the no"
    MUTE = "ends without a word after the no"
    PATIENT = "waits for ever"
    LATE = "takes a yes after its time"
    TWICE = "does it again when the callback is repeated"
    RACY = "does it twice when the callback comes twice at once"
    LAX = "remembers a yes for the next time"
    CREDULOUS = "takes anybody's yes"
    GULLIBLE = "takes a yes in a message"
    STEALABLE = "takes the owner's answer from anybody's browser"
    OPEN = "shows a task to anybody"
    SHARED = "lets anybody take a task back"
    PLIABLE = "lets a message change what was asked"
    BLIND = "does what is ordered now, not what was approved"
    KEEPING = "keeps its caller's token in the history"
    TELLING = "puts the credential into the result"
    LEAKING = "names the provider's code when it goes on"


@dataclass
class Task:
    """A task of the lender."""

    id: str
    owner: str
    key: str
    parts: list[Json]
    operation: Json
    ends: float
    state: str = "AUTH_REQUIRED"
    text: str = ""
    looks: int = 0
    codes: set[str] = field(default_factory=set)
    artifacts: list[Json] = field(default_factory=list)
    history: list[Json] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)


class Lender:
    """The agent, its pages and its provider in one. `people` maps a token to who has it; a password is the name."""

    def __init__(self, url: str, folder: Path, people: dict[str, str], flaw: Flaw, *, rest: bool = False) -> None:
        self.url, self.folder, self.people, self.flaw = url, folder, people, flaw
        self.interface = {
            "url": f"{url}/{'rest' if rest else 'a2a'}",
            "protocolBinding": "HTTP+JSON" if rest else "JSONRPC",
            "protocolVersion": "1.0",
        }
        self.tasks: dict[str, Task] = {}
        self.sessions: dict[str, str] = {}
        self.executed: list[Json] = []
        self.expiring: set[asyncio.Task[None]] = set()
        (folder / "executed").write_text("0")
        self.app = Starlette(
            routes=[
                Route("/.well-known/agent-card.json", self.card),
                Route("/a2a", self.rpc, methods=["POST"]),
                Route("/ask/{task}", self.ask, methods=["GET", "POST"]),
                Route("/login", self.login, methods=["POST"]),
                Route("/callback", self.callback),
                Route("/rest/message:send", self.rest, methods=["POST"]),
                Route("/rest/tasks/{task}", self.rest),
                Route("/rest/tasks/{task}:{verb}", self.rest, methods=["GET", "POST"]),
            ]
        )

    async def card(self, _: Request) -> Response:
        extensions = [] if self.flaw is Flaw.UNDECLARED else [{"uri": EXTENSION}]
        return JSONResponse(
            {
                "name": "lender",
                "description": "Lends.",
                "version": "1",
                "supportedInterfaces": [self.interface],
                "capabilities": {"streaming": True, "extensions": extensions},
                "defaultInputModes": ["application/json"],
                "defaultOutputModes": ["application/json"],
                "skills": [{"id": "lend", "name": "Lend", "description": "Lends.", "tags": ["lend"]}],
            }
        )

    # ---- A2A

    async def rpc(self, request: Request) -> Response:
        body, token = await request.json(), request.headers["authorization"].removeprefix("Bearer ")
        caller, params = self.people.get(token), body["params"]
        if caller is None:
            return Response(status_code=401)
        if body["method"] == "SubscribeToTask" and self.flaw is not Flaw.PRIVATE:
            events = self.events(self.tasks[params["id"]])
            wrapped = (
                f"data: {json.dumps({'jsonrpc': '2.0', 'id': body['id'], 'result': one})}\n\n" async for one in events
            )
            return StreamingResponse(wrapped, media_type="text/event-stream")
        try:
            result = await self.called(body["method"], params, caller, token)
        except PermissionError as error:
            code, _, message = str(error).partition(" ")
            return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "error": {"code": int(code), "message": message}})
        return JSONResponse({"jsonrpc": "2.0", "id": body["id"], "result": result})

    async def rest(self, request: Request) -> Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        id_, verb = request.path_params.get("task"), request.path_params.get("verb")
        if verb == "subscribe":
            wrapped = (f"data: {json.dumps(one)}\n\n" async for one in self.events(self.tasks[id_ or ""]))
            return StreamingResponse(wrapped, media_type="text/event-stream")
        method = {None: "GetTask" if id_ else "SendMessage", "cancel": "CancelTask"}[verb]
        params = {"id": id_} if id_ else await request.json()
        try:
            return JSONResponse(await self.called(method, params, self.people[token], token))
        except PermissionError as error:
            return JSONResponse({"error": {"code": 404, "status": "NOT_FOUND", "message": str(error)}}, 404)

    async def called(self, method: str, params: Json, caller: str, token: str) -> Json:
        if method == "SendMessage":
            return {"task": self.shown(await self.message(params["message"], caller, token))}
        task = self.tasks.get(params["id"])
        if method not in ("GetTask", "CancelTask"):
            raise PermissionError("-32004 That cannot be done.")
        others = {"GetTask": Flaw.OPEN, "CancelTask": Flaw.SHARED}[method]
        if task is None or (task.owner != caller and self.flaw is not others):
            raise PermissionError("-32001 There is no such task.")
        if method == "CancelTask":
            if task.state in OVER or self.flaw is Flaw.UNSTOPPABLE:
                raise PermissionError("-32002 It is too late.")
            await self.move(task, "CANCELED", "Taken back.")
        task.looks += 1
        return self.shown(task)

    async def message(self, message: Json, caller: str, token: str) -> Task:
        if "taskId" in message:
            task = self.tasks[message["taskId"]]
            if self.flaw is Flaw.PLIABLE:
                task.operation["amount"] = message["parts"][0].get("data", task.operation)["amount"]
                return task
            if self.flaw is Flaw.GULLIBLE and "Yes" in message["parts"][0].get("text", ""):
                await self.execute(task)
                return task
            raise PermissionError("-32004 The task takes no message.")
        for known in self.tasks.values():
            if (known.owner, known.key) == (caller, message["messageId"]):
                if known.parts != message["parts"]:
                    raise PermissionError("-32602 This was another call.")
                return known
        return await self.begun(message, caller, token)

    async def begun(self, message: Json, caller: str, token: str) -> Task:
        patience = message.get("metadata", {}).get("patience", PATIENCE)
        operation = {"type": "loan", **message["parts"][0]["data"]}
        if self.flaw is Flaw.UNTYPED:
            del operation["type"]
        task = Task(
            secrets.token_hex(8), caller, message["messageId"], message["parts"], operation, time.time() + patience
        )
        self.tasks[task.id] = task
        task.text = "" if self.flaw is Flaw.SILENT else f"May {operation['amount']} be lent?"
        if self.flaw is Flaw.KEEPING:
            said = {"messageId": "debug", "role": "ROLE_AGENT", "parts": [{"text": f"called with {token}"}]}
            task.history.append(said)
        if self.flaw is Flaw.EAGER or (self.flaw is Flaw.LAX and operation in self.executed):
            await self.execute(task)
        self.expiring.add(asyncio.create_task(self.expire(task)))
        if self.flaw is Flaw.HOLDING:
            async with task.changed:
                await task.changed.wait()
        return task

    async def expire(self, task: Task) -> None:
        await asyncio.sleep(task.ends - time.time())
        if task.state == "AUTH_REQUIRED" and self.flaw is not Flaw.PATIENT:
            await self.move(task, "FAILED", "Nobody answered in time.")

    def shown(self, task: Task) -> Json:
        parts: list[Json] = [{"text": task.text}] if task.text else []
        if task.state == "AUTH_REQUIRED" and not (self.flaw is Flaw.FORGETFUL and task.looks):
            parts.append({"data": self.question(task)})
        named = [] if self.flaw is Flaw.UNNAMED else [EXTENSION]
        message = {"messageId": f"{task.id}-{task.state}", "role": "ROLE_AGENT", "parts": parts, "extensions": named}
        status: Json = {"state": f"TASK_STATE_{task.state}", **({"message": message} if parts else {})}
        return {
            "id": task.id,
            "contextId": task.id,
            "status": status,
            "artifacts": task.artifacts,
            "history": task.history,
        }

    def question(self, task: Task) -> Json:
        link = f"{self.url}/ask/{task.id}" + (f"?look={task.looks}" if self.flaw is Flaw.SHIFTING else "")
        asked: Json = {"where": link, "until": task.ends}
        return asked if self.flaw is Flaw.UNPINNED else {**asked, "what": dict(task.operation)}

    async def events(self, task: Task) -> AsyncIterator[Json]:
        told: Json = {"task": self.shown(task)}
        while True:
            yield told
            seen = task.state
            if seen in OVER or self.flaw is Flaw.DEAF:
                return
            async with task.changed:
                while task.state == seen:
                    await task.changed.wait()
            told = {"statusUpdate": {"taskId": task.id, "contextId": task.id, "status": self.shown(task)["status"]}}

    async def move(self, task: Task, state: str, text: str) -> None:
        async with task.changed:
            task.state, task.text = state, text
            task.changed.notify_all()

    # ---- pages

    async def ask(self, request: Request) -> Response:
        task = self.tasks[request.path_params["task"]]
        person = self.sessions.get(request.cookies.get("lender", ""))
        if person is None:
            return HTMLResponse(
                f'<form method="post" action="/login"><input type="hidden" name="task" value="{task.id}">'
                '<input name="who"><input type="password" name="password"></form>'
            )
        if person != task.owner and self.flaw is not Flaw.CREDULOUS:
            return HTMLResponse("Not yours.", 403)
        if not self.takes_answers(task):
            return HTMLResponse("It is over.", 410)
        if request.method == "GET":
            return HTMLResponse(
                '<form method="post"><button name="say" value="yes"></button>'
                '<button name="say" value="no"></button></form>'
            )
        code = secrets.token_hex(8)
        task.codes.add(code)
        said = {"code": code} if (await request.form())["say"] == "yes" else {"code": code, "error": "access_denied"}
        return RedirectResponse(f"/callback?{urlencode({'state': task.id, **said})}", 303)

    def takes_answers(self, task: Task) -> bool:
        after = {Flaw.UNDEAD: "CANCELED", Flaw.FICKLE: "REJECTED", Flaw.LATE: "FAILED"}.get(self.flaw)
        return task.state in ("AUTH_REQUIRED", after)

    async def login(self, request: Request) -> Response:
        form = await request.form()
        if form["who"] != form["password"]:
            return HTMLResponse("Wrong.", 403)
        response = RedirectResponse(f"/ask/{form['task']}", 303)
        cookie = secrets.token_hex(8)
        self.sessions[cookie] = str(form["who"])
        response.set_cookie("lender", cookie)
        return response

    async def callback(self, request: Request) -> Response:
        query = request.query_params
        task = self.tasks[query["state"]]
        person = self.sessions.get(request.cookies.get("lender", ""))
        if person is None or (person != task.owner and self.flaw not in (Flaw.STEALABLE, Flaw.CREDULOUS)):
            return HTMLResponse("Not yours.", 403)
        if query["code"] not in task.codes:
            return HTMLResponse("This answer was used.", 400)
        if self.flaw is Flaw.RACY:
            await asyncio.sleep(1)
        if self.flaw is not Flaw.TWICE:
            task.codes.discard(query["code"])
        if "error" in query and self.flaw is not Flaw.BULLY:
            await self.move(task, "REJECTED", "" if self.flaw is Flaw.MUTE else "Its owner said no.")
            return HTMLResponse("Declined.")
        if self.flaw is not Flaw.STUCK:
            await self.move(task, "WORKING", f"Going on with {query['code']}." if self.flaw is Flaw.LEAKING else "")
            await self.execute(task)
        return HTMLResponse("Thank you.")

    # ---- the deed

    async def execute(self, task: Task) -> None:
        """Does what was asked, unless the order was changed meanwhile: that is what `tampered` stands for."""
        amount = "666" if (self.folder / "tampered").exists() else task.operation["amount"]
        if amount != task.operation["amount"] and self.flaw is not Flaw.BLIND:
            await self.move(task, "REJECTED", "The order is not what was approved.")
            return
        self.executed.append(dict(task.operation))
        (self.folder / "executed").write_text(str(len(self.executed)))
        result: Json = {"lent": "0" if self.flaw is Flaw.INEXACT else amount}
        if self.flaw is Flaw.TELLING:
            result["access_token"] = "opaque"
        task.artifacts = [*task.artifacts, {"artifactId": "loan", "parts": [{"data": result}]}]
        await self.move(task, "COMPLETED", "" if self.flaw is not Flaw.LEAKING else task.text)
