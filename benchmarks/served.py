"""`python -m benchmarks.served KIND URL [NAME=VALUE…]`: one server to be measured.

`agent` is an agent of the kit, `sdk` the A2A SDK's own, `mcp` a server of the kit around the MCP SDK's. `door=open`
serves the same app with nothing in front of it: whoever calls is the same person. That is what "identity off" means in
every ratio. An agent of the kit takes the call as it was read at the door, so there its message is read in any case.
"""

import importlib
import json
import sys
from collections.abc import Mapping
from typing import Any, cast

from starlette.authentication import AuthCredentials

from benchmarks.apps import SCOPE
from stead.identity.home import Home
from stead.identity.ingress import Describe
from stead.identity.serving import listen, serve
from stead.identity.types import ASGIApp, Message, Receive, Scope, Send
from stead.identity.values import Arrival, Grant, Principal, acting_for
from stead.identity.workload import Workload

ARRIVAL = Arrival("0" * 15 + "1", "0" * 31 + "1", "jti")


class OpenWorkload(Workload):
    """A workload that lets everybody in, unasked and unrecorded."""

    reads = False

    def protect(self, app: ASGIApp, *, describe: Describe, **_: Any) -> ASGIApp:
        """The app as it is, for one person."""
        scopes = frozenset({SCOPE})
        person = Principal(self.issuer, "alice", self.url, "broker", scopes, "jti", 2**40, Grant.OBO)
        within = {"user": person, "auth": AuthCredentials(sorted(person.scopes))}

        async def opened(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] == "lifespan":
                async with self:
                    await app(scope, receive, send)
                return
            inner, replayed = {**scope, **within}, receive
            if self.reads:
                message = await receive()
                describe(inner, json.loads(message["body"]))
                replayed = _once(message)
            with acting_for(person, ARRIVAL):
                await app(inner, replayed, send)

        return opened


def _once(message: Message) -> Receive:
    async def replayed() -> Message:
        return message

    return replayed


def app_of(kind: str, url: str, given: Mapping[str, str]) -> ASGIApp:
    """The server's app."""
    home = Home.current()
    make = importlib.import_module(f"benchmarks.apps.{kind}").app
    if kind == "issuer":
        return cast(ASGIApp, make(home, url))
    opened = OpenWorkload if given.get("door") == "open" else Workload
    workload = opened.open(given.get("name", kind), url=url, home=home)
    if isinstance(workload, OpenWorkload):
        workload.reads = kind == "agent"
    rest = {name: value for name, value in given.items() if name not in ("door", "name")}
    return cast(ASGIApp, make(workload, **rest))


def main(kind: str, url: str, *words: str) -> None:
    """Serves until it is ended."""
    given = dict(word.split("=", 1) for word in words)
    app = app_of(kind, url, given)
    serve(app, listen(url), log_level="error")


if __name__ == "__main__":
    main(*sys.argv[1:])
