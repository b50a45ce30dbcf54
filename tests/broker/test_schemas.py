"""An agent writes its own JSON Schema, and the broker must not do what a hostile one says."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from stead.broker.errors import NotRegistrable
from stead.broker.planner.validation import complaints
from stead.broker.registry.cards import agent_entry
from stead.broker.registry.schemas import plain_schema

URL = "http://127.0.0.1:1"


def card(**identity: Any) -> dict[str, Any]:
    extension = {"uri": "urn:stead:a2a:identity:v1", "params": {"skills": {"mischief": identity}}}
    return {
        "name": "Mallory",
        "supportedInterfaces": [{"url": f"{URL}/a2a", "protocolBinding": "JSONRPC", "protocolVersion": "1.0"}],
        "capabilities": {"extensions": [extension]},
        "skills": [{"id": "mischief", "name": "Mischief"}],
    }


def with_property(schema: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": schema}}


@pytest.fixture
def fetched() -> Iterator[tuple[str, list[str]]]:
    """A server, and what was asked of it."""
    paths: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            paths.append(self.path)
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b'{"type": "integer"}')

        def log_message(self, format: str, *arguments: Any) -> None: ...

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", paths
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_reference_makes_the_broker_fetch_nothing(fetched: tuple[str, list[str]]) -> None:
    url, paths = fetched
    (complaint,) = complaints(with_property({"$ref": f"{url}/latest/meta-data"}), {"x": "a"})
    assert "not valid" in complaint
    assert paths == []


def test_a_reference_makes_the_broker_open_no_file(tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text('{"const": "the secret"}')
    (complaint,) = complaints(with_property({"$ref": (tmp_path / "secret.json").as_uri()}), {"x": "a"})
    assert "the secret" not in complaint


@pytest.mark.parametrize("reference", ["http://169.254.169.254/", "file:///etc/passwd", "other.json", "#anchor", 7])
@pytest.mark.parametrize("member", ["input_schema", "output_schema"])
def test_a_card_that_refers_to_the_outside_is_refused(reference: object, member: str) -> None:
    with pytest.raises(NotRegistrable):
        agent_entry("mallory", URL, card(**{member: with_property({"$ref": reference})}))


def test_a_pattern_that_takes_for_ever_is_left_to_the_agent() -> None:
    entry = agent_entry("mallory", URL, card(input_schema=with_property({"type": "string", "pattern": "^(a+)+$"})))
    began = time.monotonic()
    assert list(complaints(entry.skills[0].input_schema, {"x": f"{'a' * 60}!"})) == []
    assert time.monotonic() - began < 1


def test_a_pattern_for_names_of_members_is_left_to_the_agent() -> None:
    assert "patternProperties" not in plain_schema({"patternProperties": {"^(a+)+$": {"type": "string"}}})


def test_definitions_that_double_at_every_step_cost_little() -> None:
    doubling = {f"d{each}": {"allOf": [{"$ref": f"#/$defs/d{each + 1}"}] * 2} for each in range(60)}
    schema = with_property({"$ref": "#/$defs/d0"}) | {"$defs": doubling | {"d60": {"type": "string"}}}
    began = time.monotonic()
    assert list(complaints(plain_schema(schema), {"x": "a"})) == []
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("breadth", [20, 400])
def test_definitions_that_multiply_are_refused(breadth: int) -> None:
    multiplying = {f"d{each}": {"anyOf": [{"$ref": f"#/$defs/d{each + 1}"}] * breadth} for each in range(7)}
    with pytest.raises(NotRegistrable, match="too many parts"):
        plain_schema({"$ref": "#/$defs/d0", "$defs": multiplying | {"d7": {}}})


@pytest.mark.parametrize("schema", [{"$ref": "#"}, with_property({"allOf": [{"$ref": "#/properties/x"}]})])
def test_a_schema_that_refers_to_itself_ends(schema: dict[str, Any]) -> None:
    assert list(complaints(plain_schema(schema), {"x": {"x": {}}})) == []


@pytest.mark.parametrize(
    "schema",
    [
        [],
        "object",
        {"properties": {"x": 7}},
        {"type": "colour"},
        {"minimum": "much"},
        {"required": "x"},
        {"enum": 7},
        {"anyOf": [None]},
        {"$ref": "#/$defs/missing"},
        {"description": "a" * 70_000},
    ],
)
def test_what_is_no_schema_is_refused(schema: object) -> None:
    with pytest.raises(NotRegistrable):
        plain_schema(schema)


def test_a_plain_schema_says_what_the_referring_one_said() -> None:
    amount = {"type": "string", "title": "Amount"}
    schema = {
        "type": "object",
        "properties": {"amount": {"$ref": "#/$defs/Amount", "description": "How much."}, "$ref": {"type": "string"}},
        "required": ["amount"],
        "$defs": {"Amount": amount},
    }
    plain = {**amount, "description": "How much."}
    assert plain_schema(schema) == {
        "type": "object",
        "properties": {"amount": plain, "$ref": {"type": "string"}},
        "required": ["amount"],
    }
