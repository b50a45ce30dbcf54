"""A small MCP server behind a real ingress: two tools, one of them with effects."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from mcp.server.mcpserver import MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from starlette.applications import Starlette
from starlette.routing import Mount

from stead.identity.ingress import Operation
from stead.identity.policy import Policy, declared
from stead.identity.types import ASGIApp, Json, Scope
from stead.identity.values import Grant, current_principal
from stead.identity.workload import Workload

PINNED: Counter[str] = Counter()


def notes_app(workload: Workload) -> ASGIApp:
    server = MCPServer("notes", version="1")

    @server.tool()
    async def read_notes(topic: str = "all") -> dict[str, Any]:
        """Reads your notes about a topic."""
        if topic == "broken":
            raise ToolError("The notes about that are lost.")
        return {"owner": current_principal().subject, "topic": topic}

    @server.tool()
    async def pin_note(text: str) -> dict[str, Any]:
        """Pins a note to the wall."""
        PINNED[text] += 1
        return {"pinned": text}

    app = server.streamable_http_app(streamable_http_path="/mcp", stateless_http=True, json_response=True)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with server.session_manager.run():
            yield

    tools = {
        "read_notes": {"grant": "obo", "scopes": ["notes:read"], "effects": False, "examples": ["Read my notes"]},
        "pin_note": {"grant": "obo", "scopes": ["notes:read"], "effects": True, "examples": ["Pin a note"]},
    }
    return workload.protect(
        Starlette(routes=[Mount("/", app)], lifespan=lifespan),
        describe=_describe,
        policy=Policy.load([declared(f"notes.{tool}", Grant.OBO, ["notes:read"]) for tool in tools]),
        scopes=("notes:read", "tools:list"),
        protocol="jsonrpc",
        extra={"stead_tools": tools},
    )


def _describe(scope: Scope, document: Json) -> Operation | None:
    if document.get("method") != "tools/call":
        return None
    return Operation("tools/call", f"notes.{document['params']['name']}", document["params"].get("arguments") or {})
