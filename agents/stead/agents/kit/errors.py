"""How a call of a skill may end without a result, beside the errors of `stead.identity.errors`."""

from typing import ClassVar

from stead.identity.errors import AccessDenied, IdentityError


class Declined(AccessDenied):
    """The person said no."""

    code: ClassVar[str] = "declined"


class Expired(IdentityError):
    """Nobody answered in time."""

    code: ClassVar[str] = "expired"


class Canceled(IdentityError):
    """The owner took the call back."""

    code: ClassVar[str] = "canceled"


class StepFailed(Exception):
    """A step failed before a restart, in a way that only its log knows."""
