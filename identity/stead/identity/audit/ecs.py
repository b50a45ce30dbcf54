"""An event in the Elastic Common Schema. What it tells, and what it leaves out, is as in `ocsf`."""

from datetime import UTC, datetime
from typing import Any

from stead.identity.audit.event import Event
from stead.identity.audit.ocsf import FAILURE, SUCCESS, as_ocsf
from stead.identity.types import Json

VERSION = "8.17.0"
_OUTCOMES = {SUCCESS: "success", FAILURE: "failure"}


def as_ecs(event: Event) -> Json:
    """The event as one ECS document; what the schema has no place for lies under `stead`."""
    told = as_ocsf(event)
    decided = {"allow": ["access", "allowed"], None: ["info"]}.get(event.decision, ["access", "denied"])
    return {
        "@timestamp": datetime.fromtimestamp(event.time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ecs": {"version": VERSION},
        "event": {
            "id": event.hash,
            "sequence": event.seq,
            "kind": "event",
            "category": ["api"],
            "type": decided,
            "action": event.operation or event.kind.value,
            "outcome": _OUTCOMES.get(told["status_id"], "unknown"),
            "module": "stead",
            "dataset": "stead.audit",
            "provider": told["metadata"]["log_provider"],
            **_named(code=event.code),
        },
        "service": {"name": event.instance, "type": "stead"},
        "span": {"id": event.hop},
        **_section("trace", id=event.trace),
        **_section("user", id=event.sub, domain=event.iss),
        **_section("rule", name=event.rule),
        **_section("client", domain=event.caller),
        **_section("destination", domain=event.callee),
        "stead": {**told["unmapped"], **_named(resource=event.resource, decision=event.decision)},
    }


def _section(section: str, **members: Any) -> Json:
    kept = _named(**members)
    return {section: kept} if kept else {}


def _named(**members: Any) -> Json:
    return {name: member for name, member in members.items() if member is not None}
