"""How a rule is written down: the form that YAML has to have, which is also what its JSON Schema says."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Text = Annotated[str, Field(min_length=1)]


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class AllowParams(_Form):
    """Nothing goes with allow."""


class ConsentParams(_Form):
    """Where the person is asked."""

    provider: Text | None = Field(None, description="The address of the provider at which the person is asked.")


class StepUpParams(_Form):
    """The sign-in that would do (RFC 9470)."""

    acr_values: Text | None = Field(None, description="The authentication context that is needed.")
    max_age: Annotated[int, Field(ge=0)] | None = Field(None, description="Seconds since the sign-in, at most.")


class DenyParams(_Form):
    """What the caller lacks."""

    scope: Text | None = Field(None, description="The scopes that are needed, where others would do.")


class RuleForm(_Form):
    """A rule: for these resources, when the condition holds, this outcome."""

    id: Text = Field(description="Its name, in the record of decisions and in refusals.")
    resource: Text | Annotated[list[Text], Field(min_length=1)] = Field(
        description='The skill or tool, such as transfer.send, several of them, or "*" for all.'
    )
    when: bool | str = Field(True, description="The condition, in CEL; without one the rule always applies.")
    reason: str | None = Field(None, description="A sentence for the person: why not.")
    hint: str | None = Field(None, description="A sentence for the person: what would help.")


class AllowRule(RuleForm):
    """Lets through. Only in the file of a service itself."""

    outcome: Literal["allow"]
    params: AllowParams | None = None


class ConsentRule(RuleForm):
    """Asks for the person's approval."""

    outcome: Literal["consent"]
    params: ConsentParams | None = None


class StepUpRule(RuleForm):
    """Asks for a stronger or fresher sign-in."""

    outcome: Literal["step_up"]
    params: StepUpParams | None = None


class DenyRule(RuleForm):
    """Refuses, whatever other rules say."""

    outcome: Literal["deny"]
    params: DenyParams | None = None


FORMS: Mapping[str, type[AllowRule | ConsentRule | StepUpRule | DenyRule]] = {
    "allow": AllowRule,
    "consent": ConsentRule,
    "step_up": StepUpRule,
    "deny": DenyRule,
}
"""By outcome, the form of a rule."""
PARAMS: Mapping[str, type[BaseModel]] = {
    "allow": AllowParams,
    "consent": ConsentParams,
    "step_up": StepUpParams,
    "deny": DenyParams,
}
AnyRule = Annotated[AllowRule | ConsentRule | StepUpRule | DenyRule, Field(discriminator="outcome")]
