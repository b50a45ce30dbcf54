"""An agent of the kit, which keeps its tasks."""

from benchmarks.apps import SCOPE
from stead.agents.kit import Agent
from stead.identity.types import ASGIApp
from stead.identity.workload import Workload


def app(workload: Workload) -> ASGIApp:
    """An agent of the kit, which answers with what it was told and keeps its tasks."""
    echo = Agent("echo", "Says it again.")

    @echo.skill(scopes=(SCOPE,), examples=["say hello"])
    async def say(text: str) -> str:
        """Says it again."""
        return text

    return echo.app(workload)
