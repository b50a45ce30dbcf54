"""The policy of a server: what its tools declare, the rules of its file, and what tools check themselves."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stead.identity.errors import IdentityError
from stead.identity.policy import Decision, Outcome, Worded, declared
from stead.identity.policy.files import read_file, told_of
from stead.identity.types import Json
from stead.identity.values import Principal
from stead.mcp_servers.kit.tools import Declaration


@dataclass(frozen=True, slots=True)
class Unchecked(Decision):
    """A denial by a tool's own check, which is answered with the check's own error."""

    error: IdentityError | None = None

    def refusal(self) -> IdentityError | None:
        return self.error


class DeclaredPolicy(Worded):
    """The declared rights and the rules of a file first, then the tool's own check of the arguments.

    `arguments` are the JSON Schemas of what the tools get.
    """

    def __init__(
        self,
        server: str,
        declarations: Mapping[str, Declaration],
        arguments: Mapping[str, Json],
        rules: Path | None = None,
    ) -> None:
        resources = {f"{server}.{name}": declaration for name, declaration in declarations.items()}
        rights = [declared(resource, each.grant, each.scopes) for resource, each in resources.items()]
        inputs = {f"{server}.{name}": schema for name, schema in arguments.items()}
        own = [] if rules is None else read_file(rules)
        with told_of(rules or Path(server)):
            super().__init__([*rights, *own], known_resources=tuple(resources), inputs=inputs)
        self._checks = {resource: each.check for resource, each in resources.items() if each.check is not None}

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        decision = super().decide(principal, resource, action, input, now)
        check = self._checks.get(resource)
        if check is None or not decision.allowed:
            return decision
        try:
            check(principal, input)
        except IdentityError as error:
            return Unchecked(Outcome.DENY, f"check:{resource}", error.description, error.hint, error=error)
        return decision
