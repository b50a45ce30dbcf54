"""Which doors a service has for its issuers' words, by the settings: none, unless an operator wants them."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from stead.identity.issuer_settings import IssuerSettings
from stead.identity.jwks import JwksCache
from stead.identity.signals import backchannel
from stead.identity.signals.backchannel import BackchannelLogout, Sender
from stead.identity.signals.listening import Door, Listening
from stead.identity.signals.logout_token import logout_policy
from stead.identity.types import ASGIApp

if TYPE_CHECKING:
    from stead.identity.workload import Workload

ClientId = Callable[[str], str]
"""What a service is called at an issuer: the audience of logout tokens for it."""


def with_doors(app: ASGIApp, workload: "Workload", client_id: ClientId | None = None) -> ASGIApp:
    """The app, with a door beside it for each way in which one of its issuers may say that somebody signed out."""
    called = client_id or (lambda issuer: workload.client_of(issuer).client_id)
    senders = {
        each.issuer: _sender(each, called(each.issuer)) for each in workload.settings.issuers if each.backchannel_logout
    }
    doors: dict[str, Door] = {}
    if senders:
        jwks = JwksCache(workload.fetch, workload.clock)
        doors[backchannel.PATH] = BackchannelLogout(senders, workload.hearing, jwks, workload.clock)
    return Listening(app, doors) if doors else app


def _sender(issuer: IssuerSettings, client_id: str) -> Sender:
    policy = logout_policy(issuer.issuer, client_id, issuer.algorithms, issuer.tolerated_headers)
    return Sender(policy, issuer.jwks_uri)
