"""An authorization server and a chain of services that call each other, each a process of its own; Alice signs in."""

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.apps import LINKS, SCOPE, link_name
from benchmarks.processes import Server, Wanted, free, served
from stead.demo.cli.session import Session, signed_in
from stead.identity.home import Home, Network


@dataclass(frozen=True, slots=True)
class Town:
    """Where everything is."""

    home: Home
    issuer: Server
    links: tuple[str, ...]

    async def alice(self) -> Session:
        """Alice, signed in anew for the first link."""
        return await signed_in(self.home, "alice", {self.links[0]: (SCOPE,)})


@asynccontextmanager
async def town(*, links: int) -> AsyncIterator[Town]:
    """The issuer, and as many of the links as are called."""
    async with AsyncExitStack() as stack:
        home = Home(Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home")
        urls = tuple(free() for _ in range(LINKS))
        names = [link_name(number) for number in range(1, LINKS + 1)]
        issuer = free()
        home.record(Network("", "", "", issuer, "http://127.0.0.3:1", dict(zip(names, urls, strict=True))))
        following = [*urls[1:], ""]
        called = [
            Wanted("link", {"name": names[index], "number": str(index + 1), "following": following[index]}, urls[index])
            for index in range(links)
        ]
        server, *_ = await stack.enter_async_context(served(home.path, Wanted("issuer", url=issuer), *called))
        yield Town(home, server, urls)
