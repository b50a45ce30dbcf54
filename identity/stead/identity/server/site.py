"""What every endpoint is handed."""

from collections.abc import Callable
from dataclasses import dataclass

from stead.identity.server.calls import Call, Reply
from stead.identity.server.core import Core
from stead.identity.server.issuer import Issuer
from stead.identity.server.pages import Pages


@dataclass(frozen=True, slots=True)
class Site:
    """One issuer with its Authlib core and its pages."""

    issuer: Issuer
    core: Core
    pages: Pages


Endpoint = Callable[[Site, Call], Reply]
