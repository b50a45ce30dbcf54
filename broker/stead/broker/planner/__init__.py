"""Planners: a goal into a plan."""

from stead.broker.planner.protocol import Planner
from stead.broker.planner.rules import Rules
from stead.broker.planner.validation import validate

__all__ = ["Planner", "Rules", "planner", "validate"]


def planner(model: str, base_url: str | None = None, seconds: float = 30.0) -> Planner:
    """The planner that `model` names: "rules", or a language model's string. Raises `ConfigurationError`."""
    if model == Rules.name:
        return Rules()
    from stead.broker.planner.llm import Llm  # it costs 1.9 s to import

    return Llm(model, base_url, seconds)
