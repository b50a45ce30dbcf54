"""What a person authorized at one client: the value that a code and every refresh token carry."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from stead.identity.types import Json

ACR_PASSWORD = "urn:stead:acr:pwd"  # noqa: S105  (a name, not a password)
AMR_PASSWORD = ("pwd",)
ACR_MFA = "urn:stead:acr:mfa"
AMR_MFA = ("pwd", "otp", "mfa")
"""RFC 8176: a password, a one-time code, more than one factor."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """`scopes` and `resources` as asked for; what a token gets of them is decided anew whenever one is minted.

    `acr`, `amr` and `auth_time` are the sign-in's of that moment: raising it later changes nothing here. `jkt` is the
    key that must be proven to redeem it (RFC 9449 s5 and s10), or for a refresh token the certificate (RFC 8705 s4).
    """

    subject: str
    sid: str
    auth_time: int
    scopes: tuple[str, ...]
    resources: tuple[str, ...]
    acr: str
    amr: tuple[str, ...]
    details: tuple[Json, ...] = ()
    consent_id: str | None = None
    jkt: str | None = None

    def as_json(self) -> Json:
        """For keeping."""
        return asdict(self)

    @classmethod
    def from_json(cls, kept: Json) -> "Authorization":
        """From what `as_json` gave."""
        lists = ("scopes", "resources", "amr", "details")
        values: dict[str, Any] = {name: tuple(value) if name in lists else value for name, value in kept.items()}
        return cls(**values)

    def bound_to(self, jkt: str | None) -> "Authorization":
        """The same for whoever proves that key."""
        return replace(self, jkt=jkt)

    def narrowed(self, scopes: tuple[str, ...]) -> "Authorization":
        """The same with fewer scopes."""
        return replace(self, scopes=scopes)


@dataclass(frozen=True, slots=True)
class Code:
    """An authorization code as claimed, in the words that Authlib uses."""

    redirect_uri: str
    code_challenge: str
    nonce: str | None
    family: str
    authorization: Authorization
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> str:
        return self.redirect_uri

    def get_scope(self) -> str:
        return " ".join(self.authorization.scopes)


@dataclass(frozen=True, slots=True)
class Refresh:
    """A refresh token as found, in the words that Authlib uses."""

    digest: str
    client_id: str
    family: str
    authorization: Authorization
    expires: float

    def check_client(self, client: Any) -> bool:
        return bool(client.get_client_id() == self.client_id)

    def get_scope(self) -> str:
        return " ".join(self.authorization.scopes)
