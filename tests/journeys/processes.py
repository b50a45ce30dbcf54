"""The processes of a running network, as the system sees them."""

import asyncio
import os
import signal
from pathlib import Path

import httpx
import psutil

from stead.demo.network.addresses import addresses
from stead.identity.serving import origin
from tests.journeys.finport import FinPort


def url_of(finport: FinPort, place: str) -> str:
    """Where `agents.transfer`, `broker`, … is."""
    return dict(addresses(finport.home.network))[place]


def listener(url: str) -> int | None:
    """The process that listens at an origin."""
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr == origin(url):
            return connection.pid
    return None


def processes_of(home: Path) -> set[int]:
    """Every process that was started with this state directory."""
    found = set()
    for process in psutil.process_iter():
        try:
            if process.environ().get("STEAD_HOME") == str(home) and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except psutil.Error:
            continue
    return found


async def until_gone(home: Path, seconds: float = 20) -> None:
    """Waits until no process of the state directory is left; fails naming those that are."""
    async with asyncio.timeout(seconds):
        while processes_of(home):
            await asyncio.sleep(0.05)


async def kill(finport: FinPort, place: str) -> int:
    """Kills one process and waits until it is back and ready; the one that was killed."""
    url = url_of(finport, place)
    killed = listener(url)
    assert killed is not None, f"nobody listens at {url}"
    os.kill(killed, signal.SIGKILL)
    async with asyncio.timeout(30):
        while listener(url) in (None, killed) or not await ready(url):
            await asyncio.sleep(0.05)
    return killed


async def ready(url: str) -> bool:
    """Whether what listens at `url` says that it can do its work."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=5, verify=False) as client:
            return (await client.get(f"{url}/readyz")).status_code == 200
    except httpx.HTTPError:
        return False
