"""What a rule is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from stead.identity.types import Json
from stead.identity.values import Grant

ANY = "*"


class Outcome(StrEnum):
    """What a rule says. Where several apply the strongest wins: deny, then step_up, then consent, then allow."""

    ALLOW = "allow"
    CONSENT = "consent"
    STEP_UP = "step_up"
    DENY = "deny"

    @property
    def strength(self) -> int:
        """Greater beats smaller."""
        return _BY_STRENGTH.index(self)


_BY_STRENGTH = tuple(Outcome)


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: for these resources, when this CEL condition holds, this outcome.

    `reason` and `hint` are sentences for the person. `params` go with the outcome: `acr_values` and `max_age` of a
    step-up, `provider` of a consent; of a declared rule `grant` and `scopes`, which tell a refusal what was missing.
    `source` is the file that it was read from; empty for one that code makes.
    """

    id: str
    resources: tuple[str, ...]
    outcome: Outcome
    when: str = "true"
    reason: str | None = None
    hint: str | None = None
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    source: str = field(default="", compare=False)

    def as_json(self) -> Json:
        """The rule, whole."""
        return {
            "id": self.id,
            "resources": list(self.resources),
            "outcome": self.outcome.value,
            "when": self.when,
            "reason": self.reason,
            "hint": self.hint,
            "params": dict(self.params),
            "source": self.source,
        }


def declared(resource: str, grant: Grant, scopes: Iterable[str]) -> Rule:
    """The rule that a skill or tool has without saying more: by its grant, with all of its scopes."""
    wanted = sorted(set(scopes))
    has_scopes = [f"{_quoted(scope)} in principal.scopes" for scope in wanted]
    condition = " && ".join([f"principal.grant == {_quoted(grant.value)}", *has_scopes])
    params = MappingProxyType({"grant": grant.value, "scopes": tuple(wanted)})
    return Rule(f"declared:{resource}", (resource,), Outcome.ALLOW, condition, params=params)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
