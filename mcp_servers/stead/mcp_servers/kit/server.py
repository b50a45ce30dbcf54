"""An MCP server on which every call has an identity: the SDK's server, behind the guard and the ingress."""

import asyncio
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from mcp.server.context import CallNext, HandlerResult, ServerRequestContext
from mcp.server.mcpserver import MCPServer
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from stead.identity.errors import ConfigurationError, InsufficientScope
from stead.identity.home import Home
from stead.identity.ingress import Operation
from stead.identity.joining import join
from stead.identity.serving import serve_at
from stead.identity.settings import Settings
from stead.identity.types import ASGIApp, Json, Scope
from stead.identity.values import Grant, current_principal
from stead.identity.verifier import TrustedIssuer
from stead.identity.workload import Workload
from stead.mcp_servers.kit.edge import PATH, SignedIn
from stead.mcp_servers.kit.rules import DeclaredPolicy
from stead.mcp_servers.kit.tools import (
    TOOLS_LIST,
    Check,
    Declaration,
    Function,
    StrictTool,
    Understood,
    refusal,
    tool_from,
)

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

F = TypeVar("F", bound=Function)
IssuersOf = Callable[[Home], Sequence[TrustedIssuer]]


class Server:
    """A named set of tools.

    `issuers` says whose tokens it takes, the network's own provider's when not given. `policy` is a file of rules that
    tighten what the tools declare.
    """

    def __init__(
        self, name: str, description: str, *, issuers: IssuersOf | None = None, policy: Path | None = None
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot name a server.", hint="Lower-case letters, digits and _.")
        self.name = name
        self.description = description
        self.declarations: dict[str, Declaration] = {}
        self._issuers = issuers
        self._policy = policy
        self._tools: dict[str, StrictTool] = {}

    def tool(
        self,
        *,
        grant: Grant,
        scopes: Sequence[str] = (),
        effects: bool = False,
        examples: Sequence[str] = (),
        check: Check | None = None,
    ) -> Callable[[F], F]:
        """Publishes a typed async function as a tool that only a token of this grant, with these scopes, may call.

        `effects` says that the call changes something: it is then on disk in the audit before the function runs.
        `examples` are sentences that a planner may meet. `check` is a condition on the arguments, judged before the
        function runs. Raises `ConfigurationError` for a second tool of the same name.
        """
        declaration = Declaration(grant, tuple(scopes), effects, tuple(examples), check)

        def publish(function: F) -> F:
            tool = tool_from(function, declaration)
            if tool.name in self._tools:
                raise ConfigurationError(f"{self.name} has two tools named {tool.name!r}.")
            self._tools[tool.name], self.declarations[tool.name] = tool, declaration
            return function

        return publish

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that some token for this server may carry."""
        named = (scope for declaration in self.declarations.values() for scope in declaration.scopes)
        return tuple(dict.fromkeys((*named, TOOLS_LIST)))

    def app(self, workload: Workload) -> ASGIApp:
        """The server at `/mcp`, both protocol eras, for the workload it runs as."""
        issuers = None if self._issuers is None else tuple(self._issuers(workload.home))
        return workload.protect(
            SignedIn(self._sdk_app(workload.url)),
            describe=self._describe,
            policy=self._rules(),
            scopes=self.scopes,
            protocol="jsonrpc",
            issuers=issuers,
            extra={
                "stead_name": self.name,
                "stead_tools": {name: each.as_json(workload.settings.dpop) for name, each in self.declarations.items()},
            },
        )

    def _rules(self) -> DeclaredPolicy:
        arguments = {name: tool.understood_schema for name, tool in self._tools.items()}
        return DeclaredPolicy(self.name, self.declarations, arguments, self._policy)

    def serve(self, home: Home | None = None) -> None:
        """Joins the network that runs from `home` and serves until told to stop: the whole of a one-file server."""
        home = home or Home.current()
        joined = asyncio.run(join(self.name, "mcp", home))
        how = Settings.load(home).transport(joined.client_id)
        serve_at(joined.url, lambda: self.app(Workload.open(joined.client_id, url=joined.url, home=home)), how=how)

    def _sdk_app(self, url: str) -> ASGIApp:
        with _root_logging_untouched():
            server = MCPServer[Any](
                self.name,
                description=self.description,
                instructions=self.description,
                tools=list(self._tools.values()),
                subscriptions=False,
                middleware=[self._for_the_caller],
            )
        own = TransportSecuritySettings(allowed_hosts=[urlsplit(url).netloc], allowed_origins=[url])
        return server.streamable_http_app(
            streamable_http_path=PATH, stateless_http=True, json_response=True, transport_security=own
        )

    def _describe(self, scope: Scope, message: Json) -> Operation | None:
        """The call in the body: the headers that name it too are the caller's to forge."""
        if message.get("method") != "tools/call":
            return None
        params = message.get("params")
        name, arguments = (params.get("name"), params.get("arguments")) if isinstance(params, dict) else (None, None)
        declaration = self.declarations.get(name) if isinstance(name, str) else None
        if declaration is None or not isinstance(arguments, dict | None):
            return None  # the SDK refuses it by the protocol's own error: nothing of that name can run
        # Another spelling that the tool takes for the same is decided on as the same.
        understood = Understood(self._tools[str(name)], arguments or {})
        return Operation("tools/call", f"{self.name}.{name}", understood, declaration.effects)

    async def _for_the_caller(self, ctx: ServerRequestContext[Any, Any], call_next: CallNext) -> HandlerResult:
        if ctx.method == "tools/list":
            return _only(self._visible(), await call_next(ctx))
        name = (ctx.params or {}).get("name")
        if ctx.method == "tools/call" and isinstance(name, str) and name not in self._tools:
            raise MCPError(INVALID_PARAMS, "There is no such tool.")
        return await call_next(ctx)

    def _visible(self) -> frozenset[str]:
        """The tools the caller may call; all of them for a registry. Nobody else has business with the list."""
        principal = current_principal()
        if principal.is_service and TOOLS_LIST in principal.scopes:
            return frozenset(self._tools)
        visible = frozenset(name for name, each in self.declarations.items() if each.admits(principal))
        if not visible:
            raise refusal(
                InsufficientScope("This token gives no right to any tool here.", hint=f"Ask for {TOOLS_LIST}.")
            )
        return visible


def _only(visible: frozenset[str], result: HandlerResult) -> HandlerResult:
    if not isinstance(result, dict):
        raise TypeError("tools/list gave no object")
    return {**result, "tools": [tool for tool in result["tools"] if tool["name"] in visible]}


@contextmanager
def _root_logging_untouched() -> Iterator[None]:
    """The SDK's constructor sets up the process's logging unless somebody has: that is the process's own business."""
    root, placeholder = logging.getLogger(), logging.NullHandler()
    root.addHandler(placeholder)
    try:
        yield
    finally:
        root.removeHandler(placeholder)
