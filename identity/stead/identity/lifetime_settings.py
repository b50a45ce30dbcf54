"""How long what the embedded issuers give lasts, as settings. The bounds keep what is promised elsewhere true.

An access token lasts at most fifteen minutes, because that is how long a revoked one may be good where nobody hears of
it; a code and a consent are for one use at once.
"""

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from stead.identity.issuer_settings import Strict

AccessSeconds = Annotated[int, Field(ge=30, le=900)]
_DAY = 86_400


class LifetimeSettings(Strict):
    """In seconds. A refresh token is good once, for `refresh_idle`; all of one sign-in's end with `refresh`."""

    access: AccessSeconds = 300
    audiences: Mapping[str, AccessSeconds] = {}
    refresh: Annotated[int, Field(ge=300, le=30 * _DAY)] = 8 * 3600
    refresh_idle: Annotated[int, Field(ge=60, le=30 * _DAY)] = 8 * 3600
    session: Annotated[int, Field(ge=300, le=7 * _DAY)] = 8 * 3600
    code: Annotated[int, Field(ge=10, le=300)] = 60
    consent: Annotated[int, Field(ge=60, le=900)] = 300

    def of_server(self) -> dict[str, Any]:
        """The members of `ServerSettings` that they are."""
        return {
            "access_token_lifetime": self.access,
            "audience_lifetimes": dict(self.audiences),
            "refresh_token_lifetime": self.refresh,
            "refresh_idle_lifetime": self.refresh_idle,
            "session_lifetime": self.session,
            "code_lifetime": self.code,
            "consent_lifetime": self.consent,
        }
