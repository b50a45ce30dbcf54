"""Guard, ingress, decision and record around an app, warm, in one process: what identity adds to one hop."""

import json
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.identity.tokens import SCOPE, token, verifier
from benchmarks.measure import Effort, progress, report, side_by_side
from stead.identity.audit.journal import Journal
from stead.identity.clock import system_clock
from stead.identity.guard import EdgeGuard
from stead.identity.ingress import Ingress, Operation
from stead.identity.policy import Policy, declared
from stead.identity.types import ASGIApp, Json, Message, Receive, Scope, Send
from stead.identity.values import Grant

ISSUER, AUDIENCE, RESOURCE = "http://127.0.0.2:9001", "http://127.0.0.5:9002", "portfolio.summary"
BODY = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {"message": {"parts": []}}}).encode()


async def run(effort: Effort) -> None:
    """The difference between the app alone and behind its door."""
    progress("guard and ingress around an app")
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal(Path(folder), "portfolio-agent", system_clock)
        off_us, on_us = await side_by_side(effort, 1_000, _calls(_answer), _calls(_guarded(journal)))
        journal.close()
    report("identity.hop.warm", on_us - off_us, "us", at_most=70)


def _guarded(journal: Journal) -> ASGIApp:
    def describe(_: Scope, __: Json) -> Operation:
        return Operation("SendMessage", RESOURCE, {})

    ingress = Ingress(
        _answer,
        verifier=verifier(ISSUER, AUDIENCE),
        journal=journal,
        policy=Policy([declared(RESOURCE, Grant.OBO, [SCOPE])]),
        describe=describe,
        audience=AUDIENCE,
        scopes=(SCOPE,),
        protocol="jsonrpc",
    )
    return EdgeGuard(ingress, protocol="jsonrpc")


async def _answer(_: Scope, receive: Receive, send: Send) -> None:
    await receive()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"jsonrpc":"2.0","id":1,"result":{}}'})


def _calls(app: ASGIApp) -> Any:
    headers = [
        (b"host", b"127.0.0.5:9002"),
        (b"content-type", b"application/json"),
        (b"content-length", str(len(BODY)).encode()),
        (b"authorization", f"Bearer {token(ISSUER, AUDIENCE)}".encode()),
        (b"traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ]
    scope = {"type": "http", "method": "POST", "path": "/a2a", "query_string": b"", "headers": headers}

    async def receive() -> Message:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200

    async def call() -> None:
        await app({**scope, "headers": list(headers), "state": {}}, receive, send)

    return call
