"""A typed async function as a skill: its hints are the schema, and what it needs beyond its input is injected by type.

Knows pydantic; knows no protocol and no network.
"""

import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError, create_model

from stead.agents.kit.ask import Ask
from stead.agents.kit.mcp_client import McpClient
from stead.identity.challenge import Provider
from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Network
from stead.identity.types import Json
from stead.identity.values import Grant, Principal

Function = Callable[..., Awaitable[Any]]
Where = Callable[[Network], Provider]
_INJECTED = (Ask, Principal, McpClient)


@dataclass(frozen=True, slots=True)
class Skill:
    """One skill: what it takes and gives, and by what right it may be called."""

    id: str
    description: str
    function: Function
    inputs: type[BaseModel]
    output: TypeAdapter[Any]
    injected: Mapping[str, type]
    examples: tuple[str, ...]
    tags: tuple[str, ...]
    grant: Grant
    scopes: tuple[str, ...]
    effects: bool
    provider: Where | None
    durable: bool

    @property
    def needs_input(self) -> bool:
        """True when there is a field without which it cannot run."""
        return any(field.is_required() for field in self.inputs.model_fields.values())

    @property
    def clients(self) -> tuple[str, ...]:
        """The MCP servers it calls, by the names of its parameters."""
        return tuple(name for name, kind in self.injected.items() if kind is McpClient)

    def read(self, raw: Mapping[str, Any]) -> Json:
        """The input, checked and in canonical JSON form. Raises `InvalidRequest` naming the fields that do not fit."""
        try:
            return self.inputs.model_validate(raw).model_dump(mode="json")
        except ValidationError as error:
            fields = [(".".join(str(part) for part in one["loc"]), one["msg"]) for one in error.errors()]
            raise InvalidRequest(
                f"The input of {self.id} does not fit: {'; '.join(f'{name}: {why}' for name, why in fields)}.",
                hint=f"It takes {self._takes()}.",
                fields=fields,
            ) from None

    async def call(self, inputs: Mapping[str, Any], gifts: Mapping[type, Any], clients: Mapping[str, McpClient]) -> Any:
        """Runs the function. `inputs` is what `read` returned; `gifts` what is injected by type."""
        given = {name: clients[name] if kind is McpClient else gifts[kind] for name, kind in self.injected.items()}
        fields = self.inputs.model_validate(inputs)
        typed = {name: getattr(fields, name) for name in self.inputs.model_fields}
        return await self.function(**typed, **given)

    def write(self, output: Any) -> Json:
        """The output as a JSON object; what is no object by itself becomes its member `result`."""
        written = self.output.dump_python(self.output.validate_python(output), mode="json")
        return written if isinstance(written, dict) else {"result": written}

    def say(self, output: Any) -> str:
        """The output in a sentence: itself when it is text, else its own `__str__` if it defines one."""
        if isinstance(output, str):
            return output
        return str(output) if _speaks(output) else f"{self.description.rstrip('.')}: done."

    def output_schema(self) -> Json:
        """The JSON Schema of what `write` returns."""
        schema = self.output.json_schema(mode="serialization")
        if schema.get("type") == "object" or "properties" in schema:
            return schema
        return {"type": "object", "properties": {"result": schema}, "required": ["result"]}

    def _takes(self) -> str:
        fields = self.inputs.model_fields
        return ", ".join(f"{name}{'' if one.is_required() else ' (optional)'}" for name, one in fields.items()) or "{}"


def _speaks(output: object) -> bool:
    written = next(kind for kind in type(output).__mro__ if "__str__" in vars(kind))
    return written not in (BaseModel, object) and written.__module__ != "builtins"


def skill_of(
    function: Function,
    *,
    examples: Sequence[str] = (),
    tags: Sequence[str] = (),
    grant: Grant = Grant.OBO,
    scopes: Sequence[str] = (),
    effects: bool = False,
    provider: Where | None = None,
    durable: bool | None = None,
    gifts: Sequence[type] = (),
) -> Skill:
    """Reads a skill off `function`. Raises `ConfigurationError` when it is not async, or lacks hints or a docstring."""
    name = function.__name__
    if not inspect.iscoroutinefunction(function):
        raise ConfigurationError(f"The skill {name} is not an async function.")
    if not function.__doc__:
        raise ConfigurationError(f"The skill {name} has no docstring.", hint="It is what planners and people read.")
    if grant is Grant.S2S and provider is not None:
        raise ConfigurationError(f"The skill {name} asks a person, but is called for no person.")
    hints = get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    _require_hints(name, parameters, hints)
    injected = {one: hints[one] for one in parameters if hints[one] in (*_INJECTED, *gifts)}
    return Skill(
        id=name,
        description=inspect.cleandoc(function.__doc__).split("\n\n")[0].replace("\n", " "),
        function=function,
        inputs=_input_model(name, {one: it for one, it in parameters.items() if one not in injected}, hints),
        output=TypeAdapter(hints["return"]),
        injected=injected,
        examples=tuple(examples),
        tags=tuple(tags) or tuple(name.split("_")),
        grant=grant,
        scopes=tuple(scopes),
        effects=effects,
        provider=provider,
        durable=provider is not None if durable is None else durable,
    )


def _require_hints(name: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]) -> None:
    missing = [one for one in (*parameters, "return") if one not in hints]
    if missing:
        raise ConfigurationError(f"The skill {name} has no type hint for {', '.join(missing)}.")


def _input_model(name: str, parameters: Mapping[str, inspect.Parameter], hints: Mapping[str, Any]) -> type[BaseModel]:
    fields: dict[str, Any] = {
        one: (hints[one], ... if it.default is inspect.Parameter.empty else it.default)
        for one, it in parameters.items()
    }
    title = f"{name.title().replace('_', '')}Input"
    return create_model(title, __config__=ConfigDict(extra="forbid"), **fields)
