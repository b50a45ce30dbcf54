"""How this server says no: one exception for every endpoint, with the code of the RFC, a sentence and a hint."""

import unicodedata
from typing import Any

from authlib.oauth2.rfc6749 import OAuth2Error


def _ascii(text: str) -> str:
    """RFC 6749 s5.2: %x20-21 / %x23-5B / %x5D-7E only."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(" " if mark < " " else mark for mark in plain if mark not in '"\\\x7f')


class Refused(OAuth2Error):  # type: ignore[misc]
    """An OAuth error with a hint. Neither sentence nor hint ever holds a credential or a part of one.

    `nonce` is what the next DPoP proof has to carry (RFC 9449 s8).
    """

    def __init__(
        self,
        code: str,
        description: str,
        *,
        hint: str | None = None,
        status: int = 400,
        nonce: str | None = None,
    ) -> None:
        super().__init__(_ascii(description), error=code, status_code=status)
        self.nonce = nonce
        self.hint = None if hint is None else _ascii(hint)

    def get_body(self) -> list[tuple[str, Any]]:
        """The members of RFC 6749 s5.2, and ours."""
        body: list[tuple[str, Any]] = super().get_body()
        return body if self.hint is None else [*body, ("hint", self.hint)]


class LoginTooOld(Refused):
    """A fresher login is needed before a grant is given: 400 at this endpoint, and 401 at a resource (RFC 9470 s3)."""

    def __init__(self, max_age: int) -> None:
        super().__init__("insufficient_user_authentication", "The sign-in is too old.", hint="Sign in again.")
        self.max_age = max_age

    def get_body(self) -> list[tuple[str, Any]]:
        """With the seconds since the sign-in that would do."""
        return [*super().get_body(), ("max_age", self.max_age)]


def invalid_request(description: str, *, hint: str | None = None) -> Refused:
    """RFC 6749 s5.2: malformed, repeated, missing."""
    return Refused("invalid_request", description, hint=hint)


def invalid_client(description: str, *, hint: str | None = None) -> Refused:
    """RFC 6749 s5.2: the client is not who it says. 400, since no HTTP authentication scheme is on offer."""
    return Refused("invalid_client", description, hint=hint)


def invalid_grant(description: str, *, hint: str | None = None) -> Refused:
    """RFC 6749 s5.2: the credential presented is no longer good."""
    return Refused("invalid_grant", description, hint=hint)


def invalid_scope(description: str, *, hint: str | None = None) -> Refused:
    """RFC 6749 s5.2: the person, or this client, may not have the scope."""
    return Refused("invalid_scope", description, hint=hint)


def invalid_target(description: str, *, hint: str | None = None) -> Refused:
    """RFC 8707 s2, RFC 8693 s2.2.2: the audience is unknown here."""
    return Refused("invalid_target", description, hint=hint)


def unauthorized_client(description: str, *, hint: str | None = None) -> Refused:
    """RFC 6749 s5.2: a true client that may not use this grant."""
    return Refused("unauthorized_client", description, hint=hint)


def invalid_token(description: str, *, hint: str | None = None) -> Refused:
    """RFC 6750 s3.1."""
    return Refused("invalid_token", description, hint=hint, status=401)
