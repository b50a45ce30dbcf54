"""What a vault needs of whoever holds its keys, one thing at a time.

A call to a vault is a generator that yields what it needs and is sent the answer, and that holds no lock and no
transaction meanwhile. So a key service that is slow or away delays whoever needs it, and nobody else.
"""

from collections.abc import Generator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from stead.identity.errors import IdentityError, ProviderUnavailable
from stead.identity.vault_keys import KeyService, Wrapped

T = TypeVar("T")

DATA_KEY = 32
"""Bytes of a data key: AES-256."""


@dataclass(frozen=True, slots=True)
class Wrap:
    """A data key is to be wrapped by the current key, bound to `context`."""

    key: bytes = field(repr=False)
    context: bytes

    def ask(self, keys: KeyService) -> Wrapped:
        """The answer."""
        return keys.wrap(self.key, self.context)


@dataclass(frozen=True, slots=True)
class Unwrap:
    """A data key is to be unwrapped."""

    wrapped: Wrapped
    context: bytes

    def ask(self, keys: KeyService) -> bytes:
        """The answer."""
        plain = keys.unwrap(self.wrapped, self.context)
        if len(plain) != DATA_KEY:
            raise ProviderUnavailable("The key service of the vault gave what is no key.")
        return plain


@dataclass(frozen=True, slots=True)
class Done(Generic[T]):
    """What a call came to."""

    value: T = field(repr=False)


Need = Wrap | Unwrap
Steps = Generator[Need, Any, T]


def advance(steps: Steps[T], answer: Wrapped | bytes | None) -> Need | Done[T]:
    """Goes on to the next need, or to the end. A value, because `StopIteration` does not pass between threads."""
    try:
        return steps.send(answer)
    except StopIteration as end:
        return Done(end.value)


def asked(need: Need, keys: KeyService) -> Wrapped | bytes:
    """What the keys answer. Raises `IdentityError`s only: the text of any other error may quote a key."""
    try:
        return need.ask(keys)
    except IdentityError:
        raise
    except Exception as error:
        name = type(error).__name__
        raise ProviderUnavailable("The key service of the vault failed.", debug=name) from None


def answered(steps: Steps[T], keys: KeyService) -> T:
    """Runs a call to its end, waiting for the keys."""
    turn = advance(steps, None)
    while not isinstance(turn, Done):
        turn = advance(steps, asked(turn, keys))
    return turn.value
