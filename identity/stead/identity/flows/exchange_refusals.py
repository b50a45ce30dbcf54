"""Why a token exchange was refused, where the code alone does not say.

RFC 8693 s2.2.2 has `invalid_request` for a subject token that is no longer good, among much else. Keycloak 26 uses it,
and `invalid_client`, for targets too, and `invalid_scope` for a consent that is missing; which of them it is stands in
its description only.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType

from stead.identity.errors import ConsentRequired, GrantRefused, IdentityError, InvalidGrant, InvalidTarget
from stead.identity.flows.wire import successful
from stead.identity.types import Json, Response

_TOLD: Mapping[tuple[str, str], type[IdentityError]] = MappingProxyType(
    {
        ("invalid_request", "Invalid token"): InvalidGrant,
        ("invalid_request", "Requested audience not available"): InvalidTarget,
        ("invalid_client", "Audience not found"): InvalidTarget,
        ("invalid_scope", "Missing consents for Token Exchange in client"): ConsentRequired,
    }
)
_NAMED = re.compile(r":.*|(?<= in client) \S+")
"""What follows a sentence: whose it is."""


def exchanged(response: Response, sender: str) -> Json:
    """The JSON object of a success.

    Raises `InvalidGrant`, `InvalidTarget`, `ConsentRequired`, else the error that the reply states.
    """
    try:
        return successful(response, sender)
    except GrantRefused as refused:
        kind = _TOLD.get((str(refused.details.get("error")), _NAMED.sub("", refused.description)))
        if kind is None:
            raise
        raise kind(refused.description, hint=refused.hint, **refused.details) from None
