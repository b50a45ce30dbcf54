"""`stead demo` as a process: what it leaves behind, what it brings back, and what it refuses to start on."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from stead.demo.network.addresses import addresses, network_of
from stead.demo.network.catalogue import SERVICES
from stead.identity.home import Home
from stead.identity.serving import origin
from tests.journeys.finport import FinPort, start_network, stop_network
from tests.journeys.processes import kill, listener, processes_of, ready, until_gone

HOLDER = "import socket, sys; s = socket.create_server((sys.argv[1], int(sys.argv[2]))); print(flush=True); input()"


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The state directory on which the tests of this file start networks, one after another."""
    return tmp_path_factory.mktemp("launcher") / "home"


@contextmanager
def started(path: Path, *words: str) -> Iterator[FinPort]:
    """A network, ended by Ctrl-C."""
    network = start_network(path, *words)
    try:
        yield network
    finally:
        if network.launcher.poll() is None:
            stop_network(network)


@contextmanager
def held(url: str) -> Iterator[int]:
    """A foreign process that listens at an origin."""
    host, port = origin(url)
    command = [sys.executable, "-c", HOLDER, host, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.communicate(b"\n")


def demo(path: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A demo that ends by itself."""
    return subprocess.run(
        [sys.executable, "-m", "stead.demo", *words],
        env={**os.environ, "STEAD_HOME": str(path), "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def free(url: str) -> bool:
    """Whether an origin can be listened on."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(origin(url))
        except OSError:
            return False
        return True


@pytest.fixture(scope="module")
def first(path: Path) -> Iterator[FinPort]:
    """The first network of the file; a test ends it."""
    with started(path) as network:
        yield network


async def test_a_network_is_not_started_twice_from_one_state_directory(path: Path, first: FinPort) -> None:
    for words in (("demo",), ("demo", "--fresh"), ("demo", "--story")):
        second = demo(path, *words)
        assert second.returncode == 2, second
        assert f"process {first.launcher.pid}" in second.stderr
        assert "STEAD_HOME" in second.stderr
    assert (await first.ask("Show my portfolio", "alice"))[0] == 0


async def test_a_killed_child_is_named_with_its_last_lines_and_comes_back_and_nothing_outlives_ctrl_c(
    path: Path, first: FinPort
) -> None:
    pid = await kill(first, "mcp_servers.quotes")
    assert listener(first.urls["mcp_servers"]["quotes"]) not in (None, pid)
    code, asked = await first.ask("How will AAPL trend?", "alice")
    assert code == 0, asked
    assert processes_of(path)
    first.launcher.send_signal(signal.SIGINT)
    _, err = first.launcher.communicate(timeout=30)
    assert first.launcher.returncode == 0
    assert "mcp quotes killed by SIGKILL; starting it again. Its last lines:" in err.decode()
    assert "FinPort has stopped." in err.decode()
    assert not processes_of(path)
    assert all(free(url) for _, url in addresses(first.home.network))


async def test_a_start_after_ctrl_c_and_one_after_a_kill_go_on_and_no_orphan_is_left(
    path: Path, first: FinPort
) -> None:
    """The second start finds what Ctrl-C left; the third one waits for the children of a launcher that was killed."""
    with held(f"http://127.0.0.99:{urlsplit(first.home.network.trail).port}"), started(path) as second:
        assert second.urls == first.urls
        before = await newest_trail(second)
        os.kill(second.launcher.pid, signal.SIGKILL)
        second.launcher.communicate(timeout=30)
    with started(path) as third:
        assert third.urls == first.urls
        assert await newest_trail(third) == before
        assert "market_data.trend" in {hop["resource"] for hop in before}
        os.kill(third.launcher.pid, signal.SIGKILL)
        third.launcher.communicate(timeout=30)
        await until_gone(path)


async def newest_trail(network: FinPort) -> list[dict[str, Any]]:
    code, out, err = await network.stead("trail", "export", "--as", "alice", "--json")
    assert code == 0, err
    hops: list[dict[str, Any]] = json.loads(out)["hops"]
    return hops


async def test_a_busy_port_names_its_holder_and_fresh_chooses_others_and_forgets(path: Path) -> None:
    network = Home(path).network
    before = (path / "keys" / "broker.json").read_bytes()
    (path / "stead.yaml").write_text("planner: rules\n")
    with held(network.bank_idp) as pid:
        busy = demo(path, "demo", "--json")
        assert (busy.returncode, busy.stdout) == (2, "")
        assert f"{network.bank_idp}, the recorded address of bank_idp, is held by python" in busy.stderr
        assert f"(process {pid})" in busy.stderr
        assert "stead demo --fresh" in busy.stderr
        assert "Traceback" not in busy.stderr
        with started(path, "--fresh") as fresh:
            assert set(dict(addresses(fresh.home.network)).values()).isdisjoint(dict(addresses(network)).values())
            code, _, err = await fresh.stead("trail", "show", "--as", "alice")
            assert (code, "No task has left a trail yet." in err) == (1, True)
            assert (await fresh.ask("Transfer 2 EUR to Bob's savings", "alice", "--approve"))[0] == 0
    assert (path / "keys" / "broker.json").read_bytes() != before
    assert (path / "stead.yaml").read_text() == "planner: rules\n"


@pytest.mark.parametrize("command", [("demo", "--json"), ("serve", "web"), ("serve", "idp", "corporate")])
async def test_an_address_beyond_loopback_is_refused(tmp_path: Path, command: tuple[str, ...]) -> None:
    home = Home(tmp_path / "home")
    network = network_of(home)
    port = urlsplit(network.web).port
    home.record(replace(network, web=f"http://0.0.0.0:{port}", corporate_idp=f"http://0.0.0.0:{port}"))
    refused = demo(home.path, *command)
    assert refused.returncode == 2
    assert "0.0.0.0 is not a loopback address" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not processes_of(home.path)


@pytest.mark.parametrize(
    ("record", "word"),
    [
        ("{", "not readable"),
        ('{"web": 1}', "not readable"),
        (None, "No network is recorded"),
    ],
)
async def test_a_record_that_cannot_be_used_is_named(tmp_path: Path, record: str | None, word: str) -> None:
    if record is not None:
        (tmp_path / "network.json").write_text(record)
    refused = demo(tmp_path, "serve", "agent", "transfer")
    assert refused.returncode == 2
    assert word in refused.stderr
    assert "Traceback" not in refused.stderr


async def test_a_record_with_addresses_that_are_none_is_named(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    network = network_of(home)
    for url in ("nonsense", "http://127.0.0.1:99999", "http://[::1", "ftp://127.0.0.1:1"):
        (home.path / "network.json").write_text(json.dumps(asdict(network) | {"web": url}))
        for command in (("demo",), ("serve", "web")):
            refused = demo(home.path, *command)
            assert refused.returncode == 2, (url, refused.stderr)
            assert "is not an origin with a port" in refused.stderr


async def test_a_policy_file_that_no_service_would_read_keeps_the_network_from_starting(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    network_of(home)
    misspelt = home.folder("policies") / "transfer-agnet.yaml"
    misspelt.write_text("- {id: shut, resource: transfer.send, outcome: deny}")
    for command in (("demo", "--json"), ("serve", "agent", "portfolio"), ("serve", "mcp", "quotes")):
        refused = demo(home.path, *command)
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"No service reads {misspelt}" in refused.stderr
        assert "Did you mean transfer-agent?" in refused.stderr
    told = demo(home.path, "doctor")
    assert told.returncode == 1
    assert f"BAD  policies: No service reads {misspelt}" in told.stdout


async def test_each_service_is_a_command_of_its_own(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    urls = dict(addresses(network_of(home)))
    environment = {**os.environ, "STEAD_HOME": str(home.path), "NO_COLOR": "1"}
    served = [
        await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stead.demo", "serve", *service.command),
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for service in SERVICES
    ]
    try:
        async with asyncio.timeout(90):
            for url in urls.values():
                while not await ready(url):
                    await asyncio.sleep(0.1)
        asker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "stead.demo", "ask", "Show my portfolio", "--as", "alice", "--json"),
            env=environment,
            stdout=asyncio.subprocess.PIPE,
        )
        out, _ = await asyncio.wait_for(asker.communicate(), 60)
        assert (asker.returncode, json.loads(out)["state"]) == (0, "TASK_STATE_COMPLETED")
    finally:
        for process in served:
            process.terminate()
        ended = await asyncio.wait_for(asyncio.gather(*(process.wait() for process in served)), 30)
    assert set(ended) <= {0, -signal.SIGTERM}, ended


async def test_the_story_is_told_to_its_end(path: Path) -> None:
    told = demo(path, "demo", "--story")
    assert told.returncode == 0, told.stderr
    assert "Four scenes" in told.stdout
    assert "Traceback" not in told.stderr
    assert not processes_of(path)
