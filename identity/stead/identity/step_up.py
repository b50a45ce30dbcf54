"""The sign-in that a call needs, and whether somebody's is that (RFC 9470).

Knows nothing of who asks for it or how: it is said in challenges, replies and states of tasks, in the same three words.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stead.identity.errors import IdentityError, StepUpRequired
from stead.identity.types import Json
from stead.identity.values import Principal

LONGEST_LIST, LONGEST_CLAIMS, LONGEST_AGE = 256, 2048, 2**31
MOST = 2
"""Sign-ins that are asked for in a row on behalf of one call. Who still refuses then is not to be satisfied."""


@dataclass(frozen=True, slots=True)
class StepUp:
    """What is wanted: one of `acr_values`, and at most `max_age` seconds ago; `claims` is for the provider alone."""

    acr_values: tuple[str, ...] = ()
    max_age: int | None = None
    claims: str | None = None

    @classmethod
    def of(cls, error: StepUpRequired) -> "StepUp":
        """What a refusal wants."""
        return cls.from_json(error.details)

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> "StepUp":
        """What somebody says that is wanted. What cannot be meant is left out, so that others can still be asked."""
        return cls(
            tuple(_text(said.get("acr_values"), LONGEST_LIST).split()),
            _seconds(said.get("max_age")),
            _text(said.get("claims"), LONGEST_CLAIMS) or None,
        )

    def as_json(self) -> Json:
        """In the words of RFC 9470 s3, without what is not wanted."""
        said = {"acr_values": " ".join(self.acr_values) or None, "max_age": self.max_age, "claims": self.claims}
        return {name: value for name, value in said.items() if value is not None}

    def is_met_by(self, principal: Principal, now: float) -> bool:
        """Whether this sign-in is what is wanted, as far as a token tells: `acr_values` were a wish at the provider."""
        acr, since = principal.claims.get("acr"), principal.claims.get("auth_time")
        strong = not self.acr_values or acr in self.acr_values
        fresh = self.max_age is None or (isinstance(since, int | float) and now - since <= self.max_age)
        return strong and fresh


def wanted_by(error: IdentityError) -> Json:
    """The sign-in that an error asks for, in the words of `as_json`; nothing for an error that asks for none."""
    return StepUp.of(error).as_json() if isinstance(error, StepUpRequired) else {}


ANY = StepUp()
"""Whatever sign-in there is."""


def _seconds(value: object) -> int | None:
    """A2A's data parts know only doubles (protobuf's JSON values)."""
    number = int(value) if isinstance(value, float) and value.is_integer() else value
    good = isinstance(number, int) and not isinstance(number, bool) and 0 <= number < LONGEST_AGE
    return number if isinstance(number, int) and good else None


def _text(value: object, longest: int) -> str:
    good = isinstance(value, str) and len(value) <= longest and value.isascii() and value.isprintable()
    return str(value) if good else ""


def renews(fresh: Principal, held: Principal, now: float) -> bool:
    """Whether `fresh` is to take the place of `held`, of the same person: it lives longer, and is no weaker sign-in.

    A second device that was not asked for more must not undo what the person did at the first.
    """
    if fresh.expires_at <= now or held.expires_at <= now:
        return fresh.expires_at > held.expires_at
    if _signed_in(fresh) != _signed_in(held):
        return _signed_in(fresh) > _signed_in(held)
    # Times are whole seconds: within one, whoever signed in in another way did so after they were asked to.
    return fresh.expires_at > held.expires_at or fresh.claims.get("acr") != held.claims.get("acr")


def _signed_in(principal: Principal) -> float:
    since = principal.claims.get("auth_time")
    return float(since) if isinstance(since, int | float) else 0.0
