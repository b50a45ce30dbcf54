"""What can go wrong with the audit itself."""

from stead.identity.errors import IdentityError, InvalidRequest


class AuditUnavailable(IdentityError):
    """The event cannot be made durable, so what it would have allowed must not happen."""

    code = "temporarily_unavailable"
    status = 503


class ChainDiffers(InvalidRequest):
    """What was shipped does not continue what this chain is known to be: somebody wrote it anew."""

    status = 409


class HeadRefused(InvalidRequest):
    """The head of a shipped chain is not signed by the workload that it is of, as far as anybody registered knows."""

    status = 403


class NoSuchTask(IdentityError):
    """There is no such task, or it is somebody else's: the answer does not tell which."""

    code = "not_found"
    status = 404
