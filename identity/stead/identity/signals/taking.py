"""What is done with a security event, however it came: read strictly, and put on record for the whole network."""

import logging
from dataclasses import dataclass

from stead.identity.clock import Clock
from stead.identity.errors import InvalidToken
from stead.identity.jwks import JwksCache
from stead.identity.signals.hearing import Hearing
from stead.identity.signals.security_event import MAX_AGE, NotTaken, SecurityEvent, Transmitter, read_event
from stead.identity.verification import Unverified, decode

WELL_KNOWN = "/.well-known/ssf-configuration"
"""Where a transmitter's metadata names its keys (SSF 1.0 s7.1)."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Taking:
    """Takes events. `jwks` looks for metadata at `WELL_KNOWN`."""

    hearing: Hearing
    jwks: JwksCache
    clock: Clock

    async def take(self, token: Unverified, transmitter: Transmitter) -> SecurityEvent:
        """Records what the event ends; once, however often it comes.

        Raises `NotTaken`, and `ProviderUnavailable` where it cannot be checked or written now.
        """
        keys = await self.jwks.keys(transmitter.name, token.kid, jwks_uri=transmitter.jwks_uri)
        now = self.clock()
        event = read_event(token, keys, transmitter, now)
        if event.stream is not None:
            _log.warning("%s says that its stream of events is %s", transmitter.name, event.stream)
        if event.ended is not None:
            self.hearing.record(f"event|{transmitter.name}|{event.jti}", event.ended, until=now + MAX_AGE)
        return event


def unverified(text: str) -> Unverified:
    """The token in a text. Raises `NotTaken` where there is none."""
    try:
        return decode(text.strip())
    except InvalidToken:
        raise NotTaken("invalid_request", "This is no signed token.") from None
