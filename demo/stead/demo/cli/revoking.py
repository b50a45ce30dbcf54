"""How soon a revoked token of an issuer stops, and by which of its words: what `stead doctor` says of that."""

from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import httpx

from stead.demo.cli.findings import Finding
from stead.identity.driver import drive, fetch
from stead.identity.errors import IdentityError
from stead.identity.flows.discovery import Metadata
from stead.identity.issuer_settings import IssuerSettings, SharedSignalsSettings
from stead.identity.jwks import MAX_DOCUMENT
from stead.identity.signals import backchannel, push
from stead.identity.signals.feed import place_of
from stead.identity.signals.poll import Settled, poll
from stead.identity.signals.taking import WELL_KNOWN
from stead.identity.strict_json import parse_object
from stead.identity.types import Json

PUSH = "urn:ietf:rfc:8935"


async def revocation(
    http: httpx.AsyncClient, metadata: Metadata, described: IssuerSettings, web: str
) -> AsyncIterator[Finding]:
    """By which ways the issuer's word reaches this network, and whether each of them is open, so far as can be seen."""
    yield Finding(f"{described.issuer}, a revoked token", True, "; ".join(_ways(metadata, described, web)))
    if described.backchannel_logout:
        yield await _logout_tokens(http, metadata, described, web)
    if described.shared_signals is not None:
        yield await _security_events(http, described, described.shared_signals, web)


def _ways(metadata: Metadata, described: IssuerSettings, web: str) -> list[str]:
    ways = []
    if described.backchannel_logout:
        ways.append(f"by sign-out is refused within 5 s of a logout token to {web}{backchannel.PATH}")
    if described.shared_signals is not None:
        told = f"to {web}{push.PATH}" if described.shared_signals.poll is None else "there, which is fetched"
        ways.append(f"by the end of its session is refused within 5 s of a security event {told}")
    if place_of(metadata) is not None:
        return [*ways, "is refused within 5 s: the issuer has a feed, and every service follows it"]
    if not described.backchannel_logout and metadata.document.get("backchannel_logout_supported") is True:
        ways.append("could be told of at sign-out (the issuer sends logout tokens: set backchannel_logout)")
    otherwise = "otherwise is" if ways else "is"
    return [
        *ways,
        f"{otherwise} good until it runs out, {described.max_lifetime:.0f} s at most: the issuer has no feed",
    ]


async def _logout_tokens(http: httpx.AsyncClient, metadata: Metadata, described: IssuerSettings, web: str) -> Finding:
    what, sends = f"{described.issuer}, logout tokens", metadata.document.get("backchannel_logout_supported")
    if sends is False:
        return Finding(
            what, False, "the issuer says that it sends none", "Take backchannel_logout out of its settings."
        )
    if not await _is_open(http, f"{web}{backchannel.PATH}"):
        return _closed(what)
    saying = "the issuer sends them" if sends else "the issuer does not say whether it sends any"
    return Finding(what, True, f"are taken; {saying}, to the backchannel_logout_uri that is registered there")


async def _security_events(
    http: httpx.AsyncClient, described: IssuerSettings, said: SharedSignalsSettings, web: str
) -> Finding:
    what, transmitter = f"{described.issuer}, security events", said.transmitter or described.issuer
    if said.poll is not None:
        return await _fetched(http, what, said, said.poll)
    if not await _is_open(http, f"{web}{push.PATH}"):
        return _closed(what)
    if said.jwks_uri is not None:
        return Finding(what, True, f"are taken from {transmitter}")
    try:
        document = await _transmitter(http, transmitter)
    except IdentityError as failure:
        hint = "Name the transmitter, or its keys by jwks_uri, in shared_signals."
        return Finding(what, False, f"the metadata of {transmitter} is not to be had: {failure.description}", hint)
    if document.get("issuer") != transmitter:
        return Finding(what, False, f"{transmitter} calls itself something else", "Set `transmitter` as it does.")
    if PUSH not in document.get("delivery_methods_supported", [PUSH]):
        return Finding(what, False, f"{transmitter} does not push events", "It has to support RFC 8935.")
    return Finding(what, True, f"are taken from {transmitter}, which pushes them")


async def _fetched(http: httpx.AsyncClient, what: str, said: SharedSignalsSettings, endpoint: str) -> Finding:
    """Asks for no event, so that none is taken away from who fetches them."""
    try:
        await drive(poll(endpoint, said.authorization(), Settled(), 0), http)
    except IdentityError as failure:
        return Finding(what, False, f"cannot be fetched: {failure.description}", "See `poll`, `authorization_file`.")
    return Finding(what, True, f"are fetched from {endpoint} by {said.poll_by}")


async def _transmitter(http: httpx.AsyncClient, name: str) -> Json:
    parts = urlsplit(name)
    place = f"{parts.scheme}://{parts.netloc}{WELL_KNOWN}{parts.path.rstrip('/')}"
    return parse_object(await fetch(place, http), max_bytes=MAX_DOCUMENT)


async def _is_open(http: httpx.AsyncClient, door: str) -> bool:
    """Whether there is a door: one that takes posts only says so."""
    try:
        return (await http.get(door)).status_code == 405
    except httpx.HTTPError:
        return False


def _closed(what: str) -> Finding:
    return Finding(
        what, False, "the web page has no door for them yet", "Start it again, so that it reads the setting."
    )
