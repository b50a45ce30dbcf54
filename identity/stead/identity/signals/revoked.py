"""What an issuer took back before its time, as one value that every check asks."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from stead.identity.values import Principal

NOBODY: Mapping[str, float] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Revoked:
    """Sessions and tokens of one issuer that are good no longer; times are seconds since the epoch.

    `before`: nothing is good that was issued up to then, whosever it is. `subjects`: the same for one person each.
    `sessionless`: the same for one person each, of what does not say to which session it belongs.
    """

    sessions: frozenset[str] = frozenset()
    tokens: frozenset[str] = frozenset()
    before: float | None = None
    subjects: Mapping[str, float] = field(default_factory=lambda: NOBODY)
    sessionless: Mapping[str, float] = field(default_factory=lambda: NOBODY)

    def covers(self, principal: Principal) -> bool:
        """Whether the principal's token is among them."""
        claims = principal.claims
        subjects = (principal.subject, claims.get("sub"))
        return principal.jti in self.tokens or self.covers_login(claims.get("sid"), subjects, claims.get("iat", 0))

    def covers_login(self, sid: object, subjects: Iterable[object], since: float) -> bool:
        """Whether what rests on this login, and was issued at `since`, is over. `subjects` are the person's names."""
        return (self.before is not None and int(since) <= self.before) or self.ends_session(sid, subjects, since)

    def ends_session(self, sid: object, subjects: Iterable[object], since: float) -> bool:
        """Whether the session itself is over, of a person with these names, that began at `since`."""
        named = isinstance(sid, str)
        if named and sid in self.sessions:
            return True
        if not self.subjects and not self.sessionless:
            return False
        names = [name for name in subjects if isinstance(name, str)]
        return _is_over(self.subjects, names, since) or (not named and _is_over(self.sessionless, names, since))

    def joined(self, other: "Revoked") -> "Revoked":
        """Both."""
        moments = [one.before for one in (self, other) if one.before is not None]
        return Revoked(
            self.sessions | other.sessions,
            self.tokens | other.tokens,
            max(moments, default=None),
            _later(self.subjects, other.subjects),
            _later(self.sessionless, other.sessionless),
        )


def _is_over(ended: Mapping[str, float], names: Iterable[str], since: float) -> bool:
    # Issuers say when by whole seconds, so what began within the same one was there before.
    return any(int(since) <= ended[name] for name in names if name in ended)


def _later(one: Mapping[str, float], other: Mapping[str, float]) -> Mapping[str, float]:
    return {name: max(one.get(name, 0), other.get(name, 0)) for name in {*one, *other}}
