"""Protocol exchanges without I/O: generators that yield requests and are sent responses.

Each has a request half and a response half, so that nothing unvalidated is reachable. `stead.identity.driver.drive`
performs any of them; a test performs them with `next()` and `.send()`.
"""

from stead.identity.flows.authorization_code import (
    AuthorizationCode,
    AuthorizationRequest,
    begin,
    redeem,
    validate_callback,
)
from stead.identity.flows.client_assertion import ClientIdentity
from stead.identity.flows.client_credentials import s2s
from stead.identity.flows.discovery import Metadata, discover, fetch_keys
from stead.identity.flows.pushed_authorization import push
from stead.identity.flows.refresh import renew
from stead.identity.flows.registration import Registration, register
from stead.identity.flows.revocation import revoke
from stead.identity.flows.token_exchange import obo
from stead.identity.flows.wire import TokenSet

__all__ = [
    "AuthorizationCode",
    "AuthorizationRequest",
    "ClientIdentity",
    "Metadata",
    "Registration",
    "TokenSet",
    "begin",
    "discover",
    "fetch_keys",
    "obo",
    "push",
    "redeem",
    "register",
    "renew",
    "revoke",
    "s2s",
    "validate_callback",
]
