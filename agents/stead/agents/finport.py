"""FinPort's agents, by name, each loaded when it is first asked for."""

import importlib
from collections.abc import Callable, Mapping

from stead.identity.types import ASGIApp
from stead.identity.workload import Workload

_MODULES = {
    "portfolio": "stead.agents.portfolio",
    "market_data": "stead.agents.market_data",
    "transfer": "stead.agents.transfer.agent",
}


def _loader(module: str) -> Callable[[Workload], ASGIApp]:
    def load(workload: Workload) -> ASGIApp:
        app: ASGIApp = importlib.import_module(module).app(workload)
        return app

    return load


AGENTS: Mapping[str, Callable[[Workload], ASGIApp]] = {name: _loader(module) for name, module in _MODULES.items()}


def preload() -> None:
    """Imports what all of them need, for a parent that forks."""
    for module in (*_MODULES.values(), "stead.agents.kit.edge", "stead.agents.kit.serializer"):
        importlib.import_module(module)
