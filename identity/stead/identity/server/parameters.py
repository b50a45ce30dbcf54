"""Strict reading of forms and queries (RFC 6749 s3.1, s3.2), in front of everything that Authlib sees."""

import re
from urllib.parse import parse_qsl

from stead.identity.server.calls import Parameters
from stead.identity.server.errors import invalid_request

MAX_FORM = 65_536
MAX_QUERY = 16_384
_MAX_MEMBERS = 48
_REPEATABLE = frozenset({"resource", "audience"})
_LIMITS = {
    "authorization_details": 8_192,
    "subject_token": 8_192,
    "assertion": 8_192,
    "token": 8_192,
    "id_token_hint": 8_192,
    "client_assertion": 4_096,
    "scope": 2_048,
    "state": 1_024,
    "redirect_uri": 2_048,
    "resource": 2_048,
    "audience": 2_048,
}
_LIMIT = 512
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse(text: str) -> Parameters:
    """Reads `application/x-www-form-urlencoded`. Raises `Refused` for anything that two readers could read differently.

    A member without a value counts as absent; a repeated one is refused, except `resource` and `audience`.
    """
    values: dict[str, tuple[str, ...]] = {}
    for name, value in _pairs(text):
        if name in values and name not in _REPEATABLE:
            raise invalid_request(f"The parameter {name[:64]} is repeated.")
        _check(name, value)
        values[name] = (*values.get(name, ()), value)
    return Parameters({name: found for name, found in values.items() if any(found)})


def _pairs(text: str) -> list[tuple[str, str]]:
    if not text:
        return []
    try:
        return parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=_MAX_MEMBERS
        )
    except ValueError:
        raise invalid_request("The parameters are not well-formed.", hint="Send name=value pairs in UTF-8.") from None


def _check(name: str, value: str) -> None:
    if len(value) > _LIMITS.get(name, _LIMIT):
        raise invalid_request(f"The parameter {name[:64]} is too long.")
    if _CONTROL.search(name) or _CONTROL.search(value):
        raise invalid_request("A parameter holds a control character.")
