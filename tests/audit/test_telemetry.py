"""Spans: with the trail's ids, one below the other as the calls were, with no token on them and no person by name."""

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from stead.identity.egress import Target
from stead.identity.errors import ConfigurationError, IdentityError
from stead.identity.home import Home, Network
from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.settings import Settings
from stead.identity.telemetry import OFF, names
from stead.identity.telemetry.sdk import TelemetrySettings, telemetry
from stead.identity.telemetry.tracing import pseudonym
from stead.identity.types import Json, Receive, Scope, Send
from stead.identity.values import Grant
from stead.identity.vault import Vault
from stead.identity.workload import Workload
from tests.audit.issuing import Issuer, listening, serving

CANARY = "canary" + secrets.token_hex(12)
ASK = {"jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": {}}
NOWHERE = "http://127.0.0.1:9"


@dataclass
class Street:
    """A broker that people call, and an agent that it calls in their stead or for nobody."""

    home: Home
    issuer: Issuer
    broker: Workload
    agent: Workload
    http: httpx.AsyncClient
    spans: InMemorySpanExporter
    grant: Grant = Grant.OBO
    failure: Exception | None = None
    hops: list[str] = field(default_factory=list)

    async def call(self, grant: Grant = Grant.OBO, token: str | None = None) -> httpx.Response:
        self.grant = grant
        claims = {"sub": "alice", "client_id": "finport-web", "aud": self.broker.url, "scope": "ask", "sid": "s"}
        headers = {
            "authorization": f"Bearer {token or self.issuer.sign(**claims, name='Alice Moreau')}",
            "traceparent": f"00-{'c' * 32}-{'d' * 16}-01",
        }
        return await self.http.post(f"{self.broker.url}/a2a", json=ASK, headers=headers)

    def named(self, title: str, kind: SpanKind) -> ReadableSpan:
        [span] = [each for each in self.spans.get_finished_spans() if (each.name, each.kind) == (title, kind)]
        return span

    def events(self) -> list[Json]:
        for workload in (self.broker, self.agent):
            workload.journal.flush()
        files = sorted(self.home.folder("audit").glob("*.jsonl"))
        return [json.loads(line) for path in files for line in path.read_bytes().splitlines()]

    async def at_the_broker(self, scope: Scope, receive: Receive, send: Send) -> None:
        vault = Vault(self.home.database("v"), bytes(32))
        vault.put("alice", "t", "subject", CANARY.encode())
        vault.close()
        scopes = ("portfolio:read",) if self.grant is Grant.OBO else ("market:read",)
        resource = "portfolio.summary" if self.grant is Grant.OBO else "holdings.list_holdings"
        target, method = (
            Target(self.agent.url, scopes, self.grant),
            "SendMessage" if self.grant is Grant.OBO else "tools/call",
        )
        try:
            async with self.broker.hop(target, operation=method, resource=resource, task="t-1") as hop:
                self.hops.append(hop.hop_id)
                body = ASK | {"method": method, "params": {"resource": resource}}
                await self.broker.http.post(f"{self.agent.url}/a2a", json=body)
                if self.failure is not None:
                    raise self.failure
        except (IdentityError, RuntimeError):
            pass
        await answered(send)

    async def at_the_agent(self, scope: Scope, receive: Receive, send: Send) -> None:
        await answered(send)


async def answered(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": b"{}"})


@asynccontextmanager
async def street(path: Path, settings: TelemetrySettings, *, in_memory: bool = True) -> AsyncIterator[Street]:
    home, spans = Home(path), InMemorySpanExporter()
    (issuing, issuer_url), (first, broker_url), (second, agent_url) = listening(), listening(), listening()
    issuer = Issuer(issuer_url, home.key("issuer"))
    home.record(Network(NOWHERE, broker_url, "", issuer_url, NOWHERE))
    configured = Settings(telemetry=TelemetrySettings() if in_memory else settings)
    broker = Workload.open("broker", url=broker_url, home=home, settings=configured)
    agent = Workload.open("portfolio-agent", url=agent_url, home=home, settings=configured)
    async with httpx.AsyncClient(trust_env=False) as http:
        scene = Street(home, issuer, broker, agent, http, spans)
        with ExitStack() as stack:
            async with (
                serving(issuer.app(), issuing),
                serving(guarded(broker, scene.at_the_broker), first),
                serving(guarded(agent, scene.at_the_agent), second),
            ):
                for workload in (broker, agent) if in_memory else ():
                    made = telemetry(home, workload.name, settings, SimpleSpanProcessor(spans))
                    workload.telemetry = stack.enter_context(made)
                yield scene


def guarded(workload: Workload, serve: Any) -> Any:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await serve(scope, receive, send)
            return
        for stage in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{stage}.complete"})

    def describe(_: Scope, document: Json) -> Operation:
        place = "broker.ask" if workload.name == "broker" else document["params"].get("resource", "portfolio.summary")
        return Operation(document["method"], place)

    rules = [
        declared("broker.ask", Grant.LOGIN, ["ask"]),
        declared("portfolio.summary", Grant.OBO, ["portfolio:read"]),
        declared("holdings.list_holdings", Grant.S2S, ["market:read"]),
    ]
    scopes = ("ask", "portfolio:read", "market:read")
    return workload.protect(app, describe=describe, policy=Policy(rules), scopes=scopes, protocol="jsonrpc")


@pytest.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Street]:
    async with street(tmp_path, TelemetrySettings()) as scene:
        yield scene


