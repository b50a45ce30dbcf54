"""Whose signatures count when chains are checked, and what a receipt has to be signed by."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from joserfc.jwk import Key

from stead.identity.audit.heads import TOMBSTONE, Head, read
from stead.identity.errors import ConfigurationError, IdentityError, InvalidToken
from stead.identity.home import Home, public_jwk
from stead.identity.jwks import Keys, load_keys
from stead.identity.types import Json

NOBODY: Keys = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Signers:
    """The collector's keys, and the registered keys of each workload. What is None is not checked."""

    collector: Keys | Key | None = None
    workloads: Callable[[str], Keys] | None = None

    def receipt(self, text: str, instance: str, replica: int) -> Head | None:
        """What a receipt says was collected of a chain; None without the collector's key. Raises `InvalidToken`."""
        if self.collector is None:
            return None
        head = self.any_receipt(text)
        if (head.instance, head.replica) != (instance, replica):
            raise InvalidToken("The receipt is another chain's.")
        return head

    def any_receipt(self, text: str) -> Head:
        """What a receipt says, of whichever chain it is. Raises `InvalidToken`."""
        head = read(text, NOBODY if self.collector is None else self.collector)
        if self.workloads is not None:
            self._own(head)
        return head

    def head(self, text: str, instance: str) -> Head:
        """What a workload itself signed. Raises `InvalidToken`, also when no key of it is registered."""
        return read(text, NOBODY if self.workloads is None else self.workloads(instance))

    def tombstone(self, text: str, instance: str) -> Head:
        """Up to where a workload deleted its chain by right. Raises `InvalidToken`."""
        if self.workloads is None:
            raise InvalidToken("Events were deleted, and without the workload's key nobody can tell by what right.")
        return read(text, self.workloads(instance), kind=TOMBSTONE)

    def _own(self, head: Head) -> None:
        """The collector cannot make up a chain: its receipt holds the workload's own signature of the same head."""
        if head.signed is None:
            raise InvalidToken("The receipt does not hold the workload's own signature.")
        if self.head(head.signed, head.instance).place != head.place:
            raise InvalidToken("The receipt is for another head than the workload signed.")


def of_home(home: Home, collector: str = "trail") -> Signers:
    """The keys of a state directory: the public halves of those that were made there."""

    def keys_of(instance: str) -> Keys:
        key = home.public_key(instance)
        return NOBODY if key is None else load_keys({"keys": [key]})

    return Signers(home.key(collector), keys_of)


def of_file(path: Path) -> Signers:
    """The keys of a file that `as_document` made. Raises `ConfigurationError`."""
    try:
        document = json.loads(path.read_bytes())
        workloads = {str(name): load_keys(keys) for name, keys in document["workloads"].items()}
        return Signers(load_keys(document["collector"]), lambda instance: workloads.get(instance, NOBODY))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IdentityError):
        raise ConfigurationError(
            "The file of keys cannot be read.", hint="`stead trail keys` writes one: collector and workloads, JWK sets."
        ) from None


def as_document(home: Home, instances: list[str], collector: str = "trail") -> Json:
    """`{"collector": JWK set, "workloads": {name: JWK set}}`: what checking elsewhere needs, and nothing private."""
    workloads: Mapping[str, Any] = {
        name: {"keys": [key]} for name in sorted(set(instances)) if (key := home.public_key(name)) is not None
    }
    return {"collector": {"keys": [public_jwk(home.key(collector))]}, "workloads": workloads}
