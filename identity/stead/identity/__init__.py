"""Identity for networks of agents: every call acts in somebody's stead, and can prove it.

What most programs need is re-exported here; the modules hold the rest. Names are imported when first used, so that
`import stead.identity` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stead.identity.driver import drive
    from stead.identity.egress import EgressAuth, EgressAuth2, OpenHop, Target
    from stead.identity.errors import (
        AccessDenied,
        BindingRequired,
        ConfigurationError,
        ConsentRequired,
        GrantRefused,
        IdentityError,
        InsufficientScope,
        InvalidGrant,
        InvalidProof,
        InvalidRequest,
        InvalidScope,
        InvalidTarget,
        InvalidToken,
        NonceRequired,
        OutOfScope,
        ProviderUnavailable,
        StepUpRequired,
    )
    from stead.identity.flows import AuthorizationRequest, ClientIdentity, TokenSet
    from stead.identity.guard import EdgeGuard
    from stead.identity.home import Home, Network
    from stead.identity.ingress import Ingress, Operation
    from stead.identity.settings import Settings
    from stead.identity.values import (
        AccessToken,
        Actor,
        Arrival,
        Grant,
        Principal,
        RefreshToken,
        Secret,
        acting_for,
        current_arrival,
        current_principal,
    )
    from stead.identity.verifier import TrustedIssuer, Verifier
    from stead.identity.workload import Workload

__all__ = [
    "AccessDenied",
    "AccessToken",
    "Actor",
    "Arrival",
    "AuthorizationRequest",
    "BindingRequired",
    "ClientIdentity",
    "ConfigurationError",
    "ConsentRequired",
    "EdgeGuard",
    "EgressAuth",
    "EgressAuth2",
    "Grant",
    "GrantRefused",
    "Home",
    "IdentityError",
    "Ingress",
    "InsufficientScope",
    "InvalidGrant",
    "InvalidProof",
    "InvalidRequest",
    "InvalidScope",
    "InvalidTarget",
    "InvalidToken",
    "Network",
    "NonceRequired",
    "OpenHop",
    "Operation",
    "OutOfScope",
    "Principal",
    "ProviderUnavailable",
    "RefreshToken",
    "Secret",
    "Settings",
    "StepUpRequired",
    "Target",
    "TokenSet",
    "TrustedIssuer",
    "Verifier",
    "Workload",
    "acting_for",
    "current_arrival",
    "current_principal",
    "drive",
]

_MODULES = {
    "driver": ("drive",),
    "egress": ("EgressAuth", "EgressAuth2", "OpenHop", "Target"),
    "flows": ("AuthorizationRequest", "ClientIdentity", "TokenSet"),
    "guard": ("EdgeGuard",),
    "home": ("Home", "Network"),
    "ingress": ("Ingress", "Operation"),
    "settings": ("Settings",),
    "values": (
        "AccessToken",
        "Actor",
        "Arrival",
        "Grant",
        "Principal",
        "RefreshToken",
        "Secret",
        "acting_for",
        "current_arrival",
        "current_principal",
    ),
    "verifier": ("TrustedIssuer", "Verifier"),
    "workload": ("Workload",),
}
_HOME = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Imports a re-exported name when it is first asked for (PEP 562); what is in no other module is an error class."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(f"{__name__}.{_HOME.get(name, 'errors')}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
