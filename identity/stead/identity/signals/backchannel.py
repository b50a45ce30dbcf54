"""Where an issuer posts a logout token (OpenID Connect Back-Channel Logout 1.0 s2.5 to s2.8)."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stead.identity.clock import Clock
from stead.identity.errors import IdentityError, InvalidRequest, InvalidToken
from stead.identity.jwks import JwksCache
from stead.identity.signals.hearing import Hearing
from stead.identity.signals.listening import Refusals, media_type
from stead.identity.signals.logout_token import Logout, read_logout
from stead.identity.verification import TokenPolicy, decode

PATH = "/backchannel-logout"
_FORM = "application/x-www-form-urlencoded"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sender:
    """An issuer whose logout tokens are taken: what they have to be, and where its keys are if not in its metadata."""

    policy: TokenPolicy
    jwks_uri: str | None = None


class BackchannelLogout:
    """The door. `senders` are the issuers by name; everybody else is refused before any key is fetched."""

    def __init__(self, senders: Mapping[str, Sender], hearing: Hearing, jwks: JwksCache, clock: Clock) -> None:
        self._senders = senders
        self._hearing = hearing
        self._jwks = jwks
        self._clock = clock
        self._refusals = Refusals(_log)

    async def __call__(self, request: Request, body: bytes) -> Response:
        """204 once the logout is on record; 400 for what is none (s2.8)."""
        try:
            logout = await self._read(_only_token(request, body))
            message = f"logout|{logout.ended.issuer}|{logout.jti}"
            if not self._hearing.record(message, logout.ended, until=logout.expires):
                raise InvalidToken("The logout token was used before.")
        except IdentityError as refused:
            self._refusals.tell(refused.description)
            return _refusal(refused)
        return Response(status_code=204)

    async def _read(self, text: str) -> Logout:
        token = decode(text)
        sender = self._senders.get(token.issuer) if isinstance(token.issuer, str) else None
        if sender is None:
            raise InvalidToken("No logout token of this issuer is taken here.")
        keys = await self._jwks.keys(sender.policy.issuer, token.kid, jwks_uri=sender.jwks_uri)
        return read_logout(token, keys, sender.policy, self._clock())


def _only_token(request: Request, body: bytes) -> str:
    """The one `logout_token` of the form; other parameters are of no interest (s2.5)."""
    if media_type(request) != _FORM:
        raise InvalidRequest("A logout token comes in a form.")
    try:
        fields = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, max_num_fields=16)
    except ValueError:
        raise InvalidRequest("The form is malformed.") from None
    tokens = [value for name, value in fields if name == "logout_token"]
    if len(tokens) != 1:
        raise InvalidRequest("The form holds no logout token, or several.")
    return tokens[0]


def _refusal(error: IdentityError) -> Response:
    """s2.8: 400 for whatever is wrong with the request; another attempt is worth it only where we could not tell."""
    if error.status >= 500:
        return JSONResponse(error.as_json(), error.status, {"retry-after": "1"})
    return JSONResponse({"error": "invalid_request", "error_description": error.description}, 400)
