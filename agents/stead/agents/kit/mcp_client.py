"""A client of one MCP server, injected into skills by parameter name. Every call is a hop with its own identity."""

import json
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequest, CallToolRequestParams, CallToolResult, TextContent
from pydantic import TypeAdapter, ValidationError

from stead.agents.kit.ask import Consent
from stead.identity import replies
from stead.identity.egress import OpenHop, Target
from stead.identity.errors import (
    AccessDenied,
    IdentityError,
    InsufficientScope,
    InvalidRequest,
    InvalidToken,
    OutOfScope,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.step_up import StepUp
from stead.identity.types import Json
from stead.identity.values import AccessToken, Grant
from stead.identity.workload import Workload

PROTOCOL = "2026-07-28"
"""The revision of MCP spoken: calls carry everything they need, so that no session outlives an identity."""

TIMEOUT = 30.0
REFUSED = frozenset({replies.UNAUTHENTICATED, replies.REFUSED, replies.UNAVAILABLE})
"""JSON-RPC codes whose message and hint are meant for the caller."""

Once = Callable[[str, Callable[[], Awaitable[Json]]], Awaitable[Json]]
Reveal = Callable[[Consent], Awaitable[AccessToken]]

_RESULT: TypeAdapter[CallToolResult] = TypeAdapter(CallToolResult)
log = logging.getLogger("stead.kit")


@dataclass(frozen=True, slots=True)
class McpClient:
    """The server `name` at `url`, called with `scopes` by `grant`.

    `once` remembers results for a durable call; `reveal` fetches the credential of a consent where it is used.
    """

    workload: Workload
    name: str
    url: str
    scopes: tuple[str, ...]
    grant: Grant
    once: Once
    reveal: Reveal
    consent: Consent | None = None

    def using(self, consent: Consent) -> "McpClient":
        """The same client, spending a person's consent: its token instead of an exchanged one."""
        return replace(self, consent=consent, scopes=consent.scopes, grant=Grant.IN_TASK)

    async def call(self, tool: str, /, **arguments: Any) -> Json:
        """Calls a tool and returns its structured result.

        Raises `GrantRefused` when no token is to be had, `AccessDenied` and the like when the server refuses,
        `InvalidRequest` when the tool says that it cannot, and `ProviderUnavailable` when no answer comes.
        """
        return await self.once(f"{self.name}.{tool}", lambda: self._hop(tool, arguments))

    async def _hop(self, tool: str, arguments: Json) -> Json:
        resource = f"{self.name}.{tool}"
        async with self.workload.hop(await self._target(), operation="tools/call", resource=resource) as hop:
            return await self._call(tool, arguments, hop)

    async def _target(self) -> Target:
        if self.consent is None:
            return Target(self.url, self.scopes, self.grant)
        token, consent_id = await self.reveal(self.consent), self.consent.id
        return Target(self.url, self.scopes, Grant.IN_TASK, credential=token, effects=True, consent_id=consent_id)

    async def _call(self, tool: str, arguments: Json, hop: OpenHop) -> Json:
        try:
            async with Client(self._transport(), mode=PROTOCOL, cache=None, read_timeout_seconds=TIMEOUT) as client:
                request = CallToolRequest(params=CallToolRequestParams(name=tool, arguments=arguments))
                result = await client.session.send_request(request, _RESULT)
        except (MCPError, httpx2.HTTPError, ValidationError, ExceptionGroup) as error:
            cause = _innermost(error)
            if isinstance(cause, MCPError) and hop.is_echoed_in(f"{cause.error.message} {cause.error.data}"):
                raise self._echo(tool) from None
            raise self._translated(tool, cause) from None
        if hop.is_echoed_in(result.model_dump_json()):
            raise self._echo(tool)
        return self._read(tool, result)

    def _echo(self, tool: str) -> ProviderUnavailable:
        """What a result says is shown, kept, and perhaps read by a model: a token has no business there."""
        log.warning("%s.%s gave back the token it was called with", self.name, tool)
        return ProviderUnavailable(f"{self.name}.{tool} gave an answer that is not passed on.")

    def _transport(self) -> Any:
        return streamable_http_client(f"{self.url}/mcp", http_client=self.workload.http2)

    def _read(self, tool: str, result: CallToolResult) -> Json:
        if result.is_error:
            said = " ".join(part.text for part in result.content if isinstance(part, TextContent))
            raise InvalidRequest(f"{self.name}.{tool} cannot: {said[:500] or 'it does not say why'}")
        if not isinstance(result.structured_content, dict) or not _is_json(result.structured_content):
            raise ProviderUnavailable(f"{self.name}.{tool} gave no structured result.")
        return result.structured_content

    def _translated(self, tool: str, error: BaseException) -> BaseException:
        if isinstance(error, MCPError):
            return self._refused(tool, error)
        if isinstance(error, httpx2.HTTPError):
            log.warning("%s.%s: %s", self.name, tool, type(error).__name__)
            return ProviderUnavailable(f"{self.name} does not answer.", hint="Try again in a moment.")
        if isinstance(error, ValidationError):
            # Its text quotes the answer, which is not for any log.
            log.warning("%s.%s: an answer that is none", self.name, tool)
            return ProviderUnavailable(f"{self.name}.{tool} gave an answer that is none.")
        return error

    def _refused(self, tool: str, error: MCPError) -> IdentityError:
        """A JSON-RPC error as ours: the sentence of a refusal is passed on, anything else is only that it failed."""
        if error.error.code not in REFUSED:
            log.warning("%s.%s: JSON-RPC error %s", self.name, tool, error.error.code)
            return ProviderUnavailable(f"{self.name}.{tool} failed.", hint="Its log says why.")
        told = replies.told_in(error.error.data)
        wanted = StepUp.from_json(told.said).as_json() if told.reason == StepUpRequired.code else {}
        return _REFUSALS.get(told.reason or "", AccessDenied)(error.error.message[:500], hint=told.hint, **wanted)


_REFUSALS: dict[str, type[IdentityError]] = {
    kind.code: kind
    for kind in (OutOfScope, InvalidRequest, InvalidToken, InsufficientScope, StepUpRequired, ProviderUnavailable)
}


def _is_json(result: Json) -> bool:
    """The SDK reads NaN and Infinity, which are no numbers (RFC 8259 s6): no comparison of amounts holds for them."""
    try:
        json.dumps(result, allow_nan=False)
    except ValueError:
        return False
    return True


def _innermost(error: BaseException) -> BaseException:
    """The SDK's task groups wrap what went wrong, once or more."""
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
