"""Which doors a service has for its issuers' words, by the settings: none, unless an operator wants them."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from stead.identity.errors import ConfigurationError
from stead.identity.issuer_settings import IssuerSettings, SharedSignalsSettings
from stead.identity.jwks import JwksCache
from stead.identity.signals import backchannel, push
from stead.identity.signals.backchannel import BackchannelLogout, Sender
from stead.identity.signals.listening import Door, Listening
from stead.identity.signals.logout_token import logout_policy
from stead.identity.signals.push import SecurityEvents
from stead.identity.signals.security_event import Transmitter
from stead.identity.types import ASGIApp

if TYPE_CHECKING:
    from stead.identity.workload import Workload

ClientId = Callable[[str], str]
"""What a service is called at an issuer: the audience of logout tokens for it."""


def with_doors(app: ASGIApp, workload: "Workload", client_id: ClientId | None = None) -> ASGIApp:
    """The app, with a door beside it for each way in which its issuers may say that somebody signed out.

    Raises `ConfigurationError` where the settings do not do.
    """
    doors: dict[str, Door] = {}
    issuers = workload.settings.telling
    if senders := _senders(issuers, client_id or (lambda issuer: workload.client_of(issuer).client_id)):
        jwks = JwksCache(workload.fetch, workload.clock)
        doors[backchannel.PATH] = BackchannelLogout(senders, workload.hearing, jwks, workload.clock)
    if any(each.shared_signals for each in issuers):
        jwks = JwksCache(workload.fetch, workload.clock, well_known=push.WELL_KNOWN)
        transmitters = _transmitters(issuers, workload.url)
        doors[push.PATH] = SecurityEvents(transmitters, workload.hearing, jwks, workload.clock)
    return Listening(app, doors) if doors else app


def _senders(issuers: Iterable[IssuerSettings], client_id: ClientId) -> Mapping[str, Sender]:
    return {each.issuer: _sender(each, client_id(each.issuer)) for each in issuers if each.backchannel_logout}


def _sender(issuer: IssuerSettings, client_id: str) -> Sender:
    policy = logout_policy(issuer.issuer, client_id, issuer.algorithms, issuer.tolerated_headers)
    return Sender(policy, issuer.jwks_uri)


def _transmitters(issuers: Iterable[IssuerSettings], url: str) -> Mapping[str, Transmitter]:
    found = [_transmitter(each, each.shared_signals, url) for each in issuers if each.shared_signals]
    named = {one.name: one for one in found}
    if len(named) != len(found):
        raise ConfigurationError("A transmitter speaks of two issuers.", hint="Name it for one in `shared_signals`.")
    return named


def _transmitter(issuer: IssuerSettings, said: SharedSignalsSettings, url: str) -> Transmitter:
    return Transmitter(
        said.transmitter or issuer.issuer,
        issuer.issuer,
        said.audience or url,
        said.algorithms or issuer.algorithms,
        said.jwks_uri,
        said.authorization(),
    )
