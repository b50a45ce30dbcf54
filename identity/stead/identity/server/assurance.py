"""How surely this issuer knows who signed in: its classes, and which of them a client's wish is met by.

A wish is `acr_values` (OpenID Connect Core s3.1.2.1). RFC 9470 s4 leaves it to the server to take it seriously: here it
is met, or the request is refused; nobody is sent back with less than the least that was named.
"""

from stead.identity.server.authorization import ACR_MFA, ACR_PASSWORD
from stead.identity.server.errors import Refused

CLASSES = (ACR_PASSWORD, ACR_MFA)
"""What this issuer can vouch for, weakest first."""


def unmet(description: str, *, hint: str | None = None) -> Refused:
    """OpenID Connect Core Error Code unmet_authentication_requirements 1.0: no sign-in here would do."""
    return Refused("unmet_authentication_requirements", description, hint=hint)


def wished(acr_values: str | None) -> tuple[str, ...]:
    """The classes of ours that are named, none where nothing is wished. Raises `Refused` where none of them is ours."""
    named = (acr_values or "").split()
    known = tuple(acr for acr in CLASSES if acr in named)
    if named and not known:
        raise unmet("This issuer knows none of these acr_values.", hint="Discovery lists those that it knows.")
    return known


def suffices(acr: str, wish: tuple[str, ...]) -> bool:
    """Whether a sign-in of that class is as strong as the weakest one wished for."""
    return not wish or (acr in CLASSES and CLASSES.index(acr) >= min(map(CLASSES.index, wish)))


def answered(acr: str, wish: tuple[str, ...]) -> str:
    """The class that a sign-in which suffices is said to be of: its own, or the strongest wished for that it satisfies.

    Who asked for a password looks for that class, and would take a stronger one for a refusal.
    """
    return acr if not wish or acr in wish else [one for one in wish if suffices(acr, (one,))][-1]
