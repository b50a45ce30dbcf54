"""Calls of MCP tools, over the MCP SDK's client. What it returns and raises becomes a `Reply` here."""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import TextContent
from pydantic import ValidationError

from stead.broker.executor.attempts import Attempts
from stead.broker.executor.errands import Errand
from stead.broker.executor.replies import SIGN_IN, Fault, Reply, failed, passed_on, stronger
from stead.broker.executor.subjects import Subjects
from stead.broker.registry.entries import Entry
from stead.identity.errors import (
    AccessDenied,
    IdentityError,
    InvalidGrant,
    InvalidToken,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.replies import REFUSED, UNAUTHENTICATED, told_in
from stead.identity.step_up import StepUp
from stead.identity.types import Json
from stead.identity.workload import Workload

SECONDS = 30.0
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Tools:
    """The MCP client of the broker: one connection for one call, because a call is in one person's stead."""

    workload: Workload
    subjects: Subjects
    attempts: Attempts

    async def call(self, errand: Errand, entry: Entry, inputs: Json) -> Reply:
        """The step's one call."""
        title = entry.title or entry.name
        if errand.step.effects and not await self.attempts.begin(errand.message):
            # MCP has no idempotency key: after a crash nobody can say whether the tool did its work.
            return failed("interrupted", f"It is not known whether {title} did it.", "Look there before you ask again.")
        try:
            async with errand.acting(self.subjects):
                return await self._hop(errand, entry, inputs)
        except (InvalidToken, InvalidGrant):
            return SIGN_IN
        except ProviderUnavailable as error:
            return failed(error.code, error.description, error.hint)
        except StepUpRequired as error:
            return stronger(Fault.of(error), StepUp.of(error))
        except IdentityError as error:
            return Reply(state="refused", text=error.description, fault=Fault.of(error))

    async def _hop(self, errand: Errand, entry: Entry, inputs: Json) -> Reply:
        async with self.workload.hop(
            errand.target, operation="tools/call", resource=errand.step.skill, task=errand.task
        ) as hop:
            reply = passed_on(await self._call(errand, entry, inputs), hop)
            if reply.state != "completed":
                hop.outcome(reply.state)
            return reply

    async def _call(self, errand: Errand, entry: Entry, inputs: Json) -> Reply:
        tool, title = errand.step.skill.removeprefix(f"{entry.name}."), entry.title or entry.name
        try:
            transport = streamable_http_client(entry.endpoint, http_client=self.workload.http2)
            async with Client(transport, read_timeout_seconds=SECONDS) as client:
                result = await client.call_tool(tool, inputs)
        except (MCPError, httpx2.HTTPError, RuntimeError, ValidationError, ExceptionGroup) as error:
            return _failure(_innermost(error), title)
        said = " ".join(part.text for part in result.content if isinstance(part, TextContent))[:2000]
        if result.is_error:
            return failed("tool_error", f"{title} cannot: {said or 'it does not say why'}")
        return Reply(
            state="completed", text=_sentence(said, result.structured_content, title), output=result.structured_content
        )


def _sentence(said: str, output: Any, title: str) -> str:
    """What the tool said, unless that is only its data once more; one bare value is an answer (MCP wraps it)."""
    if isinstance(output, Mapping) and list(output) == ["result"] and isinstance(output["result"], str | int | float):
        return f"{title}: {output['result']}"[:2000]
    try:
        repeated = json.loads(said) == output
    except ValueError:
        repeated = False
    return f"{title} answered." if repeated or not said else said


def _failure(error: BaseException, title: str) -> Reply:
    if isinstance(error, MCPError) and error.error.code in (REFUSED, UNAUTHENTICATED):
        told = told_in(error.error.data)
        reason = told.reason or AccessDenied.code
        fault = Fault(code=reason, description=error.error.message[:500], hint=told.hint)
        if reason == StepUpRequired.code:
            return stronger(fault, StepUp.from_json(told.said))
        if error.error.code == REFUSED:
            return Reply(state="refused", text=fault.description, fault=fault)
    if isinstance(error, IdentityError):
        raise error
    _log.warning("a tool of %s failed: %s", title, type(error).__name__)
    return failed("server_error", f"{title} failed.", "Its log says why.")


def _innermost(error: BaseException) -> BaseException:
    """The SDK's task groups wrap what went wrong, once or more."""
    return _innermost(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error
