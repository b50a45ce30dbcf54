"""What a parked task asks is read as the profile says, whoever wrote the agent."""

from typing import Any

import pytest
from a2a.types import Task
from google.protobuf.json_format import ParseDict

from stead.demo.conformance.errors import Fault
from stead.demo.conformance.profile import Question
from stead.demo.conformance.question import asked

WHERE = Question(extension="urn:x", link="/link", details="/details", expires_at="/ends")
DETAILS = [{"type": "loan", "amount": "5.00"}]


def _parked(*parts: dict[str, Any]) -> Task:
    message = {"messageId": "m", "role": "ROLE_AGENT", "parts": list(parts), "extensions": ["urn:x"]}
    return ParseDict({"id": "t", "status": {"state": "TASK_STATE_AUTH_REQUIRED", "message": message}}, Task())


def _data(**more: object) -> dict[str, Any]:
    return {"data": {"link": "https://agent.example/ask", "details": DETAILS, **more}}


def test_the_part_that_has_the_link_is_the_one_that_asks() -> None:
    found = asked(_parked({"text": "May I?"}, {"data": {"other": 1}}, _data(ends=10), {"text": "Please."}), WHERE)
    assert (found.text, found.link, found.details) == ("May I? Please.", "https://agent.example/ask", DETAILS)
    assert (found.expires_at, found.extensions) == (10, ("urn:x",))


@pytest.mark.parametrize(
    ("ends", "seconds"),
    [
        (1.5, 1.5),
        ("1970-01-01T00:01:00Z", 60),
        ("1970-01-01T01:01:00+01:00", 60),
        ("soon", None),
        ("1970-01-01T00:01:00", None),
        (None, None),
        ([], None),
    ],
)
def test_a_deadline_is_read_as_seconds_or_as_a_time(ends: object, seconds: float | None) -> None:
    assert asked(_parked(_data(ends=ends)), WHERE).expires_at == seconds


def test_the_order_of_members_makes_no_other_question() -> None:
    turned = [{"amount": "5.00", "type": "loan"}]
    assert asked(_parked(_data()), WHERE).pinned == asked(_parked(_data(details=turned)), WHERE).pinned


@pytest.mark.parametrize("details", [None, [], {}, ""])
def test_a_question_without_details_pins_nothing(details: object) -> None:
    with pytest.raises(Fault, match="pins nothing"):
        asked(_parked(_data(details=details)), WHERE)


def test_a_question_without_a_link_sends_nobody_anywhere() -> None:
    with pytest.raises(Fault, match="nobody can be sent"):
        asked(_parked({"text": "May I?"}, {"data": {"details": DETAILS}}), WHERE)
