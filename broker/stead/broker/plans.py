"""A plan, and what it is made of, as frozen values.

A plan is a directed acyclic graph of steps. An input of a step is a literal, or a reference to what an earlier step
gave: `{"$ref": "s1.output.total"}`. Knows nothing of how a plan is found or run.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from stead.identity.values import Grant

MAX_STEPS = 12
REFERENCE = "$ref"


class Value(BaseModel):
    """A frozen value of the wire; an unknown member is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Provider(Value):
    """Who authorizes an in-task skill besides the company."""

    issuer: str
    name: str


class StepIdentity(Value):
    """Whose authority a step carries: the grant of its call, and the provider that must agree besides."""

    grant: Grant
    audience: str
    scopes: tuple[str, ...] = ()
    in_task: Provider | None = None


class Candidate(Value):
    """A skill or a tool that a plan may use. `key` is unique in the network: "<agent>.<skill>"."""

    key: str
    agent: str
    skill: str
    kind: Literal["agent", "mcp"] = "agent"
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    input_schema: Mapping[str, Any] = Field(default_factory=dict)
    output_schema: Mapping[str, Any] = Field(default_factory=dict)
    identity: StepIdentity
    effects: bool = False

    @property
    def properties(self) -> Mapping[str, Mapping[str, Any]]:
        """The inputs that the schema names."""
        return self.input_schema.get("properties") or {}

    @property
    def required(self) -> tuple[str, ...]:
        """The inputs that must be given."""
        return tuple(self.input_schema.get("required") or ())


class Step(Value):
    """One call of one skill."""

    id: str
    skill: str
    agent: str
    why: str
    inputs: dict[str, Any] = Field(default_factory=dict)
    needs: tuple[str, ...] = ()
    identity: StepIdentity
    effects: bool = False

    @classmethod
    def of(cls, candidate: Candidate, number: int, why: str, inputs: dict[str, Any]) -> "Step":
        """The step that calls `candidate`; what it needs follows from its references."""
        return cls(
            id=f"s{number}",
            skill=candidate.key,
            agent=candidate.agent,
            why=why,
            inputs=inputs,
            needs=tuple(dict.fromkeys(step for step, _ in references(inputs))),
            identity=candidate.identity,
            effects=candidate.effects,
        )


class Refusal(Value):
    """Something that was asked and will not be done, as a sentence."""

    text: str
    reason: Literal["unsupported", "negated", "invalid_input", "plan_invalid", "ambiguous"] = "unsupported"
    hint: str | None = None


class Question(Value):
    """What a step still needs from the person."""

    text: str
    skill: str
    missing: tuple[str, ...] = ()


class Plan(Value):
    """What will be done, what will not, and what is still to be asked."""

    goal: str
    planner: str
    steps: tuple[Step, ...] = ()
    refused: tuple[Refusal, ...] = ()
    questions: tuple[Question, ...] = ()


def references(value: Any) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each reference within `value`: the step's id, and the path in what it gave."""
    if isinstance(value, Mapping):
        if set(value) == {REFERENCE} and isinstance(value[REFERENCE], str):
            step, *path = value[REFERENCE].split(".")
            yield step, tuple(path)
            return
        for member in value.values():
            yield from references(member)
    elif isinstance(value, list | tuple):
        for member in value:
            yield from references(member)


def resolve(value: Any, outputs: Mapping[str, Any]) -> Any:
    """`value` with each reference replaced. Raises `LookupError` where a step did not give what is referred to."""
    if isinstance(value, Mapping):
        if set(value) == {REFERENCE} and isinstance(value[REFERENCE], str):
            return _look_up(value[REFERENCE], outputs)
        return {name: resolve(member, outputs) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [resolve(member, outputs) for member in value]
    return value


def _look_up(reference: str, outputs: Mapping[str, Any]) -> Any:
    found: Any = {step: {"output": output} for step, output in outputs.items()}
    for part in reference.split("."):
        if isinstance(found, Mapping) and part in found:
            found = found[part]
        elif isinstance(found, list) and part.isdecimal() and int(part) < len(found):
            found = found[int(part)]
        else:
            raise LookupError(reference)
    return found
