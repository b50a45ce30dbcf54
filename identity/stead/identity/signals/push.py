"""Where a transmitter pushes security events (RFC 8935)."""

import hmac
import logging
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stead.identity.clock import Clock
from stead.identity.errors import InvalidToken, ProviderUnavailable
from stead.identity.jwks import JwksCache
from stead.identity.signals.hearing import Hearing
from stead.identity.signals.listening import media_type
from stead.identity.signals.security_event import MAX_AGE, TYP, NotTaken, SecurityEvent, Transmitter, read_event
from stead.identity.verification import Unverified, decode

PATH = "/security-events"
WELL_KNOWN = "/.well-known/ssf-configuration"
"""Where a transmitter's metadata names its keys (SSF 1.0 s7.1)."""
_log = logging.getLogger(__name__)


class SecurityEvents:
    """The door. `transmitters` by name; an event of anybody else is refused before any key is fetched."""

    def __init__(
        self, transmitters: Mapping[str, Transmitter], hearing: Hearing, jwks: JwksCache, clock: Clock
    ) -> None:
        self._transmitters = transmitters
        self._hearing = hearing
        self._jwks = jwks
        self._clock = clock

    async def __call__(self, request: Request, body: bytes) -> Response:
        """202 once the event is on record, however often it comes (s2.2); 400 with a code for what is none (s2.3)."""
        try:
            token = _token(request, body)
            transmitter = self._transmitter(token)
            if not _is_authorized(request, transmitter):
                return _refusal("authentication_failed", "The request does not carry what was agreed.")
            keys = await self._jwks.keys(transmitter.name, token.kid, jwks_uri=transmitter.jwks_uri)
            self._take(read_event(token, keys, transmitter, self._clock()), transmitter)
        except NotTaken as refused:
            return _refusal(refused.err, refused.description)
        except ProviderUnavailable as away:
            return JSONResponse(away.as_json(), 503, {"retry-after": "1"})
        return Response(status_code=202)

    def _transmitter(self, token: Unverified) -> Transmitter:
        known = self._transmitters.get(token.issuer) if isinstance(token.issuer, str) else None
        if known is None:
            raise NotTaken("invalid_issuer", "No events of this issuer are taken here.")
        return known

    def _take(self, event: SecurityEvent, transmitter: Transmitter) -> None:
        if event.stream is not None:
            _log.warning("%s says that its stream of events is %s", transmitter.name, event.stream)
        if event.ended is not None:
            message = f"event|{transmitter.name}|{event.jti}"
            self._hearing.record(message, event.ended, until=self._clock() + MAX_AGE)


def _token(request: Request, body: bytes) -> Unverified:
    if media_type(request) != f"application/{TYP}":
        raise NotTaken("invalid_request", f"An event comes as application/{TYP}.")
    try:
        return decode(body.decode("ascii").strip())
    except (InvalidToken, UnicodeDecodeError):
        raise NotTaken("invalid_request", "The body is no signed token.") from None


def _is_authorized(request: Request, transmitter: Transmitter) -> bool:
    if transmitter.authorization is None:
        return True
    shown = request.headers.getlist("authorization")
    return len(shown) == 1 and hmac.compare_digest(shown[0].encode(), transmitter.authorization.reveal().encode())


def _refusal(err: str, description: str) -> Response:
    _log.warning("a security event was refused: %s", description)
    return JSONResponse({"err": err, "description": description}, 400, {"content-language": "en"})
