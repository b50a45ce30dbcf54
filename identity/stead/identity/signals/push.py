"""Where a transmitter pushes security events (RFC 8935)."""

import hmac
import logging
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stead.identity.errors import ProviderUnavailable
from stead.identity.signals.listening import Refusals, media_type
from stead.identity.signals.security_event import TYP, NotTaken, Transmitter
from stead.identity.signals.taking import Taking, unverified
from stead.identity.verification import Unverified

PATH = "/security-events"
_log = logging.getLogger(__name__)


class SecurityEvents:
    """The door. `transmitters` by name; an event of anybody else is refused before any key is fetched."""

    def __init__(self, transmitters: Mapping[str, Transmitter], taking: Taking) -> None:
        self._transmitters = transmitters
        self._taking = taking
        self._refusals = Refusals(_log)

    async def __call__(self, request: Request, body: bytes) -> Response:
        """202 once the event is on record, however often it comes (s2.2); 400 with a code for what is none (s2.3)."""
        try:
            token = _token(request, body)
            transmitter = self._transmitter(token)
            if not _is_authorized(request, transmitter):
                return self._refusal("authentication_failed", "The request does not carry what was agreed.")
            await self._taking.take(token, transmitter)
        except NotTaken as refused:
            return self._refusal(refused.err, refused.description)
        except ProviderUnavailable as away:
            return JSONResponse(away.as_json(), 503, {"retry-after": "1"})
        return Response(status_code=202)

    def _refusal(self, err: str, description: str) -> Response:
        self._refusals.tell(description)
        return JSONResponse({"err": err, "description": description}, 400, {"content-language": "en"})

    def _transmitter(self, token: Unverified) -> Transmitter:
        known = self._transmitters.get(token.issuer) if isinstance(token.issuer, str) else None
        if known is None:
            raise NotTaken("invalid_issuer", "No events of this issuer are taken here.")
        return known


def _token(request: Request, body: bytes) -> Unverified:
    if media_type(request) != f"application/{TYP}":
        raise NotTaken("invalid_request", f"An event comes as application/{TYP}.")
    return unverified(body.decode("ascii", "replace"))


def _is_authorized(request: Request, transmitter: Transmitter) -> bool:
    if transmitter.authorization is None:
        return True
    shown = request.headers.getlist("authorization")
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode(), transmitter.authorization.reveal().encode())
