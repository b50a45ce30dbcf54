"""`stead token decode`: the claims of a token, for reading. It verifies nothing and never prints the token."""

import base64
import binascii
import sys

from stead.demo.cli.output import emit, say, tell
from stead.identity.errors import InvalidRequest
from stead.identity.types import Json

_MAX_TOKEN = 16_384


def decode(token: str, *, json: bool) -> None:
    """Prints header and claims. Raises `InvalidRequest` when it is no signed JWT (RFC 7519, compact form)."""
    text = (sys.stdin.read(_MAX_TOKEN + 1) if token == "-" else token).strip()  # noqa: S105
    if len(text) > _MAX_TOKEN:
        raise InvalidRequest(f"A token is at most {_MAX_TOKEN} characters long.")
    segments = text.split(".")
    if len(segments) != 3:
        raise InvalidRequest("This is no signed JWT: it does not have three parts.", hint="header.payload.signature")
    shown = {"header": _part(segments[0]), "claims": _part(segments[1])}
    if json:
        emit(shown)
        return
    tell("Not verified: these are the token's words about itself.")
    for name, part in shown.items():
        say(name)
        for key, value in part.items():
            say(f"  {key:<24} {value}")


def _part(segment: str) -> Json:
    from stead.identity.strict_json import parse_object

    try:
        raw = base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4))
    except (binascii.Error, ValueError):
        raise InvalidRequest("A part of this token is not base64url.") from None
    return parse_object(raw, max_bytes=_MAX_TOKEN)