def attributes(span: ReadableSpan) -> Mapping[str, Any]:
    return span.attributes or {}


def ids(span: ReadableSpan) -> tuple[str, str, str]:
    context, parent = span.get_span_context(), span.parent
    assert context is not None
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", f"{parent.span_id:016x}" if parent else ""


async def test_spans_lie_one_below_the_other_with_the_ids_of_the_trail(scene: Street) -> None:
    assert (await scene.call()).status_code == 200
    came, policy, made, obtained, arrived = (
        ids(scene.named("invoke_agent broker", SpanKind.SERVER)),
        [ids(span) for span in scene.spans.get_finished_spans() if span.name == names.POLICY_SPAN],
        ids(scene.named("invoke_agent portfolio", SpanKind.CLIENT)),
        ids(scene.named(names.EXCHANGE_SPAN, SpanKind.INTERNAL)),
        ids(scene.named("invoke_agent portfolio", SpanKind.SERVER)),
    )
    assert {came[0], made[0], obtained[0], arrived[0]} == {"c" * 32}
    assert came[2] == "d" * 16, "the caller's hop"
    assert made[1:] == (scene.hops[0], came[1])
    assert obtained[2] == made[1]
    assert arrived[2] == made[1]
    assert {each[2] for each in policy} == {came[1], arrived[1]}
    told = {(event["hop"], event.get("trace")) for event in scene.events() if event["kind"] == "egress"}
    assert told == {(made[1], made[0])}


async def test_a_service_call_begins_a_trace_of_its_own(scene: Street) -> None:
    assert (await scene.call(Grant.S2S)).status_code == 200
    made = scene.named("tools/call list_holdings", SpanKind.CLIENT)
    [event] = [each for each in scene.events() if each["kind"] == "egress"]
    assert ids(made) == (event["trace"], event["hop"], "")
    assert event["trace"] != "c" * 32
    arrived = attributes(scene.named("tools/call list_holdings", SpanKind.SERVER))
    assert not {names.PSEUDONYM, names.PERSON, names.ACTORS} & arrived.keys()


async def test_attributes_say_by_what_right(scene: Street) -> None:
    await scene.call()
    arrived = attributes(scene.named("invoke_agent portfolio", SpanKind.SERVER))
    assert arrived[names.GRANT] == "obo"
    assert arrived[names.ACTORS] == ("broker",)
    assert arrived[names.SCOPES] == ("portfolio:read",)
    assert (arrived[names.DECISION], arrived[names.RULE]) == ("allow", "declared:portfolio.summary")
    assert (arrived[names.OPERATION], arrived[names.AGENT]) == ("invoke_agent", "portfolio")
    made = attributes(scene.named("invoke_agent portfolio", SpanKind.CLIENT))
    assert (made[names.TASK], made[names.OUTCOME], made[names.SERVER]) == ("t-1", "completed", "127.0.0.1")
    await scene.call(Grant.S2S)
    tool = attributes(scene.named("tools/call list_holdings", SpanKind.CLIENT))
    assert (tool[names.MCP_METHOD], tool[names.TOOL]) == ("tools/call", "list_holdings")


async def test_a_vault_event_stands_on_the_call_in_which_it_happened(scene: Street) -> None:
    await scene.call()
    assert [event.name for event in scene.named("invoke_agent broker", SpanKind.SERVER).events] == [names.VAULT_PUT]


