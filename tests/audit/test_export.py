"""Events for other systems: as their schemas have it, with stable ids, and nothing that says what a person said."""

import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest

from stead.identity.audit import ecs, ocsf
from stead.identity.audit.export import converted, events, raw
from stead.identity.errors import InvalidScope
from stead.identity.types import Json
from tests.audit.conftest import Network

TEXT: Json = {"type": "string", "minLength": 1}
WHOLE: Json = {"type": "integer", "minimum": 0}


def closed(required: Json, optional: Json | None = None) -> Json:
    """An object with these members and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "properties": properties, "required": list(required), "additionalProperties": False}


METADATA = closed(
    {
        "version": {"const": "1.5.0"},
        "product": closed({"name": TEXT, "vendor_name": TEXT, "feature": closed({"name": TEXT})}),
        "uid": TEXT,
        "sequence": WHOLE,
        "log_name": TEXT,
        "log_provider": TEXT,
    },
    {"correlation_uid": TEXT},
)
BASE = {
    "activity_id": {"const": 99},
    "activity_name": TEXT,
    "time": {"type": "integer", "minimum": 1_000_000_000_000},
    "severity_id": {"enum": [1, 2, 3]},
    "status_id": {"enum": [0, 1, 2]},
    "status": {"enum": ["Unknown", "Success", "Failure"]},
    "metadata": METADATA,
    "unmapped": {"type": "object"},
}
USER = closed({"uid": TEXT, "type_id": {"enum": [1, 4]}}, {"domain": TEXT})
AUTHORIZATION = closed({"decision": TEXT}, {"policy": closed({"name": TEXT})})
ENDPOINT = closed({"svc_name": TEXT}, {"hostname": TEXT, "port": WHOLE})
CALL = closed(
    {
        **BASE,
        "class_uid": {"const": 6003},
        "category_uid": {"const": 6},
        "type_uid": {"const": 600399},
        "actor": closed(
            {"app_uid": TEXT},
            {
                "user": USER,
                "idp": closed({"uid": TEXT, "name": TEXT}),
                "authorizations": {"type": "array", "items": AUTHORIZATION, "minItems": 1},
            },
        ),
        "api": closed({"operation": TEXT, "service": closed({"name": TEXT})}),
        "src_endpoint": ENDPOINT,
        "dst_endpoint": ENDPOINT,
        "resources": {"type": "array", "items": closed({"name": TEXT}), "minItems": 1},
    },
    {"status_code": TEXT},
)
OTHER = closed(
    {**BASE, "class_uid": {"const": 0}, "category_uid": {"const": 0}, "type_uid": {"const": 99}}, {"status_code": TEXT}
)
"""What OCSF 1.5.0 requires of API Activity (6003) and Base Event (0), and the attributes of theirs that we use."""


@pytest.fixture
def told(network: Network, story: Callable[[Network], str]) -> Network:
    story(network)
    bob = network.login("t-bob", "bob")
    refusal = InvalidScope("FinPort refused payments for Bob Keller: say please.")
    network.refused(bob, "transfer-agent", "transfer.send", "transfer:create", refusal, "bob")
    network.journal("broker").append(kind="ingress", hop="f" * 16, operation="SendMessage", decision="deny", code="x")
    network.events()
    return network


def lines(network: Network, form: str) -> list[Json]:
    return [json.loads(line) for line in converted(network.folder, form)]


def test_every_event_is_as_ocsf_has_it(told: Network) -> None:
    exported = lines(told, "ocsf")
    assert {event["class_uid"] for event in exported} == {0, 6003}
    for event in exported:
        jsonschema.validate(event, CALL if event["class_uid"] else OTHER)


def test_a_call_says_in_whose_stead_through_whom_and_by_which_rule(told: Network) -> None:
    [call] = [
        each
        for each in lines(told, "ocsf")
        if each["unmapped"]["kind"] == "ingress" and each["resources"][0]["name"] == "holdings.list_holdings"
    ]
    assert call["actor"]["app_uid"] == "portfolio-agent"
    assert call["actor"]["user"]["uid"] == "alice"
    assert call["actor"]["authorizations"] == [{"decision": "allow", "policy": {"name": "owners"}}]
    assert call["unmapped"]["actors"] == ["portfolio-agent", "broker"]
    assert (call["status"], call["severity_id"]) == ("Success", 1)


def test_a_refusal_is_a_failure_with_its_code(told: Network) -> None:
    [refused] = [
        each for each in lines(told, "ocsf") if each.get("status_code") == "invalid_scope" and each["class_uid"]
    ]
    assert (refused["status"], refused["severity_id"]) == ("Failure", 3)


def test_a_service_is_no_person(told: Network) -> None:
    kinds = {
        each["actor"]["user"]["uid"]: each["actor"]["user"]["type_id"]
        for each in lines(told, "ocsf")
        if "user" in each.get("actor", {})
    }
    assert (kinds["alice"], kinds["market-data-agent"]) == (1, 4)


@pytest.mark.parametrize("form", ["ocsf", "ecs"])
def test_ids_are_the_same_however_often_one_exports(told: Network, form: str) -> None:
    def ids() -> list[str]:
        return [(each["metadata"]["uid"] if form == "ocsf" else each["event"]["id"]) for each in lines(told, form)]

    assert ids() == ids() == [event.hash for event in events(told.folder)]
    assert len(set(ids())) == len(ids())


@pytest.mark.parametrize("form", ["ocsf", "ecs"])
def test_no_name_and_no_sentence_leaves(told: Network, form: str) -> None:
    exported = "\n".join(converted(told.folder, form))
    assert "say please" in "\n".join(raw(told.folder)), "it is in the journal"
    assert not any(word in exported for word in ("say please", "Moreau", "Keller", "refused payments"))


def test_every_event_is_as_ecs_has_it(told: Network) -> None:
    for event in lines(told, "ecs"):
        assert event["ecs"]["version"] == ecs.VERSION == "8.17.0"
        assert event["event"]["kind"] == "event"
        assert event["event"]["outcome"] in {"success", "failure", "unknown"}
        assert set(event["event"]["type"]) <= {"access", "allowed", "denied", "info"}
        assert event["@timestamp"].endswith("Z")
        assert set(event) <= {
            *("@timestamp", "ecs", "event", "service", "span", "trace", "user", "rule", "client", "destination"),
            "stead",
        }


def test_an_export_can_begin_later_and_passes_over_what_cannot_be_read(told: Network) -> None:
    whole = list(events(told.folder))
    middle = sorted(each.time for each in whole)[len(whole) // 2]
    assert 0 < len(list(events(told.folder, since=middle))) < len(whole)
    for journal in told.journals.values():
        journal.close()
    path = told.folder / "broker.jsonl"
    path.write_bytes(path.read_bytes() + b"{}\nnot json\n" + b'{"half": ')
    assert len(list(events(told.folder))) == len(whole)


def test_exporting_streams(told: Network) -> None:
    stream: Any = converted(told.folder, "ocsf")
    assert json.loads(next(stream))["metadata"]["version"] == ocsf.VERSION
    stream.close()
