"""The agent broker: registry, planner, executor, and itself an A2A agent. `broker_app(workload)` is the whole of it."""

from typing import TYPE_CHECKING, Any

from stead.identity.home import quiet_a2a

if TYPE_CHECKING:
    from stead.broker.app import broker_app

__all__ = ["broker_app"]

quiet_a2a()


def __getattr__(name: str) -> Any:
    """Imported when asked for: the SDKs behind it take seconds."""
    if name == "broker_app":
        from stead.broker.app import broker_app

        return broker_app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
