"""An event in the Open Cybersecurity Schema Framework: what a SIEM reads.

A hop's two records are *API Activity* (6003): somebody called an operation of a service, in somebody's stead. What only
ends or binds a hop is a *Base Event* (0), because it has no call of its own. Sign-ins are the issuer's to tell, so
there is no *Authentication* (3002) here. No token, no display name and no sentence is exported: ids and codes only.
"""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from stead.identity.audit.event import Event, Kind
from stead.identity.types import Json
from stead.identity.values import Actor, Grant

VERSION = "1.5.0"
"""Of the schema (https://schema.ocsf.io). Only attributes that it has, and that no later one has dropped."""

API_ACTIVITY, BASE_EVENT = 6003, 0
OTHER = 99
SUCCESS, FAILURE, UNKNOWN = 1, 2, 0
INFORMATIONAL, LOW, MEDIUM = 1, 2, 3
PERSON, SERVICE = 1, 4

_PRODUCT = {"name": "stead", "vendor_name": "stead", "feature": {"name": "audit"}}
_STATUS = {SUCCESS: "Success", FAILURE: "Failure", UNKNOWN: "Unknown"}
_ASKS = frozenset({"step_up", "consent"})
_FAILED = frozenset({"failed", "refused"})
_UNMAPPED = (
    "kind", "hop", "parent_hop", "trace", "task", "grant", "aud", "scope", "exp", "jti", "cnf", "chain_from",
    "parent_jti", "cause_jti", "consent_id", "outcome", "prev", "hash",
)  # fmt: skip


def as_ocsf(event: Event) -> Json:
    """The event as one OCSF object. `metadata.uid` is the event's hash, so that whoever reads twice can tell."""
    is_call = event.kind in (Kind.EGRESS, Kind.INGRESS)
    uid = API_ACTIVITY if is_call else BASE_EVENT
    status = _status(event)
    return {
        "class_uid": uid,
        "category_uid": uid // 1000,
        "activity_id": OTHER,
        "activity_name": event.operation or event.kind.value,
        "type_uid": uid * 100 + OTHER,
        "time": int(event.time * 1000),
        "severity_id": _severity(event, status),
        "status_id": status,
        "status": _STATUS[status],
        **_present(status_code=event.code),
        "metadata": _metadata(event),
        **(_call(event) if is_call else {}),
        "unmapped": _unmapped(event),
    }


def _metadata(event: Event) -> Json:
    return {
        "version": VERSION,
        "product": _PRODUCT,
        "uid": event.hash,
        "sequence": event.seq,
        "log_name": "audit",
        "log_provider": f"{event.instance}/{event.replica}",
        **_present(correlation_uid=event.trace),
    }


def _call(event: Event) -> Json:
    callee = event.callee or event.aud or event.instance
    return {
        "actor": _actor(event),
        "api": {"operation": event.operation or "unknown", "service": {"name": callee}},
        "src_endpoint": {"svc_name": event.caller or "unknown"},
        "dst_endpoint": {"svc_name": callee, **_address(callee)},
        "resources": [{"name": event.resource or "unknown"}],
    }


def _actor(event: Event) -> Json:
    actor: Json = {"app_uid": event.caller or "unknown"}
    if event.sub is not None:
        kind = SERVICE if event.grant == Grant.S2S else PERSON
        actor["user"] = {"uid": event.sub, "type_id": kind, **_present(domain=event.iss)}
    if event.iss is not None:
        actor["idp"] = {"uid": event.iss, "name": event.iss}
    if event.decision is not None:
        policy = {"policy": {"name": event.rule}} if event.rule else {}
        actor["authorizations"] = [{"decision": event.decision, **policy}]
    return actor


def _address(callee: str) -> Json:
    try:
        parts = urlsplit(callee)
        return _present(hostname=parts.hostname, port=parts.port)
    except ValueError:
        return {}


def _unmapped(event: Event) -> Json:
    kept = _present(**{name: getattr(event, name) for name in _UNMAPPED})
    return kept if event.act is None else {**kept, "actors": list(chain_of(event.act))}


def chain_of(act: Mapping[str, Any]) -> tuple[str, ...]:
    """The actors of an event, current one first."""
    return Actor.from_claim(act).chain()


def _status(event: Event) -> int:
    if event.outcome is not None:
        return FAILURE if event.outcome in _FAILED else SUCCESS
    if event.decision is None:
        return UNKNOWN
    return SUCCESS if event.decision == "allow" else FAILURE


def _severity(event: Event, status: int) -> int:
    if event.decision in _ASKS:
        return LOW
    return MEDIUM if status == FAILURE else INFORMATIONAL


def _present(**members: Any) -> Json:
    return {name: member for name, member in members.items() if member is not None}
