"""What can go wrong with an identity, each with the code that its standard gives it.

IdentityError
├── ConfigurationError          the operator must mend something; never caused by a request
├── InvalidRequest              the request is malformed (RFC 6750 s3.1, RFC 6749 s5.2)
├── InvalidToken                the token is missing, false, expired or for somebody else (RFC 6750 s3.1)
│   ├── InvalidProof            nothing proves that the bearer has the token's key (RFC 9449 s7.1)
│   │   └── NonceRequired       the proof has to carry the server's nonce (RFC 9449 s9)
│   └── BindingRequired         the token would have to be bound to a key, and is not
├── InsufficientScope           a true token without the right (RFC 6750 s3.1)
├── AccessDenied                policy says no, with a reason for the person
├── StepUpRequired              a stronger or fresher login is needed (RFC 9470)
├── ConsentRequired             the person must authorize this operation at a provider
├── OutOfScope                  the operation differs from what was consented
└── GrantRefused                the authorization server refused a grant
    ├── InvalidScope            the person, or this actor, is not entitled to the scope (RFC 6749 s5.2)
    ├── InvalidTarget           the audience is unknown to the authorization server (RFC 8693 s2.2.2)
    ├── InvalidGrant            the credential presented is no longer good
    └── ProviderUnavailable     no usable answer came
"""

from collections.abc import Mapping
from typing import Any, ClassVar


class IdentityError(Exception):
    """Base of all: `code` is the standard's, `description` says what, `hint` what to do next, `debug` is only logged.

    `description` and `hint` are shown to callers, so neither may hold a token, a path or an exception's text.
    """

    code: ClassVar[str] = "server_error"
    status: ClassVar[int] = 400

    def __init__(self, description: str, *, hint: str | None = None, debug: str | None = None, **details: Any) -> None:
        super().__init__(description)
        self.description = description
        self.hint = hint
        self.debug = debug
        self.details: Mapping[str, Any] = details

    def as_json(self) -> dict[str, Any]:
        """`{"error", "error_description", "hint"?}`, the body of RFC 6749 s5.2 with our hint."""
        body = {"error": self.code, "error_description": self.description}
        return body if self.hint is None else {**body, "hint": self.hint}


class ConfigurationError(IdentityError):
    code = "configuration_error"
    status = 500


class InvalidRequest(IdentityError):
    code = "invalid_request"
    status = 400


class InvalidToken(IdentityError):
    code = "invalid_token"
    status = 401


class InvalidProof(InvalidToken):
    code = "invalid_dpop_proof"


class NonceRequired(InvalidProof):
    code = "use_dpop_nonce"


class BindingRequired(InvalidToken):
    pass


class InsufficientScope(IdentityError):
    code = "insufficient_scope"
    status = 403


class AccessDenied(IdentityError):
    code = "access_denied"
    status = 403


class StepUpRequired(IdentityError):
    code = "insufficient_user_authentication"
    status = 401


class ConsentRequired(IdentityError):
    code = "consent_required"
    status = 403


class OutOfScope(IdentityError):
    code = "out_of_scope"
    status = 403


class GrantRefused(IdentityError):
    code = "invalid_request"
    status = 403


class InvalidScope(GrantRefused):
    code = "invalid_scope"


class InvalidTarget(GrantRefused):
    code = "invalid_target"


class InvalidGrant(GrantRefused):
    code = "invalid_grant"


class ProviderUnavailable(GrantRefused):
    code = "temporarily_unavailable"
    status = 503
