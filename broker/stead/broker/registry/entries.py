"""What the registry knows of an agent or an MCP server, as frozen values of its own: no SDK's type goes further."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Literal

from pydantic import Field

from stead.broker.plans import Candidate, Provider, StepIdentity, Value
from stead.identity.values import Grant

Kind = Literal["agent", "mcp"]


class Status(StrEnum):
    """How an entry is: `closed` is one that answers, but shows its tools to other issuers' callers only."""

    PENDING = "pending"
    READY = "ready"
    UNREACHABLE = "unreachable"
    CLOSED = "closed"


class Skill(Value):
    """A skill of an agent, or a tool of an MCP server, with the right by which it is called."""

    id: str
    name: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()
    grant: Grant = Grant.S2S
    scopes: tuple[str, ...] = ()
    effects: bool = False
    provider: Provider | None = None
    input_schema: Mapping[str, Any] = Field(default_factory=dict)
    output_schema: Mapping[str, Any] = Field(default_factory=dict)

    @property
    def call_grant(self) -> Grant:
        """The grant of the call itself: an in-task skill is called on behalf of the person, who authorizes later."""
        return Grant.OBO if self.grant is Grant.IN_TASK else self.grant


class Entry(Value):
    """An agent or an MCP server. `url` is its origin, which is its audience as well."""

    name: str
    kind: Kind
    url: str
    title: str = ""
    description: str = ""
    endpoint: str = ""
    skills: tuple[Skill, ...] = ()
    pushes: bool = False
    status: Status = Status.PENDING
    note: str | None = None
    seeded: bool = False

    def candidates(self) -> tuple[Candidate, ...]:
        """What a plan could use of it."""
        return tuple(self._candidate(skill) for skill in self.skills)

    def skill(self, skill_id: str) -> Skill | None:
        """The skill of this id."""
        return next((skill for skill in self.skills if skill.id == skill_id), None)

    def as_json(self, planned: frozenset[str]) -> dict[str, Any]:
        """The public form; `planned` are the keys of the skills that the planner may use."""
        document = self.model_dump(mode="json", exclude={"endpoint", "seeded", "pushes", "skills"})
        skills = [
            {
                "key": f"{self.name}.{skill.id}",
                **skill.model_dump(mode="json"),
                "planned": f"{self.name}.{skill.id}" in planned,
            }
            for skill in self.skills
        ]
        return {**document, "skills": skills}

    def _candidate(self, skill: Skill) -> Candidate:
        return Candidate(
            key=f"{self.name}.{skill.id}",
            agent=self.name,
            skill=skill.id,
            kind=self.kind,
            name=skill.name,
            description=skill.description,
            tags=skill.tags,
            examples=skill.examples,
            input_schema=skill.input_schema,
            output_schema=skill.output_schema,
            identity=StepIdentity(
                grant=skill.call_grant, audience=self.url, scopes=skill.scopes, in_task=skill.provider
            ),
            effects=skill.effects,
        )
