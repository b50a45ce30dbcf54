"""The call itself, as a skill sees it: who asked is the `Principal`, what was asked is the input, and this is the rest.

An `Ask` is an interface; where the call runs (in memory, or as a durable workflow) decides what stands behind it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol, TypeVar, runtime_checkable

from stead.identity.challenge import PinnedOperation
from stead.identity.types import Json

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Consent:
    """A person's yes to one operation, as a handle: the credential itself lies in the vault.

    `details` is what was authorized, with what the provider added.
    """

    id: str
    challenge: str
    audience: str
    scopes: tuple[str, ...]
    details: Json


@runtime_checkable
class Ask(Protocol):
    """One call of a skill."""

    @property
    def task(self) -> str:
        """The A2A task that this call is."""

    @property
    def txn(self) -> str | None:
        """The task of the person's request at the head of the chain, where the token names one."""

    @property
    def key(self) -> str:
        """The same for every retry of this call, and for nothing else: what idempotency keys derive from."""

    async def progress(self, text: str) -> None:
        """Tells whoever watches what is going on, in a short sentence."""

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        """The result of `work`, which a durable call keeps: after a restart it is not done again."""

    async def authorize(self, operation: PinnedOperation) -> Consent:
        """Asks the person to authorize exactly this at the skill's provider, and waits, across restarts if need be.

        Raises `Declined`, `Expired` or `Canceled` when there is no yes, and `OutOfScope` when the yes is for something
        else. Only a skill declared with a `provider` may ask.
        """
