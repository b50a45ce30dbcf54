"""What can go wrong with the audit itself."""

from stead.identity.errors import IdentityError


class AuditUnavailable(IdentityError):
    """The event cannot be made durable, so what it would have allowed must not happen."""

    code = "temporarily_unavailable"
    status = 503
