"""Fetches security events from a transmitter that cannot reach us (RFC 8936), every other second."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from stead.identity.errors import IdentityError
from stead.identity.flows.wire import parse_json, unusable
from stead.identity.signals.security_event import NotTaken, Transmitter
from stead.identity.signals.taking import Taking, unverified
from stead.identity.types import Flow, Json, Request
from stead.identity.values import Secret

EVERY, SOON = 2.0, 0.1
"""Seconds between two questions, and where there are more events than one answer holds."""
MOST = 20
"""Events in one answer: no more than its size allows."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Polled:
    """What one answer holds: tokens by their names, and whether there are more."""

    sets: Mapping[str, str]
    more: bool


@dataclass(slots=True)
class Settled:
    """What became of the events of the answer before: those are told with the next question (s2.2)."""

    acknowledged: list[str] = field(default_factory=list)
    refused: dict[str, Json] = field(default_factory=dict)


def poll(endpoint: str, authorization: Secret | None, settled: Settled, most: int = MOST) -> Flow[Polled]:
    """One question, which is answered at once (s2.2, s2.3). Raises `ProviderUnavailable`."""
    shown = {} if authorization is None else {"authorization": authorization.reveal()}
    body: Json = {"maxEvents": most, "returnImmediately": True}
    if settled.acknowledged:
        body["ack"] = settled.acknowledged
    if settled.refused:
        body["setErrs"] = settled.refused
    response = yield Request("POST", endpoint, {"accept": "application/json", **shown}, json=body)
    if response.status != 200:
        raise unusable(endpoint, f"status {response.status}")
    answer = parse_json(response, endpoint)
    sets = answer.get("sets", {})
    if not isinstance(sets, dict) or len(sets) > MOST or not all(isinstance(one, str) for one in sets.values()):
        raise unusable(endpoint, "no events")
    return Polled(sets, answer.get("moreAvailable") is True)


class Poller:
    """One transmitter's stream."""

    def __init__(
        self,
        endpoint: str,
        transmitter: Transmitter,
        taking: Taking,
        run: Callable[[Flow[Polled]], Awaitable[Polled]],
    ) -> None:
        self._endpoint = endpoint
        self._transmitter = transmitter
        self._taking = taking
        self._run = run
        self._failing = False

    async def follow(self) -> None:
        """Never returns. What could not be told in time is fetched again, and known by its name."""
        settled = Settled()
        while True:
            try:
                polled = await self._run(poll(self._endpoint, self._transmitter.authorization, settled))
                settled = await self._settle(polled)
                self._failing = False
            except IdentityError as failure:
                self._failed(failure)
                polled = None
            await asyncio.sleep(SOON if polled is not None and polled.more else EVERY)

    async def _settle(self, polled: Polled) -> Settled:
        settled = Settled()
        for name, text in polled.sets.items():
            try:
                await self._take(name, text)
                settled.acknowledged.append(name)
            except NotTaken as refused:
                _log.warning("a security event was refused: %s", refused.description)
                settled.refused[name] = {"err": refused.err, "description": refused.description}
        return settled

    async def _take(self, name: str, text: str) -> None:
        token = unverified(text)
        if token.issuer != self._transmitter.name:
            raise NotTaken("invalid_issuer", "No events of this issuer are taken here.")
        if token.claims.get("jti") != name:
            raise NotTaken("invalid_request", "The event is called otherwise than it calls itself.")
        await self._taking.take(token, self._transmitter)

    def _failed(self, failure: IdentityError) -> None:
        if not self._failing:
            _log.warning("the security events of %s cannot be fetched: %s", self._transmitter.name, failure.description)
        self._failing = True
