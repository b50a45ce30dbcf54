"""Calls that survive the process: each is a DBOS workflow whose id is the task's.

One per process, because DBOS is, and loaded only where it is needed. What a step returned is kept; the code between
steps runs again after a restart.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar, cast

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.types import Json

T = TypeVar("T")

VERSION = "1"
"""Names the order of steps. Change it only with that: workflows of another version are not taken up again."""

POLL = 0.03
"""Seconds between looks for messages to parked workflows; one thread looks for all of them."""

RETRIES = (0.2, 0.5, 1, 2, 4, 8, 15)
"""Seconds between the attempts of a step whose peer does not answer."""

PUSHES = 40
"""Attempts to reach the receiver of a push, over some 30 minutes: after that its own sweep has to find out."""


_ALWAYS = 1_000_000


class Host(Protocol):
    """Who runs the calls of a process."""

    async def run(self, task: str) -> None:
        """Runs the call to its end."""

    async def notify(self, task: str, url: str, state: str) -> None:
        """Tells a receiver that the task changed. Raises `ProviderUnavailable` when it should be tried again."""


@dataclass(slots=True)
class _Engine:
    """DBOS with the workflows registered, and who they are run for now."""

    dbos: Any
    call: Any
    push: Any
    named: Any
    host: Host | None = None

    @property
    def running(self) -> Host:
        if self.host is None:
            raise ConfigurationError("The process serves no agent with durable skills any more.")
        return self.host


_engines: list[_Engine] = []


def _engine() -> _Engine:
    if not _engines:
        raise ConfigurationError("The process serves no agent with durable skills.")
    return _engines[0]


def _registered() -> _Engine:
    from dbos import DBOS, SetWorkflowID

    if not _engines:
        decorate = [
            DBOS.workflow(name=f"stead.kit.{name}", max_recovery_attempts=1_000_000) for name in ("call", "push")
        ]
        _engines.append(_Engine(DBOS, decorate[0](_call), decorate[1](_push), SetWorkflowID))
    return _engines[0]


async def _call(task: str) -> None:
    await _engine().running.run(task)


async def _push(task: str, url: str, state: str) -> None:
    pause = 0.5
    for _ in range(PUSHES):
        if await step("push", lambda: _told(task, url, state)):
            return
        await _engine().dbos.sleep_async(pause)
        pause = min(pause * 2, 60)


async def _told(task: str, url: str, state: str) -> bool:
    """True when there is nothing left to do."""
    try:
        await _engine().running.notify(task, url, state)
    except ProviderUnavailable:
        return False
    return True


def launch(host: Host, name: str, database: Path) -> None:
    """Starts DBOS in the running loop, and with it whatever the last process left undone.

    Raises `ConfigurationError` when this process already has a host.
    """
    from stead.agents.kit.serializer import PlainJson
    from stead.identity.sqlite_time import teach_milliseconds

    teach_milliseconds()
    engine = _registered()
    if engine.host is not None:
        raise ConfigurationError("This process already serves an agent with durable skills.", hint="One per process.")
    logging.getLogger("dbos").setLevel(logging.ERROR)
    engine.host = host
    engine.dbos(
        config={
            "name": name,
            "system_database_url": f"sqlite:///{database}",
            "executor_id": name,
            "application_version": VERSION,
            "serializer": PlainJson(),
            "notification_listener_polling_interval_sec": POLL,
            "log_level": "ERROR",
            "enable_otlp": False,
        }
    )
    engine.dbos.launch()


async def close() -> None:
    """Stops DBOS; what is parked stays parked, and is taken up by the next process."""
    from dbos._dbos import _get_dbos_instance

    engine = _engine()
    waiting = list(_get_dbos_instance()._workflow_tasks)
    for one in waiting:
        one.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    engine.dbos.destroy(workflow_completion_timeout_sec=0)
    # DBOS had made its own pool the loop's default, and has just shut it down.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor())
    engine.host = None


async def start(task: str) -> None:
    """Starts the call of a task, once however often it is asked to."""
    engine = _engine()
    with engine.named(task):
        await engine.dbos.start_workflow_async(engine.call, task)


async def push(task: str, url: str, state: str) -> None:
    """Starts telling a receiver, until it was told."""
    engine = _engine()
    with engine.named(f"{task}:{state}"):
        await engine.dbos.start_workflow_async(engine.push, task, url, state)


async def send(task: str, message: Json, topic: str) -> None:
    """Sends a message to a call that waits for it under this topic. A repeated one counts once."""
    await _engine().dbos.send_async(task, message, topic, idempotency_key=f"{topic}:{message.get('state')}")


async def receive(topic: str, within: float) -> Json | None:
    """Waits for a message, across restarts; the deadline is kept as well. None when it passes."""
    return cast(Json | None, await _engine().dbos.recv_async(topic, timeout_seconds=within))


async def step(name: str, work: Callable[[], Awaitable[T]]) -> T:
    """Does `work` once and keeps what it returns. A peer that does not answer is asked again a few times."""

    async def retried() -> T:
        for pause in RETRIES:
            with suppress(ProviderUnavailable):
                return await work()
            await asyncio.sleep(pause)
        return await work()

    return cast(T, await _engine().dbos.run_step_async({"name": name}, retried))
