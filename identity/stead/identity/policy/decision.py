"""What policy said, and the refusal that follows from it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

from stead.identity.errors import (
    AccessDenied,
    ConsentRequired,
    IdentityError,
    InsufficientScope,
    ProviderUnavailable,
    StepUpRequired,
)
from stead.identity.policy.rules import Outcome
from stead.identity.values import Principal

UNAVAILABLE = "unavailable"
"""The param of a refusal that stands only for want of an answer: it may be asked for again."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome, the rule that brought it, and for anything but allow a sentence (`reason`) and what to do (`hint`).

    `params` are those of the rule; of a refusal for want of scopes, `scope` names the ones that are needed.
    """

    outcome: Outcome
    rule: str
    reason: str | None = None
    hint: str | None = None
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def allowed(self) -> bool:
        """True for allow, and nothing else."""
        return self.outcome is Outcome.ALLOW

    def refusal(self) -> IdentityError | None:
        """The error to answer with; None where it is allowed."""
        if self.allowed:
            return None
        return self._kind()(self.reason or "This is not allowed.", hint=self.hint, **self._details())

    def _kind(self) -> type[IdentityError]:
        if self.outcome is Outcome.STEP_UP:
            return StepUpRequired
        if self.outcome is Outcome.CONSENT:
            return ConsentRequired
        if UNAVAILABLE in self.params:
            return ProviderUnavailable
        return InsufficientScope if "scope" in self.params else AccessDenied

    def _details(self) -> dict[str, Any]:
        return {
            name: self.params[name] for name in ("scope", "acr_values", "max_age", "provider") if name in self.params
        }


class Decides(Protocol):
    """Whatever answers whether a principal may do something."""

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        """The decision on `action` on `resource` with `input`. Never raises: the undecidable is denied."""
        ...
