"""Which doors a service has for its issuers' words, by the settings: none, unless an operator wants them."""

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

from stead.identity.addresses import is_confidential
from stead.identity.errors import ConfigurationError
from stead.identity.issuer_settings import IssuerSettings, SharedSignalsSettings
from stead.identity.jwks import JwksCache
from stead.identity.signals import backchannel, push
from stead.identity.signals.backchannel import BackchannelLogout, Sender
from stead.identity.signals.listening import Door, Listening
from stead.identity.signals.logout_token import logout_policy
from stead.identity.signals.poll import Poller
from stead.identity.signals.push import SecurityEvents
from stead.identity.signals.security_event import Transmitter
from stead.identity.signals.taking import WELL_KNOWN, Taking
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
    transmitters = _transmitters(issuers, workload.url)
    taking = Taking(workload.hearing, JwksCache(workload.fetch, workload.clock, well_known=WELL_KNOWN), workload.clock)
    pushing = {name: one for name, (said, one) in transmitters.items() if said.poll is None}
    if pushing:
        doors[push.PATH] = SecurityEvents(pushing, taking)
    for said, transmitter in transmitters.values():
        if said.poll is not None and said.poll_by == workload.name:
            _fetch_events(said.poll, transmitter, taking, workload)
    return Listening(app, doors) if doors else app


def _senders(issuers: Iterable[IssuerSettings], client_id: ClientId) -> Mapping[str, Sender]:
    return {each.issuer: _sender(each, client_id(each.issuer)) for each in issuers if each.backchannel_logout}


def _sender(issuer: IssuerSettings, client_id: str) -> Sender:
    policy = logout_policy(issuer.issuer, client_id, issuer.algorithms, issuer.tolerated_headers)
    return Sender(policy, issuer.jwks_uri)


def _transmitters(
    issuers: Iterable[IssuerSettings], url: str
) -> Mapping[str, tuple[SharedSignalsSettings, Transmitter]]:
    found = [(said, _transmitter(each, said, url)) for each in issuers if (said := each.shared_signals) is not None]
    named = {one.name: (said, one) for said, one in found}
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


def _fetch_events(endpoint: str, transmitter: Transmitter, taking: Taking, workload: "Workload") -> None:
    if not workload.settings.plain_http and not is_confidential(endpoint):
        raise ConfigurationError("Events are not fetched over plain http.", hint="Set `poll` to an https address.")
    poller = Poller(endpoint, transmitter, taking, workload.run)
    workload.hearing.attend(f"events of {transmitter.name}", poller.follow)
