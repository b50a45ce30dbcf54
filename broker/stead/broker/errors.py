"""What can go wrong in the broker.

BrokerError
├── PlanInvalid         the plan breaks a rule; the reasons say which
├── PlannerUnavailable  the model gave no usable plan
├── UnknownEntry        the registry has no agent or server of that name
├── EdgesUnknown        the authorization server did not say what this broker may ask for
└── NotRegistrable      what answers at the address is no agent and no MCP server that this network can use
"""

from typing import ClassVar


class BrokerError(Exception):
    """Base of all: `description` and `hint` are shown to callers, so neither holds a token or an exception's text."""

    code: ClassVar[str] = "broker_error"
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, hint: str | None = None) -> None:
        super().__init__(description)
        self.description = description
        self.hint = hint

    def as_json(self) -> dict[str, str]:
        """`{"error", "error_description", "hint"?}`, the form that identity's errors have."""
        body = {"error": self.code, "error_description": self.description}
        return body if self.hint is None else {**body, "hint": self.hint}


class PlanInvalid(BrokerError):
    code = "plan_invalid"

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__("The plan is not valid: " + " ".join(reasons))
        self.reasons = reasons


class PlannerUnavailable(BrokerError):
    code = "planner_unavailable"
    status = 503


class EdgesUnknown(BrokerError):
    code = "temporarily_unavailable"
    status = 503


class UnknownEntry(BrokerError):
    code = "unknown_entry"
    status = 404


class NotRegistrable(BrokerError):
    code = "not_registrable"
    status = 422
