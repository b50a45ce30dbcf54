"""What a token says, without asking whether it is true. For records and for people's eyes; never for a decision."""

from joserfc.util import urlsafe_b64decode

from stead.identity.errors import InvalidRequest
from stead.identity.strict_json import parse_object
from stead.identity.types import Json
from stead.identity.values import Secret

MAX_TOKEN = 16_384


def peek_claims(token: Secret | str) -> Json:
    """The claims of a JWT, unverified; empty for a token that is none.

    A caller cannot verify a token that is meant for another audience, but it may note what it handed over.
    """
    text = token.reveal() if isinstance(token, Secret) else token
    parts = text.split(".")
    if len(parts) != 3 or len(text) > MAX_TOKEN:
        return {}
    try:
        return parse_object(urlsafe_b64decode(parts[1].encode("ascii")), max_bytes=MAX_TOKEN)
    except (InvalidRequest, ValueError):
        return {}
