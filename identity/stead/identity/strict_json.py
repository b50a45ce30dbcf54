"""JSON from strangers: one object, in UTF-8, bounded in every direction, each member once (RFC 8259, RFC 7493).

Knows nothing of HTTP or tokens. The standard parser accepts repeated members, NaN, other encodings and lone
surrogates, and recurses before it counts; all of that ends here.
"""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

from stead.identity.errors import InvalidRequest
from stead.identity.types import Json

MAX_DEPTH = 32
MAX_NUMBER_LENGTH = 32

# Matches at every quote and always to the end of its string (or of the text), so that it cannot backtrack.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")
_AS_SQUARE = bytes.maketrans(b"{}", b"[]")
_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")


def parse_object(
    raw: bytes, *, max_bytes: int, max_depth: int = MAX_DEPTH, max_number_length: int = MAX_NUMBER_LENGTH
) -> Json:
    """The one JSON object in `raw`.

    Raises `InvalidRequest`; its detail `reason` is `too_large`, `not_json` or `not_an_object`.
    """
    if len(raw) > max_bytes:
        raise _refusal("too_large", f"The JSON text is longer than {max_bytes} bytes.")
    text = _decode(raw)
    _check_depth(raw, max_depth)
    document = _parse(text, max_number_length)
    if not isinstance(document, dict):
        raise _refusal("not_an_object", "The JSON text is not an object.")
    if _SURROGATE_ESCAPE.search(raw):
        _check_surrogates(document)
    return document


def _refusal(reason: str, description: str, hint: str | None = None) -> InvalidRequest:
    return InvalidRequest(description, hint=hint, reason=reason)


def _decode(raw: bytes) -> str:
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _refusal("not_json", "The JSON text begins with a byte order mark.", "Send UTF-8 without one.")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise _refusal("not_json", "The JSON text is not UTF-8.", "Encode it in UTF-8 (RFC 8259 s8.1).") from None


def _check_depth(raw: bytes, max_depth: int) -> None:
    """Peels the innermost brackets, one level a round, before any parser recurses into them."""
    if raw.count(b"[") + raw.count(b"{") <= max_depth:
        return
    brackets = _STRING.sub(b"", raw).translate(_AS_SQUARE, _NOT_BRACKETS)
    for _ in range(max_depth):
        brackets = brackets.replace(b"[]", b"")
    # What is left over is too deep, or unbalanced: the latter is for the parser to say, while it is shallow.
    if b"[]" in brackets or brackets.count(b"[") > max_depth:
        raise _refusal("not_json", f"The JSON text is nested deeper than {max_depth} levels.")


def _parse(text: str, max_number_length: int) -> Any:
    try:
        return _decoder(max_number_length).decode(text)
    except (ValueError, RecursionError):
        raise _refusal("not_json", "The text is not valid JSON.") from None


@cache
def _decoder(max_number_length: int) -> json.JSONDecoder:
    """One for each bound that the code names: making a decoder costs as much as reading a small message."""
    number = _number(max_number_length)
    return json.JSONDecoder(
        object_pairs_hook=_unique,
        parse_constant=_no_constant,
        parse_int=number(int),
        parse_float=number(_finite),
    )


def _unique(pairs: list[tuple[str, Any]]) -> Json:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise _refusal("not_json", "A member of the JSON object is repeated.", "Send each member once.")
    return document


def _no_constant(_: str) -> NoReturn:
    raise _refusal("not_json", "NaN and Infinity are not JSON.")


def _number(max_length: int) -> Callable[[Callable[[str], Any]], Callable[[str], Any]]:
    def bounded(convert: Callable[[str], Any]) -> Callable[[str], Any]:
        def parse(digits: str) -> Any:
            if len(digits) > max_length:
                raise _refusal("not_json", f"A number in the JSON text is longer than {max_length} characters.")
            return convert(digits)

        return parse

    return bounded


def _finite(digits: str) -> float:
    number = float(digits)
    if number in (float("inf"), float("-inf")):
        raise _refusal("not_json", "A number in the JSON text is too large.")
    return number


def _check_surrogates(document: Json) -> None:
    try:
        json.dumps(document, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        raise _refusal("not_json", "A string in the JSON text holds half of a character.") from None
