"""JSON from strangers."""

import json
import time

import pytest

from stead.identity.errors import InvalidRequest
from stead.identity.strict_json import parse_object


def parse(raw: bytes, **limits: int) -> object:
    return parse_object(raw, **{"max_bytes": 300_000, **limits})


def nested(depth: int) -> bytes:
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def test_an_object_is_read() -> None:
    raw = '{"a": [1, -2.5, 1e3, true, null], "b": {"ü": "😀 \\ud83d\\ude00 \\u00fc"}}'
    assert parse(raw.encode()) == json.loads(raw)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"{}{}",
        b"{'a': 1}",
        b'{"a": 1,}',
        b'{"a": 01}',
        b'\xef\xbb\xbf{"a": 1}',
        '{"a": 1}'.encode("utf-16"),
        '{"a": 1}'.encode("utf-16-le"),
        '{"a": 1}'.encode("utf-32"),
        b'{"a": "\xff"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "\x00"}',
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"a": 1e999}',
        b'{"a": 1, "a": 2}',
        b'{"a": {"b": 1, "\\u0062": 2}}',
        b'{"a": "\\ud800"}',
        b'{"\\uDFFF": 1}',
        b'{"a": "\\ude00\\ud83d"}',
        b'{"a": ' + b"1" * 33 + b"}",
        b'{"a": 0.' + b"1" * 33 + b"}",
        b'{"a": ' + b"9" * 10_000 + b"}",
    ],
)
def test_what_is_not_plain_json_is_refused(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(raw)
    assert refused.value.details["reason"] == "not_json"


@pytest.mark.parametrize("raw", [b"[]", b"1", b'"a"', b"null", b"[{}]"])
def test_what_is_not_an_object_is_refused_as_such(raw: bytes) -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(raw)
    assert refused.value.details["reason"] == "not_an_object"


def test_the_depth_is_counted_exactly() -> None:
    assert parse(nested(32), max_depth=32)
    with pytest.raises(InvalidRequest, match="deeper than 32"):
        parse(nested(33), max_depth=32)


def test_brackets_inside_strings_are_no_depth() -> None:
    text = {"a": '[[[[{{{{\\"' * 500, "b": ["\\", '"', "]"]}
    assert parse(json.dumps(text).encode(), max_depth=3) == text


def test_many_siblings_are_no_depth() -> None:
    assert parse(json.dumps({"a": [[], {}] * 5000}).encode(), max_depth=3)


@pytest.mark.parametrize(
    "raw",
    [
        b"[" * 100_000,
        b'{"a":' * 40_000,
        b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"a":"' + b'\\"' * 100_000,
        b'"' * 200_000,
        b'{"a":' + b"[]," * 80_000 + b"[]",
        b"[" * 33 + b'"' + b"\\" * 200_000,
    ],
)
def test_hostile_nesting_and_quoting_are_refused_quickly(raw: bytes) -> None:
    began = time.perf_counter()
    with pytest.raises(InvalidRequest):
        parse(raw)
    assert time.perf_counter() - began < 1.0


def test_a_text_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(InvalidRequest) as refused:
        parse(b"x" * 101, max_bytes=100)
    assert refused.value.details["reason"] == "too_large"
