"""Receipts at the door: whose keys they are checked with, and what becomes of a call without them.

Senders are the services that the settings name at their issuer, each at its own address, and nobody else.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from stead.identity.clock import Clock
from stead.identity.errors import InvalidToken
from stead.identity.jwks import Fetch, JwksCache
from stead.identity.metadata import KEYS
from stead.identity.receipts import HEADER, Receipt, check_receipt, join, sender_of, split
from stead.identity.trust import TrustedIssuer
from stead.identity.values import Principal

CAPACITY = 2048
_NAME = HEADER.encode()


@dataclass(frozen=True, slots=True)
class _Known:
    principal: Principal
    joined: Principal


class Chains:
    """Completes the chain of actors of a call. For one event loop."""

    def __init__(self, issuers: Iterable[TrustedIssuer], audience: str, fetch: Fetch, clock: Clock) -> None:
        self._issuers = {issuer.issuer: issuer for issuer in issuers if issuer.receipts != "off"}
        self._audience = audience
        self._clock = clock
        self._jwks = JwksCache(fetch, clock, on_removal=lambda _: self._known.clear())
        self._known: OrderedDict[tuple[str, str], _Known] = OrderedDict()

    async def completed(self, principal: Principal, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """The principal with the chain that its receipts prove.

        Raises `InvalidToken` for false ones, and for none where they are required.
        """
        trusted = self._issuers.get(principal.issuer)
        if trusted is None or principal.chain_from != "asserted":
            return principal
        values = [value for name, value in headers if name == _NAME]
        if not values:
            return _without(principal, trusted)
        if len(values) > 1:
            raise InvalidToken("The hop receipts are repeated.")
        return await self._joined(principal, values[0].decode("latin-1"), trusted)

    async def _joined(self, principal: Principal, header: str, trusted: TrustedIssuer) -> Principal:
        known = self._known.get((principal.jti, header))
        if known is not None and known.principal is principal:
            return known.joined
        receipts = await self._checked(split(header), trusted)
        joined = join(principal, receipts, trusted.first_actors, self._clock())
        if trusted.receipts == "required" and joined.chain_from != "receipts":
            raise InvalidToken("The chain of actors was cut short.", hint="Every hop has to pass its receipts on.")
        self._known[principal.jti, header] = _Known(principal, joined)
        if len(self._known) > CAPACITY:
            self._known.popitem(last=False)
        return joined

    async def _checked(self, texts: Iterable[str], trusted: TrustedIssuer) -> list[Receipt]:
        """Each receipt by its sender's key, and for the service that the next one is from."""
        addresses = {name: address for address, name in trusted.audiences.items()} | dict(trusted.senders)
        receipts, audience = [], self._audience
        for text in texts:
            unverified, sender = sender_of(text)
            address = addresses.get(sender)
            if address is None:
                raise InvalidToken("A hop receipt is from a service that is not known here.")
            keys = await self._jwks.keys(address, unverified.kid, jwks_uri=f"{address}{KEYS}")
            receipts.append(check_receipt(unverified, keys, audience, self._clock()))
            audience = address
        return receipts


def _without(principal: Principal, trusted: TrustedIssuer) -> Principal:
    if trusted.receipts == "required":
        raise InvalidToken("The call comes without hop receipts.", hint="This service wants to know through whom.")
    return principal
