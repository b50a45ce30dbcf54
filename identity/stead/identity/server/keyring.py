"""An issuer's signing keys over time: one signs, the next is published before it does, the last until it is no use.

A small file in the state directory says since when each key signs and until when it is published. Every replica looks
at it anew, so that `rotate` in one process is a rotation in all.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

from joserfc.jwk import ECKey

from stead.identity.clock import SKEW
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.jwks import FRESH, Keys, load_keys
from stead.identity.types import Json

AHEAD = 2 * FRESH
"""Seconds for which a key is published before it signs: longer than anybody keeps a key set without looking again."""
LIVES = 3600 + SKEW
"""Seconds for which the last key is published after it signed for the last time: no access token lives longer."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One key by its name in the state directory. It signs from `since`, and is published `until` (None: no end).

    A key that is not `trusted` any more is known to somebody else: nothing that it signed counts, however young.
    """

    name: str
    since: float
    until: float | None = None
    trusted: bool = True

    def is_published(self, now: float) -> bool:
        """Whether others are told of it."""
        return self.trusted and (self.until is None or now < self.until)


class KeyRing:
    """The keys of the issuer whose first key has this name."""

    def __init__(self, home: Home, name: str) -> None:
        self._home = home
        self._name = name
        self._read: tuple[int, tuple[Entry, ...]] = (0, (Entry(name, 0.0),))
        self._key = cache(home.key)
        self._own = cache(self._load)

    @property
    def path(self) -> Path:
        """Where the file lies, once there was a rotation."""
        return self._home.folder("keys") / f"{self._name}.ring"

    @property
    def entries(self) -> tuple[Entry, ...]:
        """The keys, oldest first. Raises `ConfigurationError` for a file that is not readable."""
        try:
            written = self.path.stat().st_mtime_ns
        except FileNotFoundError:
            return self._read[1]
        if written != self._read[0]:
            self._read = (written, _entries(self.path))
        return self._read[1]

    def signing(self, now: float) -> ECKey:
        """The key that signs at this time: the newest whose time has come."""
        due = [entry for entry in self.entries if entry.since <= now and entry.trusted]
        return self._key((due or self.entries)[-1].name)

    def published(self, now: float) -> Json:
        """The JWK set at this time: no private member (RFC 7517 s5)."""
        return {"keys": [self._public(entry) for entry in self.entries if entry.is_published(now)]}

    def own(self) -> Keys:
        """All keys whose signature is still ours, for reading what comes back: an ID token as a hint may be old."""
        return self._own(self.entries)

    def rotate(self, now: float, *, at_once: bool = False) -> Entry:
        """Makes the next key. It signs once everybody can know it; `at_once`, now, and the others count no more."""
        since = now if at_once else now + AHEAD
        kept = [self._ended(entry, now, since, at_once) for entry in self.entries]
        made = Entry(f"{self._name}-{len(kept) + 1}", since)
        self._key(made.name)
        self._home.write(f"keys/{self._name}.ring", json.dumps([asdict(one) for one in (*kept, made)]).encode())
        return made

    def _load(self, entries: tuple[Entry, ...]) -> Keys:
        return load_keys({"keys": [self._public(entry) for entry in entries if entry.trusted]})

    def _ended(self, entry: Entry, now: float, since: float, at_once: bool) -> Entry:
        if at_once:
            return Entry(entry.name, entry.since, min(now, entry.until or now), trusted=False)
        return entry if entry.until is not None else Entry(entry.name, entry.since, since + LIVES, entry.trusted)

    def _public(self, entry: Entry) -> dict[str, Any]:
        return {**self._key(entry.name).as_dict(private=False), "alg": "ES256", "use": "sig"}


def _entries(path: Path) -> tuple[Entry, ...]:
    try:
        read: Sequence[dict[str, Any]] = json.loads(path.read_bytes())
        entries = tuple(Entry(**entry) for entry in read)
    except (OSError, ValueError, TypeError):
        raise ConfigurationError(f"{path} is not readable.", hint="Put the file back.") from None
    if not entries:
        raise ConfigurationError(f"{path} names no key.", hint="Put the file back.")
    return entries
