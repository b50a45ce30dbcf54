"""`stead ask` and `stead plan`: one goal, followed to its end."""

import asyncio
import json as jsonlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from a2a.types import Task, TaskState

from stead.demo.cli.broker import Broker, challenges, data, sign_in, text
from stead.demo.cli.output import emit, say, tell
from stead.demo.cli.session import Session, signed_in
from stead.demo.cli.trail import hops_of
from stead.identity.errors import ProviderUnavailable
from stead.identity.home import Home

_PATIENCE = 900.0
"""Seconds after which a task that waits for its person is left to wait without us."""

Show = Callable[[Task], None]


def ask(goal: str, username: str, *, approve: bool, json: bool) -> int:
    """Asks as a sample person. 0 when the task completed, 1 when it was refused or failed."""

    async def run() -> dict[str, Any]:
        session = await signed_in(Home.current(), username)
        try:
            return await ask_as(session, goal, approve=approve, show=_quiet if json else Progress())
        finally:
            await session.close()

    answer = asyncio.run(run())
    if json:
        emit({name: answer[name] for name in ("task", "state", "answer", "plan", "hops")})
    else:
        say(answer["answer"])
        tell(f"Whose authority travelled: stead trail show {answer['task']} --as {username}")
    return 0 if answer["state"] == "TASK_STATE_COMPLETED" else 1


def plan(goal: str, username: str, *, json: bool) -> int:
    """Prints the plan for a goal. 0 when there is something to do, 1 when all of it is refused."""

    async def run() -> dict[str, Any]:
        session = await signed_in(Home.current(), username)
        broker = Broker(session)
        try:
            return data(await _last(broker.send(goal, plan_only=True)), "plan")
        finally:
            await broker.close()
            await session.close()

    made = asyncio.run(run())
    if json:
        emit(_checkable(made))
    else:
        draw_plan(made)
    return 0 if made.get("steps") else 1


async def ask_as(session: Session, goal: str, *, approve: bool = False, show: "Show | None" = None) -> dict[str, Any]:
    """Asks in a session: `{"task", "state", "answer", "plan", "results", "hops"}`.

    With `approve` the person follows each link and approves at the bank. Raises `ProviderUnavailable` when the task
    still waits after a quarter of an hour.
    """
    broker, show = Broker(session), show or _quiet
    try:
        async with asyncio.timeout(_PATIENCE):
            task = await _followed(broker, session, goal, approve=approve, show=show)
    except TimeoutError:
        raise ProviderUnavailable("The task still waits.", hint="Approve it, or ask again later.") from None
    finally:
        await broker.close()
    answer = data(task, "answer")
    return {
        "task": task.id,
        "state": TaskState.Name(task.status.state),
        "answer": text(task),
        "plan": _checkable(data(task, "plan")),
        "results": answer.get("results", []),
        "hops": await hops_of(session, task.id, complete=True),
    }


async def _followed(broker: Broker, session: Session, goal: str, *, approve: bool, show: Show) -> Task:
    seen, answered = Task(), set[str]()
    async for task in broker.follow(goal):
        show(task)
        await _approved(session, task, answered, approve=approve)
        await _signed_in(session, broker, task, answered)
        seen = task
    return seen


async def _approved(session: Session, task: Task, answered: set[str], *, approve: bool) -> None:
    for challenge in challenges(task):
        if challenge["id"] in answered:
            continue
        answered.add(challenge["id"])
        if approve:
            page = await session.approve(challenge["link"])
            tell(f"{session.person.name} at {challenge['provider']['name']}: {page.words()[:160]}")
        else:
            tell(f"{challenge['provider']['name']} must be asked. Open: {challenge['link']}")


async def _signed_in(session: Session, broker: Broker, task: Task, answered: set[str]) -> None:
    """Signs in as the task needs it (RFC 9470), and lets the broker know by asking after the task."""
    wanted, asked = sign_in(task), f"sign-in {task.status.timestamp}"
    if wanted is None or asked in answered:
        return
    answered.add(asked)
    tell(f"{session.person.name} has to sign in again: {text(task)}")
    await session.raise_to(wanted)
    await broker.task(task.id)


async def _last(tasks: AsyncIterator[Task]) -> Task:
    return [task async for task in tasks][-1]


class Progress:
    """Tells what changed since it was last shown."""

    def __init__(self) -> None:
        self._told: set[str] = set()

    def __call__(self, task: Task) -> None:
        made = data(task, "plan")
        if made and self._new("plan"):
            draw_plan(made)
        for step in data(task, "progress").get("steps", []):
            if self._new(f"{step['id']} {step['state']}"):
                tell(f"  {step['id']} {step['state']}{': ' + step['note'] if step.get('note') else ''}")

    def _new(self, word: str) -> bool:
        known = word in self._told
        self._told.add(word)
        return not known


def _quiet(_: Task) -> None:
    return None


def draw_plan(made: dict[str, Any]) -> None:
    """A plan as a person reads it: what, by whom, with whose authority, and what is refused."""
    for step in made.get("steps", []):
        tell(f"  {step['id']} {step['skill']} {jsonlib.dumps(_plain(step['inputs']))}")
        tell(f"     {step['why']} ({_authority(step['identity'])})")
    for refused in made.get("refused", []):
        tell(f"  not possible: {refused['text']}{' ' + refused['hint'] if refused.get('hint') else ''}")
    for question in made.get("questions", []):
        tell(f"  to be answered: {question if isinstance(question, str) else question.get('text', question)}")


def _authority(identity: dict[str, Any]) -> str:
    words = {"obo": "on your behalf", "s2s": "as itself", "in-task": "on your behalf"}
    said = f"{words.get(identity['grant'], identity['grant'])}: {' '.join(identity.get('scopes', []))}"
    asked = identity.get("in_task")
    return f"{said}; needs your approval at {asked['name']}" if asked else said


def _checkable(made: dict[str, Any]) -> dict[str, Any]:
    """The plan in the order in which it is read: protobuf's JSON objects have none."""
    plain = _plain(made)
    steps = [
        {name: step.get(name) for name in ("id", "skill", "agent", "inputs", "needs", "identity", "why")}
        for step in plain.get("steps", [])
    ]
    return {"steps": steps, "refused": plain.get("refused", []), "questions": plain.get("questions", [])}


def _plain(value: Any) -> Any:
    """Whole numbers as such: protobuf's JSON value knows only doubles."""
    if isinstance(value, dict):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list):
        return [_plain(member) for member in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value
