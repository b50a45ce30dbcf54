"""An MCP server as its RFC 9728 metadata and its `tools/list` describe it. The SDK's types end here."""

from collections.abc import Mapping, Sequence
from typing import Any

from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from pydantic import ValidationError

from stead.broker.errors import NotRegistrable
from stead.broker.registry.cards import fetch_object
from stead.broker.registry.entries import Entry, Skill, Status
from stead.broker.registry.schemas import plain_schema
from stead.identity.egress import Target
from stead.identity.values import Grant
from stead.identity.workload import Workload

METADATA = "/.well-known/oauth-protected-resource"
LIST = "tools:list"
SECONDS = 10.0
"""Seconds for each answer: a server may also answer something that nobody asked."""


async def read_server(name: str, url: str, workload: Workload) -> Entry | None:
    """The entry of the MCP server at the origin `url`, or None when no protected resource is there.

    A server that trusts other issuers only is entered as closed: it is there, and its tools are not for us to see.
    """
    metadata = await fetch_object(f"{url}{METADATA}", workload.bare)
    if metadata is None:
        return None
    title = str(metadata.get("stead_name") or metadata.get("resource_name") or name)[:200]
    entry = Entry(name=name, kind="mcp", url=url, title=title, endpoint=f"{url}/mcp")
    issuers = metadata.get("authorization_servers") or []
    if workload.issuer not in issuers:
        trusted = ", ".join(str(issuer)[:200] for issuer in issuers[:3]) or "no issuer"
        return entry.model_copy(
            update={"status": Status.CLOSED, "note": f"It trusts {trusted} only; its tools are not visible here."}
        )
    tools = await _list_tools(entry, workload)
    return entry.model_copy(
        update={"status": Status.READY, "skills": _skills(tools, metadata.get("stead_tools") or {}, url)}
    )


async def _list_tools(entry: Entry, workload: Workload) -> list[Any]:
    async with (
        workload.detail(Target(entry.url, (LIST,), Grant.S2S)),
        Client(
            streamable_http_client(entry.endpoint, http_client=workload.http2), read_timeout_seconds=SECONDS
        ) as client,
    ):
        return list((await client.list_tools()).tools)


def _skills(tools: Sequence[Any], identities: Mapping[str, Any], url: str) -> tuple[Skill, ...]:
    try:
        return tuple(_skill(tool, identities.get(tool.name) or {}) for tool in tools)
    except (ValidationError, ValueError, TypeError, AttributeError):
        raise NotRegistrable(f"The tools of the server at {url} are not well described.") from None


def _skill(tool: Any, identity: Mapping[str, Any]) -> Skill:
    return Skill(
        id=tool.name,
        name=str(tool.title or tool.name)[:200],
        description=str(tool.description or "")[:2000],
        examples=tuple(str(example)[:300] for example in identity.get("examples", ())[:20]),
        grant=Grant(identity.get("grant", Grant.S2S)),
        scopes=tuple(identity.get("scopes", ())),
        effects=bool(identity.get("effects", False)),
        input_schema=plain_schema(tool.input_schema or {}),
        output_schema=plain_schema(tool.output_schema or {}),
    )
