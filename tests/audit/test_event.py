"""Events: sealed, read back, and refused when they are not what was sealed."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stead.identity.audit.event import MAX_TEXT, Event, clean, genesis, seal, unseal
from stead.identity.errors import InvalidRequest

PLAIN = st.text(max_size=40).map(clean).filter(lambda text: clean(text) == text)
OPTIONAL = ("parent_hop", "task", "operation", "resource", "sub", "name", "scope", "description", "hint")


def values(**more: Any) -> dict[str, Any]:
    base = {"seq": 1, "time": 1.5, "instance": "broker", "replica": 0, "kind": "egress", "hop": "a" * 16}
    return {**base, "prev": genesis("broker", 0), **more}


@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.sampled_from(OPTIONAL), PLAIN), st.integers(0, 2**40), st.floats(0, 2**40))
def test_what_is_sealed_is_read_back(more: dict[str, str], exp: int, time: float) -> None:
    members = values(**more, exp=exp, time=time, act={"sub": "a", "act": {"sub": "b"}})
    line, digest = seal(members)
    event = unseal(line)
    assert event.as_json() == {**members, "hash": digest}
    assert Event.from_json(json.loads(json.dumps(event.as_json()))) == event


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_changed_byte_is_noticed(data: st.DataObject) -> None:
    line, _ = seal(values(sub="alice", scope="portfolio:read"))
    place = data.draw(st.integers(0, len(line) - 2))
    changed = bytearray(line)
    changed[place] ^= data.draw(st.integers(1, 127))
    with pytest.raises(InvalidRequest):
        unseal(bytes(changed))


def test_a_repeated_key_that_parses_to_the_same_value_is_noticed() -> None:
    line, _ = seal(values(sub="alice"))
    with pytest.raises(InvalidRequest):
        unseal(line.replace(b'"sub":"alice"', b'"sub":"mallory","sub":"alice"'))


@pytest.mark.parametrize(
    "wrong",
    [
        {"seq": "1"},
        {"seq": True},
        {"seq": -1},
        {"seq": 2**70},
        {"kind": "poem"},
        {"sub": 5},
        {"sub": "x" * (MAX_TEXT + 1)},
        {"sub": "\ud800"},
        {"name": "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln"},
        {"act": {}},
        {"act": {"sub": "a", "note": "b"}},
        {"colour": "red"},
        {"time": float("nan")},
    ],
)
def test_an_ill_formed_event_from_outside_is_refused(wrong: dict[str, Any]) -> None:
    good = unseal(seal(values(sub="alice"))[0]).as_json()
    with pytest.raises(InvalidRequest):
        Event.from_json({**good, **wrong})


@pytest.mark.parametrize("wrong", [None, [], "event", {}, {"seq": 1}])
def test_what_is_no_event_is_refused(wrong: object) -> None:
    with pytest.raises(InvalidRequest):
        Event.from_json(wrong)


def test_a_false_hash_is_refused() -> None:
    good = unseal(seal(values(sub="alice"))[0]).as_json()
    with pytest.raises(InvalidRequest):
        Event.from_json({**good, "sub": "bob"})


def test_what_looks_like_a_token_is_not_kept() -> None:
    assert "eyJ" not in clean("please use eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0.c2ln for me")
