"""Identity in front of a real A2A agent and a real MCP server: off, with bearer tokens, with bound ones.

Each server is a process; what counts is the processor time it uses for one call over HTTP, taken in interleaved rounds.
"""

import secrets
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from benchmarks.identity.tokens import PROOF_KEY, provider, token
from benchmarks.measure import Effort, progress, report
from benchmarks.processes import Server, Wanted, free, served, serving
from benchmarks.wire import CONNECTIONS, Wire, post
from stead.identity.dpop import sign_proof
from stead.identity.home import Home, Network
from stead.identity.types import Json
from stead.identity.values import AccessToken

WARM_UP = 100
MODES = ("off", "bearer", "dpop")

Request = Callable[[str, dict[str, str]], bytes]
"""A request to the server at an origin, with these headers."""


async def run(effort: Effort) -> None:
    """An agent of the kit, which keeps its tasks; the A2A SDK's own, which answers and keeps nothing; an MCP server."""
    a2a = await _measured(effort, "agent", _agent_call, 25)
    _told("a2a", a2a)
    report("identity.a2a.bearer_of_off", _share(a2a, 1), "ratio", at_least=0.95)
    report("identity.a2a.dpop_of_off", _share(a2a, 2), "ratio", at_least=0.85)
    sdk = await _measured(effort, "sdk", _sdk_call, 80)
    _told("a2a_sdk_alone", sdk)
    report("identity.a2a_sdk_alone.bearer_of_off", _share(sdk, 1), "ratio")
    report("identity.a2a_sdk_alone.dpop_of_off", _share(sdk, 2), "ratio")
    mcp = await _measured(effort, "mcp", _mcp_call, 200)
    _told("mcp", mcp)
    report("identity.mcp.bearer_costs", _difference(mcp, 1), "us", at_most=70)
    report("identity.mcp.dpop_costs", _difference(mcp, 2), "us", at_most=300)
    report("identity.mcp.bearer_of_off", _share(mcp, 1), "ratio")
    report("identity.mcp.dpop_of_off", _share(mcp, 2), "ratio")


Rounds = Sequence[Sequence[float]]
"""Microseconds of a call, by round and mode."""


def _told(kind: str, rounds: Rounds) -> None:
    for mode, column in zip(MODES, zip(*rounds, strict=True), strict=True):
        report(f"identity.{kind}.{mode}", statistics.median(column), "us")


def _share(rounds: Rounds, mode: int) -> float:
    """What is left of the server's throughput: the median over rounds, each compared with itself."""
    # The clock of a process ticks in hundredths: a short form may see none of them.
    return statistics.median(figures[0] / figures[mode] if figures[mode] else 1.0 for figures in rounds)


def _difference(rounds: Rounds, mode: int) -> float:
    return statistics.median(figures[mode] - figures[0] for figures in rounds)


async def _measured(effort: Effort, kind: str, call: Request, usual: int) -> Rounds:
    progress(f"identity in front of a real {kind} server: off, bearer, DPoP")
    issuer = free()
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "home"
        Home(home).record(Network("", "", "", issuer, issuer))
        await stack.enter_async_context(serving({issuer: provider(issuer)}))
        # A server for each mode, so that none has kept more than another.
        doors = [{"door": "open"}, {}, {}]
        wanted = [Wanted(kind, {"name": f"{kind}-{mode}", **door}) for mode, door in zip(MODES, doors, strict=True)]
        off, bearer, bound = await stack.enter_async_context(served(home, *wanted))
        makers = [_unknown(call, off), _bearer(call, bearer, issuer), _bound(call, bound, issuer)]
        cells = list(zip((off, bearer, bound), makers, strict=True))
        for server, make in cells:
            await _one(server, make, effort.calls(WARM_UP))
        return [
            [await _one(server, make, effort.calls(usual)) for server, make in cells] for _ in range(effort.rounds + 1)
        ]


Make = Callable[[int], list[bytes]]
"""So many requests, each with a mark (and a proof) of its own."""


async def _one(server: Server, make: Make, count: int) -> float:
    """Microseconds of a call. The connections, which an idle server closes, are made before the clock is read."""
    requests = make(CONNECTIONS + count)
    async with Wire(server.url) as wire:
        await wire.send(requests[:CONNECTIONS])
        started = server.used()
        await wire.send(requests[CONNECTIONS:])
        return (server.used() - started) / count * 1_000_000


def _unknown(call: Request, server: Server) -> Make:
    return lambda count: [call(server.url, {}) for _ in range(count)]


def _bearer(call: Request, server: Server, issuer: str) -> Make:
    headers = {"authorization": f"Bearer {token(issuer, server.url)}"}
    return lambda count: [call(server.url, {**headers, "traceparent": _trace()}) for _ in range(count)]


def _bound(call: Request, server: Server, issuer: str) -> Make:
    bound = token(issuer, server.url, bound=True)

    def one() -> bytes:
        path = call(server.url, {}).split(b" ", 2)[1].decode()
        proof = sign_proof(PROOF_KEY, "POST", f"{server.url}{path}", time.time(), token=AccessToken(bound))
        return call(server.url, {"authorization": f"DPoP {bound}", "dpop": proof, "traceparent": _trace()})

    return lambda count: [one() for _ in range(count)]


def _trace() -> str:
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def _agent_call(url: str, headers: dict[str, str]) -> bytes:
    return _message(url, headers, {"data": {"skill": "say", "input": {"text": "Hello"}}})


def _sdk_call(url: str, headers: dict[str, str]) -> bytes:
    return _message(url, headers, {"text": "Hello"})


def _message(url: str, headers: dict[str, str], part: Json) -> bytes:
    message = {"messageId": secrets.token_hex(8), "role": "ROLE_USER", "parts": [part]}
    body = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": message}}
    return post(url, "/a2a", body, {"a2a-version": "1.0", **headers})


def _mcp_call(url: str, headers: dict[str, str]) -> bytes:
    prefix = "io.modelcontextprotocol/"
    meta: Json = {f"{prefix}protocolVersion": "2026-07-28", f"{prefix}clientCapabilities": {}}
    params = {"name": "say", "arguments": {"text": "Hello"}, "_meta": meta}
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    told = {
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": "tools/call",
        "mcp-name": "say",
    }
    return post(url, "/mcp", body, {**told, **headers})
