"""DBOS, the durable executor: started once per process, in the process's own loop, with plain JSON for what it keeps.

Launched inside a running loop, DBOS runs async workflows on that loop, also those it takes up again after a restart.
Its other threads only look after the database. What a step returned is kept; the code between steps runs again.
"""

import asyncio
import contextvars
import json
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar, cast

from dbos import DBOS, DBOSConfig, Serializer, SetWorkflowID, error

from stead.identity.sqlite_time import teach_milliseconds
from stead.identity.types import Json

T = TypeVar("T")
Cancelled = error.DBOSWorkflowCancelledError
"""Raised within a workflow that was cancelled, at its next durable call. Not an `Exception`."""

VERSION = "1"
"""Names the order of steps. Change it only with that: workflows of another version are not taken up again."""

POLL = 0.03
"""Seconds between looks for messages to waiting workflows; one thread looks for all of them."""

MAX_KEPT = 4_000_000
_ERROR = "$error"


class StepFailedError(Exception):
    """A step failed before a restart, in a way that only the log of that time knows."""


class PlainJson(Serializer):
    """JSON and nothing else: a token, or any class, raises `TypeError`. DBOS would pickle, and a pickle runs code."""

    def name(self) -> str:
        return "stead_json"

    def serialize(self, data: Any) -> str:
        if isinstance(data, BaseException):
            data = {_ERROR: type(data).__name__}
        text = json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_refuse)
        if len(text) > MAX_KEPT:
            raise TypeError(f"more than {MAX_KEPT} characters are not kept in a workflow")
        return text

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805  the base class names it so
        value = json.loads(serialized_data)
        return StepFailedError(value[_ERROR]) if isinstance(value, dict) and value.keys() == {_ERROR} else value


def _refuse(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} is not kept in a workflow: keep a handle")


def launch(executor: str, database: Path) -> None:
    """Starts DBOS in the running loop, and with it whatever the last process of this executor left undone."""
    logging.getLogger("dbos").setLevel(logging.ERROR)
    logging.getLogger("dbos").addFilter(_worth_telling)
    teach_milliseconds()
    _write_ahead(database)
    config: DBOSConfig = {
        "name": f"stead-{executor}",
        "system_database_url": f"sqlite:///{database}",
        "executor_id": executor,
        "application_version": VERSION,
        "serializer": PlainJson(),
        "notification_listener_polling_interval_sec": POLL,
        "log_level": "ERROR",
        "enable_otlp": False,
    }
    dbos = DBOS(config=config)
    DBOS.launch()
    # The one place that knows of the private set: workflows that wait are stopped with the process, and taken up again.
    _active.append(dbos._workflow_tasks)


def _worth_telling(record: logging.LogRecord) -> bool:
    """That a cancelled workflow ended is no error."""
    return not (record.exc_info and isinstance(record.exc_info[1], Cancelled | error.DBOSAwaitedWorkflowCancelledError))


async def close() -> None:
    """Stops the workflows of this process where they are, and DBOS."""
    waiting = [task for tasks in _active for task in list(tasks)]
    _active.clear()
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    await asyncio.to_thread(DBOS.destroy, workflow_completion_timeout_sec=0)


_active: list[Any] = []


async def start(workflow: Callable[..., Coroutine[Any, Any, Any]], key: str, *arguments: Any) -> None:
    """Starts a workflow from outside of any, once however often it is asked to. It inherits nobody's identity."""

    async def begin() -> None:
        with SetWorkflowID(key):
            await DBOS.start_workflow_async(workflow, *arguments)

    await asyncio.create_task(begin(), context=contextvars.Context())


async def start_child(workflow: Callable[..., Coroutine[Any, Any, Any]], key: str, *arguments: Any) -> None:
    """Starts a workflow from within another, once."""
    with SetWorkflowID(key):
        await DBOS.start_workflow_async(workflow, *arguments)


async def once(name: str, work: Callable[[], Awaitable[T]]) -> T:
    """Does `work` once and keeps what it returns; after a restart in its midst it is done again."""
    options: Any = {"name": name}

    async def perform() -> T:  # DBOS runs on the loop only what it sees to be a coroutine function
        return await work()

    return cast(T, await DBOS.run_step_async(options, perform))


async def send(workflow: str, message: Json, topic: str, key: str | None = None) -> None:
    """Sends a message to a workflow. With `key`, the same message again is not sent."""

    async def post() -> None:
        await DBOS.send_async(workflow, message, topic, idempotency_key=key)

    await asyncio.create_task(post(), context=contextvars.Context())


async def tell(workflow: str, message: Json, topic: str) -> None:
    """Sends a message from within a workflow, once."""
    await DBOS.send_async(workflow, message, topic)


async def receive(topic: str, within: float) -> Json | None:
    """The next message to this workflow, waited for across restarts, or None after `within` seconds."""
    return cast(Json | None, await DBOS.recv_async(topic, timeout_seconds=within))


async def pause(seconds: float) -> None:
    """Waits within a workflow, across restarts."""
    await DBOS.sleep_async(seconds)


async def cancel(workflow: str) -> None:
    """Cancels a workflow and its children: what they do next, they do not."""

    async def stop() -> None:
        await DBOS.cancel_workflow_async(workflow, cancel_children=True)

    await asyncio.create_task(stop(), context=contextvars.Context())


def _write_ahead(database: Path) -> None:
    """DBOS leaves SQLite's journal as it is; a write-ahead log costs one fsync a commit instead of three."""
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
