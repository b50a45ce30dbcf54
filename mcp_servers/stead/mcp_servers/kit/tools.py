"""A tool: a typed async function, and by what right it may be called. Knows the MCP SDK; knows no HTTP."""

import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

from mcp.server.mcpserver.exceptions import InvalidSignature, ToolError
from mcp.server.mcpserver.tools import Tool
from mcp.server.mcpserver.utilities.func_metadata import ArgModelBase
from mcp.shared.exceptions import MCPError
from mcp_types import ToolAnnotations
from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from stead.identity.binding import Binding, is_wanted
from stead.identity.errors import ConfigurationError, IdentityError
from stead.identity.replies import body_of
from stead.identity.types import Json
from stead.identity.values import Grant, Principal, current_principal

TOOLS_LIST = "tools:list"
"""The scope with which a registry, acting as itself, may see every tool without being able to call one."""

_SCALARS = (Decimal, date, datetime, time, UUID)

Function = Callable[..., Awaitable[Any]]
Check = Callable[[Principal, Mapping[str, Any]], None]
"""A condition on one call: returns, or raises an `IdentityError` that says why not."""


@dataclass(frozen=True, slots=True)
class Declaration:
    """By what right a tool is called, published beside its schema and enforced where the call lands."""

    grant: Grant
    scopes: tuple[str, ...]
    effects: bool = False
    examples: tuple[str, ...] = ()
    check: Check | None = None

    def admits(self, principal: Principal) -> bool:
        """Whether the caller has the right, whatever the arguments."""
        return principal.grant is self.grant and principal.scopes.issuperset(self.scopes)

    def as_json(self, binding: Binding) -> Json:
        """What the server's metadata says of it: `{"grant", "scopes", "effects", "bound", "examples"?}`."""
        said: Json = {"grant": self.grant.value, "scopes": list(self.scopes), "effects": self.effects}
        said["bound"] = is_wanted(binding, effects=self.effects)
        return {**said, "examples": list(self.examples)} if self.examples else said


class _Closed(ArgModelBase):
    model_config = ConfigDict(extra="forbid")


class StrictTool(Tool):
    """A tool that refuses arguments it does not know, and says in one sentence each what is wrong with the others."""

    def understood(self, arguments: Json) -> Json:
        """The arguments as the function will get them, in JSON: each of its kind, and those left out at their defaults.

        What does not fit comes back as it is: the function never gets it.
        """
        metadata = self.fn_metadata
        try:
            read = metadata.arg_model.model_validate(metadata.pre_parse_json(arguments))
        except ValidationError:
            return arguments
        return read.model_dump(mode="json", by_alias=True)

    @property
    def understood_schema(self) -> Json:
        """The JSON Schema of what `understood` gives."""
        return self.fn_metadata.arg_model.model_json_schema(mode="serialization", by_alias=True)

    async def run(self, arguments: dict[str, Any], context: Any, convert_result: bool = False) -> Any:
        try:
            self.fn_metadata.arg_model.model_validate(arguments)
        except ValidationError as error:
            raise ToolError(_sentences(error)) from None
        return await super().run(arguments, context, convert_result)


class Understood(Mapping[str, Any]):
    """Arguments as `StrictTool.understood` gives them, understood when somebody looks at them: most rules do not."""

    def __init__(self, tool: StrictTool, arguments: Json) -> None:
        self._tool = tool
        self._arguments = arguments

    @cached_property
    def _understood(self) -> Json:
        return self._tool.understood(self._arguments)

    def __getitem__(self, name: str) -> Any:
        return self._understood[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._understood)

    def __len__(self) -> int:
        return len(self._understood)


def tool_from(function: Function, declaration: Declaration) -> StrictTool:
    """The SDK's tool for `function`.

    Raises `ConfigurationError` when it is not async, says nothing of itself, or returns what has no schema.
    """
    name = getattr(function, "__name__", "")
    if not inspect.iscoroutinefunction(function) or not function.__doc__:
        raise ConfigurationError(f"The tool {name!r} must be an async function with a docstring.")
    annotations = ToolAnnotations(read_only_hint=not declaration.effects, open_world_hint=False)
    described = inspect.cleandoc(function.__doc__)
    try:
        tool = StrictTool.from_function(
            _injected(function), description=described, annotations=annotations, structured_output=True
        )
    except InvalidSignature as error:
        raise ConfigurationError(f"The tool {name!r} cannot be published: {error}") from None
    _refuse_unknown_arguments(tool)
    return tool  # type: ignore[return-value]


def refusal(error: IdentityError) -> MCPError:
    """The error as the caller sees it, in the same form as the ingress gives it: sentence, code and hint."""
    answer = body_of(error, "jsonrpc")["error"]
    return MCPError(answer["code"], answer["message"], answer["data"])


def _injected(function: Function) -> Function:
    """`function` without its `Principal` parameters, which are filled with whoever is calling."""
    signature = inspect.signature(function, eval_str=True)
    injected = [name for name, parameter in signature.parameters.items() if parameter.annotation is Principal]
    wrapped = _wrapper(function.__name__, signature.return_annotation)

    @functools.wraps(function)
    async def call(**arguments: Any) -> Any:
        try:
            result = await function(**arguments, **dict.fromkeys(injected, current_principal()))
        except IdentityError as error:
            raise refusal(error) from error
        return result if wrapped is None else wrapped.model_validate({"result": result})

    rest = [parameter for name, parameter in signature.parameters.items() if name not in injected]
    returns = signature.return_annotation if wrapped is None else wrapped
    call.__signature__ = signature.replace(parameters=rest, return_annotation=returns)  # type: ignore[attr-defined]
    call.__annotations__ = {key: value for key, value in function.__annotations__.items() if key not in injected}
    return call


def _wrapper(name: str, returned: Any) -> type[BaseModel] | None:
    """The SDK puts text and numbers into an object `{"result": ...}`; this does it for the other scalars of JSON."""
    return create_model(f"{name}Output", result=(returned, ...)) if returned in _SCALARS else None


def _refuse_unknown_arguments(tool: Tool) -> None:
    known = tool.fn_metadata.arg_model
    tool.fn_metadata.arg_model = create_model(known.__name__, __base__=(_Closed, known))
    tool.parameters = tool.fn_metadata.arg_model.model_json_schema(by_alias=True)


def _sentences(error: ValidationError) -> str:
    """One clause per mistake, without the rejected values: they may be the person's."""
    return "; ".join(f"{'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in error.errors())
