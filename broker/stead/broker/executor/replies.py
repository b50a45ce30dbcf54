"""What came of a call, as one frozen value: what an agent's task or a tool's result means to a step."""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from stead.broker.executor.errands import Errand
from stead.broker.plans import Value
from stead.identity.egress import OpenHop
from stead.identity.errors import IdentityError
from stead.identity.step_up import MOST, StepUp

State = Literal["completed", "refused", "failed", "canceled", "working", "parked", "sign_in"]


class Fault(Value):
    """Why something was not done: the standard's code, a sentence, and what to do next."""

    code: str
    description: str
    hint: str | None = None

    @classmethod
    def of(cls, error: IdentityError) -> "Fault":
        """The fault that an error of ours is."""
        return cls(code=error.code, description=error.description, hint=error.hint)


class Reply(Value):
    """`child` is the agent's task; `challenges` are what a person must answer; `sign_in` says that the person must sign
    in again: their token ran out, or `step_up` says what is wanted; `hop` is the call that was made, for as long as its
    end is not known."""

    state: State
    text: str = ""
    output: Any = None
    fault: Fault | None = None
    child: str | None = None
    challenges: tuple[Mapping[str, Any], ...] = Field(default=())
    sign_in: bool = False
    step_up: Mapping[str, Any] | None = None
    hop: str | None = None

    @property
    def waits(self) -> bool:
        """True while the step is not over."""
        return self.state in ("working", "parked", "sign_in")

    def then(self, later: "Reply") -> "Reply":
        """What is known after another look: a look that failed for want of a sign-in leaves the rest as it was."""
        if later.state == "sign_in" and later.child is None and self.child is not None:
            return self.model_copy(update={"sign_in": True, "step_up": later.step_up})
        return later.model_copy(update={"hop": self.hop})


def stronger(fault: Fault, wanted: StepUp, child: str | None = None) -> Reply:
    """It was refused to this sign-in: with another one it may be called again. `child` is the task that ended so."""
    text, said = fault.description, wanted.as_json()
    return Reply(state="sign_in", text=text, fault=fault, child=child, sign_in=True, step_up=said)


def bounded(reply: Reply, errand: Errand) -> Reply:
    """The reply; but who refuses one sign-in after the other is not asked again, nor who may have done something."""
    if reply.state != "sign_in" or reply.step_up is None:
        return reply
    begun = reply.child is not None and errand.step.effects
    if begun or errand.sign_ins >= MOST:
        return Reply(state="refused", text=reply.text, fault=reply.fault, child=reply.child)
    return reply.model_copy(update={"child": None})


def passed_on(reply: Reply, hop: OpenHop) -> Reply:
    """The reply, unless it holds the token that the call carried: what a reply says is shown, kept and planned with."""
    if not hop.is_echoed_in(reply.model_dump_json()):
        return reply
    return failed("invalid_answer", "It gave an answer that is not passed on.", "It holds a credential.")


def refused(code: str, description: str, hint: str | None = None) -> Reply:
    """It was not allowed."""
    return Reply(state="refused", text=description, fault=Fault(code=code, description=description, hint=hint))


def failed(code: str, description: str, hint: str | None = None) -> Reply:
    """It was allowed and did not work."""
    return Reply(state="failed", text=description, fault=Fault(code=code, description=description, hint=hint))


SIGN_IN = Reply(
    state="sign_in",
    text="Your sign-in has run out. Sign in again to go on.",
    fault=Fault(code="invalid_token", description="Your sign-in has run out.", hint="Sign in again to go on."),
    sign_in=True,
)
