"""Processes that serve: forked from a parent that imported everything, watched, named when they die, and ended.

The parent runs no thread and no event loop, which is what makes forking it safe; where it is not, children are spawned.
"""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from stead.demo.network.catalogue import Service

_PR_SET_PDEATHSIG = 1
_LAST_LINES = 8
_PATIENCE = 5.0


@dataclass(frozen=True, slots=True)
class Child:
    """A running service: its process, its log, and when it was started (monotonic seconds)."""

    service: Service
    pid: int
    log: Path
    started: float

    def last_lines(self) -> list[str]:
        """The end of what it printed."""
        try:
            return self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]
        except OSError:
            return []


def fork_is_safe() -> bool:
    """Linux, and nobody started a thread."""
    return sys.platform == "linux" and threading.active_count() == 1


def start(service: Service, log: Path, run: Callable[[], None]) -> Child:
    """Starts `service`: a fork that calls `run`, or where forking is unsafe a process of its own."""
    pid = _fork(log, run) if fork_is_safe() else _spawn(service, log)
    return Child(service, pid, log, time.monotonic())


def _spawn(service: Service, log: Path) -> int:
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "stead.demo", "serve", *service.command],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        ).pid


def _fork(log: Path, run: Callable[[], None]) -> int:
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        _become(parent, log, run)
    return pid


def _become(parent: int, log: Path, run: Callable[[], None]) -> NoReturn:
    status = 1
    try:
        os.setsid()
        _die_with(parent)
        _redirect(log)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_DFL)
        run()
        status = 0
    except SystemExit as stop:
        status = stop.code if isinstance(stop.code, int) else 1
    except BaseException as error:  # a forked child must never return into its parent's code
        _explain(error)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _explain(error: BaseException) -> None:
    import traceback

    from stead.identity.errors import IdentityError

    if isinstance(error, IdentityError):
        print(f"{error.description} {error.hint or ''}", file=sys.stderr)  # noqa: T201
    elif not isinstance(error, KeyboardInterrupt):
        traceback.print_exception(error)


def _die_with(parent: int) -> None:
    """Asks the kernel to end this process when its parent dies, so that no orphan holds a port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _redirect(log: Path) -> None:
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    silence = os.open(os.devnull, os.O_RDONLY)
    os.dup2(silence, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    os.close(silence)


def reason(status: int) -> str:
    """Why a process ended, in words, from its wait status."""
    if os.WIFSIGNALED(status):
        return f"killed by {signal.Signals(os.WTERMSIG(status)).name}"
    return f"exited with code {os.waitstatus_to_exitcode(status)}"


def stop(children: list[Child]) -> None:
    """Ends all: asked first, forced after five seconds. Returns when none is left."""
    waiting = {child.pid for child in children}
    _signal(waiting, signal.SIGTERM)
    deadline = time.monotonic() + _PATIENCE
    while waiting and time.monotonic() < deadline:
        waiting -= _reaped(waiting)
        time.sleep(0.02)
    _signal(waiting, signal.SIGKILL)
    for pid in waiting:
        os.waitpid(pid, 0)


def _signal(pids: set[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _reaped(pids: set[int]) -> set[int]:
    gone = set()
    for pid in pids:
        try:
            done, _ = os.waitpid(pid, os.WNOHANG)
        except ChildProcessError:
            done = pid
        if done:
            gone.add(pid)
    return gone