async def test_a_refused_call_has_its_code_and_no_words(scene: Street) -> None:
    forged = await scene.call(token="a.b.c" + CANARY)
    assert forged.status_code == 401
    span = scene.named("invoke_agent broker", SpanKind.SERVER)
    assert attributes(span)[names.ERROR] == "invalid_token"
    assert (span.status.is_ok, span.status.description, span.events) == (False, None, ())


async def test_no_token_and_no_exceptions_text_is_on_any_span(scene: Street) -> None:
    scene.failure = RuntimeError(f"it broke with {CANARY}")
    await scene.call()
    await scene.call(Grant.S2S)
    await scene.call(token=f"eyJ{CANARY}.eyJ{CANARY}.c2ln")
    spans = scene.spans.get_finished_spans()
    assert len(spans) > 8
    dumped = "".join(span.to_json() for span in spans)
    assert CANARY not in dumped
    assert "eyJ" not in dumped
    assert "Alice" not in dumped
    assert not any(event.name == "exception" for span in spans for event in span.events)


@pytest.mark.parametrize("persons", ["pseudonym", "subject", "none"])
async def test_a_person_is_named_as_the_operator_wants_and_by_default_not(tmp_path: Path, persons: Any) -> None:
    async with street(tmp_path, TelemetrySettings(persons=persons)) as scene:
        await scene.call()
        spans = [
            scene.named("invoke_agent broker", SpanKind.SERVER),
            scene.named("invoke_agent portfolio", SpanKind.SERVER),
        ]
    owner = f"{scene.issuer.url}|alice"
    known = {
        "pseudonym": {names.PSEUDONYM: pseudonym(scene.home.secret("telemetry-pseudonyms"), owner)},
        "subject": {names.PERSON: "alice"},
        "none": {},
    }[persons]
    for span in spans:
        assert {name: value for name, value in attributes(span).items() if name.startswith("enduser")} == known
    assert TelemetrySettings().persons == "pseudonym"


async def test_without_the_setting_there_is_no_span_and_nothing_is_made(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with telemetry(home, "broker", TelemetrySettings()) as off:
        assert off is OFF
    assert not (tmp_path / "secrets").exists()


class Receiver:
    """An OTLP endpoint on loopback that keeps what it is sent."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(self.rfile.read(int(self.headers["content-length"])))
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def spans(self) -> list[tuple[Any, Any]]:
        sent = [ExportTraceServiceRequest.FromString(body) for body in self.bodies]
        return [
            (each.resource, span)
            for request in sent
            for each in request.resource_spans
            for scope in each.scope_spans
            for span in scope.spans
        ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    receiver = Receiver()
    thread = threading.Thread(target=receiver.server.serve_forever, daemon=True)
    thread.start()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()
    thread.join()


async def test_spans_reach_a_real_receiver_whole_and_without_a_token(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", receiver.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    async with street(tmp_path, TelemetrySettings(traces=True), in_memory=False) as scene:
        assert (await scene.call()).status_code == 200
        await scene.call(token=f"eyJ{CANARY}.eyJ{CANARY}.c2ln")
    spans = receiver.spans()
    by_id = {span.span_id: span for _, span in spans}
    [arrived] = [span for _, span in spans if span.name == "invoke_agent portfolio" and span.kind == 2]
    made = by_id[arrived.parent_span_id]
    came = by_id[made.parent_span_id]
    assert made.span_id.hex() == scene.hops[0]
    assert (came.name, came.trace_id.hex(), came.parent_span_id.hex()) == ("invoke_agent broker", "c" * 32, "d" * 16)
    services = {
        each.value.string_value for resource, _ in spans for each in resource.attributes if each.key == "service.name"
    }
    assert services == {"broker", "portfolio-agent"}
    everything = b"".join(receiver.bodies)
    assert CANARY.encode() not in everything
    assert b"eyJ" not in everything
    assert b"alice" not in everything.lower()


@pytest.mark.parametrize(("said", "kept"), [(None, "false"), ("true", "true")])
def test_the_a2a_sdks_own_spans_are_off_unless_somebody_wants_them(said: str | None, kept: str) -> None:
    variable = "OTEL_INSTRUMENTATION_A2A_SDK_ENABLED"
    environment = {name: value for name, value in os.environ.items() if name != variable}
    code = f"import os, stead.agents, stead.broker; print(os.environ[{variable!r}])"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment | ({} if said is None else {variable: said}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == kept


def test_telemetry_without_the_extra_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.resources", None)
    with (
        pytest.raises(ConfigurationError) as refused,
        telemetry(Home(tmp_path), "broker", TelemetrySettings(traces=True)),
    ):
        pass
    assert "stead[otel]" in str(refused.value.hint)
