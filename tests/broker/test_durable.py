"""What a durable workflow may keep: plain JSON, and never a credential."""

from typing import Any

import pytest

from stead.broker.executor.durable import PlainJson, StepFailedError
from stead.identity.values import AccessToken

CANARY = "canary-1234567890"


@pytest.mark.parametrize(
    "value", [AccessToken(CANARY), {"deep": [AccessToken(CANARY)]}, object(), {1, 2}, float("nan"), b"x"]
)
def test_what_is_no_plain_json_is_refused_by_name_only(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)) as caught:
        PlainJson().serialize(value)
    assert CANARY not in str(caught.value)


def test_plain_json_comes_back_as_it_was() -> None:
    value = {"a": [1, 2.5, None, True, "ä"]}
    assert PlainJson().deserialize(PlainJson().serialize(value)) == value


def test_an_error_is_kept_without_its_text() -> None:
    kept = PlainJson().serialize(ValueError(CANARY))
    assert CANARY not in kept
    assert isinstance(PlainJson().deserialize(kept), StepFailedError)


def test_what_is_far_too_large_is_refused() -> None:
    with pytest.raises(TypeError, match="more than"):
        PlainJson().serialize("x" * 5_000_000)
