"""A running FinPort as tests see it: started by the command that people use, asked through the same command."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stead.identity.home import Home


@dataclass
class FinPort:
    """A running network and the `stead` command that talks to it."""

    home: Home
    urls: dict[str, Any]
    launcher: "subprocess.Popen[bytes]" = field(repr=False)

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "STEAD_HOME": str(self.home.path), "NO_COLOR": "1"}

    async def stead(self, *words: str, stdin: bytes | None = None) -> tuple[int, str, str]:
        """Runs a `stead` command; exit code, stdout, stderr."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "stead.demo",
            *words,
            env=self.environment,
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await asyncio.wait_for(process.communicate(stdin), 120)
        return process.returncode or 0, out.decode(), err.decode()

    async def ask(self, goal: str, person: str, *more: str) -> tuple[int, dict[str, Any]]:
        """`stead ask --json`: exit code and what it printed."""
        code, out, err = await self.stead("ask", goal, "--as", person, "--json", *more)
        assert out, err
        answer: dict[str, Any] = json.loads(out)
        return code, answer

    async def trail(self, task: str) -> list[dict[str, Any]]:
        """The hops of a task, as exported."""
        code, out, err = await self.stead("trail", "export", task, "--json")
        assert code == 0, err
        hops: list[dict[str, Any]] = json.loads(out)["hops"]
        return hops


def start_network(path: Path, *words: str) -> FinPort:
    """Starts `stead demo` in a state directory of its own and waits for the map that it prints once ready."""
    environment = {**os.environ, "STEAD_HOME": str(path), "NO_COLOR": "1"}
    launcher = subprocess.Popen(
        [sys.executable, "-m", "stead.demo", "demo", "--json", *words],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert launcher.stdout is not None
    line = launcher.stdout.readline()
    if not line:
        raise AssertionError(launcher.communicate()[1].decode())
    return FinPort(Home(path), json.loads(line), launcher)


def stop_network(network: FinPort) -> None:
    """Ctrl-C, and all of it is gone."""
    network.launcher.send_signal(signal.SIGINT)
    network.launcher.communicate(timeout=30)
