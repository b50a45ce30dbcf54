"""The public keys of a network's workloads, from where they are registered: never from what is being checked.

Who checks a workload's signature (of an audit chain's head, of a receipt) looks its client id up here. The first source
that keeps a register decides: the issuer at which the workload is a client, the state directory that both share, the
workload's own metadata at its registered origin (RFC 9728 s2, `jwks_uri`).
"""

import re
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import urlencode

from stead.identity.clock import Clock, system_clock
from stead.identity.errors import IdentityError, ProviderUnavailable
from stead.identity.flows.wire import origin
from stead.identity.home import Home
from stead.identity.jwks import MAX_DOCUMENT, Fetch, Keys, load_keys
from stead.identity.metadata import PROTECTED_RESOURCE
from stead.identity.strict_json import parse_object

CLIENT_KEYS = "stead_client_keys_uri"
"""Metadata of an issuer that tells its clients' public keys: `GET <uri>?client_id=…` answers a JWK set."""

FRESH, RETRY = 300.0, 10.0
"""Seconds for which a client's keys are kept, and after which one that had none is looked up again."""
CAPACITY = 1024

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")
_NONE: Keys = MappingProxyType({})

Source = Callable[[str], Awaitable[Keys | None]]
"""The keys of a client id; none where it has none; None where this source has no register, so that another is asked."""


@dataclass(frozen=True, slots=True)
class _Known:
    keys: Keys
    until: float


class WorkloadKeys:
    """Keys by client id, from the first source that has a register. Bounded; for one event loop."""

    def __init__(self, sources: tuple[Source, ...], clock: Clock = system_clock) -> None:
        self._sources = sources
        self._clock = clock
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def of(self, client_id: str) -> Keys:
        """The keys of a workload by `kid`; empty for one that nobody registered. Raises `ProviderUnavailable`."""
        if not _NAME.fullmatch(client_id):
            return _NONE
        known = self._known.get(client_id)
        if known is None or self._clock() >= known.until:
            keys = await self._found(client_id)
            known = _Known(keys, self._clock() + (FRESH if keys else RETRY))
            self._known[client_id] = known
            while len(self._known) > CAPACITY:
                self._known.popitem(last=False)
        return known.keys

    async def _found(self, client_id: str) -> Keys:
        for source in self._sources:
            keys = await _asked(source, client_id)
            if keys is not None:
                return keys
        return _NONE


def registered(metadata: Callable[[], Awaitable[Mapping[str, Any]]], fetch: Fetch) -> Source:
    """What an issuer has on its clients; `metadata` gives its document (RFC 8414). Foreign issuers have no register."""

    async def find(client_id: str) -> Keys | None:
        document = await metadata()
        place, issuer = document.get(CLIENT_KEYS), document.get("issuer")
        if place is None:
            return None
        if not isinstance(place, str) or not isinstance(issuer, str) or origin(place) != origin(issuer):
            raise ProviderUnavailable("The issuer's metadata names no usable register of client keys.")
        return await _key_set(f"{place}?{urlencode({'client_id': client_id})}", fetch)

    return find


def kept(home: Home) -> Source:
    """What lies in the state directory: the public half only, and of keys that were made."""

    async def find(client_id: str) -> Keys | None:
        key = home.public_key(client_id)
        return None if key is None else load_keys({"keys": [key]})

    return find


def published(origin_of: Callable[[str], str | None], fetch: Fetch) -> Source:
    """What a workload says at its registered origin, if it says there that it is that workload."""

    async def find(client_id: str) -> Keys | None:
        url = origin_of(client_id)
        if url is None:
            return None
        document = parse_object(await fetch(f"{url}{PROTECTED_RESOURCE}"), max_bytes=MAX_DOCUMENT)
        place = document.get("jwks_uri")
        is_own = document.get("resource") == url and document.get("stead_client_id") == client_id
        if not is_own or not isinstance(place, str) or origin(place) != origin(url):
            return _NONE
        return await _key_set(place, fetch)

    return find


async def _asked(source: Source, client_id: str) -> Keys | None:
    """What a source says. Raises `ProviderUnavailable`, also where a document is none: that is no fault of who asks."""
    try:
        return await source(client_id)
    except ProviderUnavailable:
        raise
    except IdentityError as error:
        raise ProviderUnavailable("A register of keys gave no JWK set.", debug=error.description) from None


async def _key_set(url: str, fetch: Fetch) -> Keys:
    return load_keys(parse_object(await fetch(url), max_bytes=MAX_DOCUMENT))
