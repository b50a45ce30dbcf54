"""Secrets at rest: the subject tokens of parked tasks, refresh tokens, a bank's tokens.

Envelope encryption: each (owner, task) has a data key of its own, which lies beside its entries wrapped by a key that
does not (`vault_keys`). So neither the file nor an entry moved to another place gives anything away, a wrapping key is
replaced without touching an entry, and deleting one small row makes all of a task's secrets unreadable for good.
"""

from dataclasses import dataclass
from pathlib import Path

from stead.identity.errors import ConfigurationError
from stead.identity.telemetry import happened, names
from stead.identity.values import Secret
from stead.identity.vault_file import VaultFile
from stead.identity.vault_keys import MIN_KEY, KeyService, LocalKeys
from stead.identity.vault_steps import Steps, T, answered


@dataclass(frozen=True, slots=True)
class Rotation:
    """What a rotation did: data keys wrapped anew, and those of other keys that are left (0 unless interrupted)."""

    current: str
    moved: int
    left: int


class Vault:
    """A SQLite file of sealed entries. Safe from any thread; several processes may share the file.

    `keys` wraps data keys; bytes are one key at hand. `older` is the secret of a file from before there were data
    keys: what lies in it is moved when it is next asked for. Each call waits for the file and for the keys: within an
    event loop use `AsyncVault`.
    """

    def __init__(self, path: Path, keys: KeyService | bytes, *, older: bytes | None = None) -> None:
        if isinstance(keys, bytes):
            older = older or keys
        self.keys = _one_key(keys) if isinstance(keys, bytes) else keys
        self.file = VaultFile(path, older)

    def put(self, owner: str, task: str, name: str, value: Secret | bytes) -> None:
        """Keeps `value` under its name, in place of an earlier one. Durable on return."""
        happened(names.VAULT_PUT)
        self._run(self.file.put(owner, task, name, content_of(value)))

    def replace(self, owner: str, task: str, name: str, value: Secret | bytes) -> bool:
        """Keeps `value` in place of an earlier one; False where there is none, as when the task has ended."""
        happened(names.VAULT_PUT)
        return self._run(self.file.replace(owner, task, name, content_of(value)))

    def get(self, owner: str, task: str, name: str) -> bytes | None:
        """The value, or None when there is none. Raises `ConfigurationError` when it cannot be unsealed."""
        happened(names.VAULT_GET)
        return self._run(self.file.get(owner, task, name))

    def take(self, owner: str, task: str, name: str) -> bytes | None:
        """The value, which is deleted: of all who ask at once, in whichever process, one gets it."""
        happened(names.VAULT_GET)
        return self._run(self.file.take(owner, task, name))

    def forget(self, owner: str, task: str, name: str | None = None) -> None:
        """Deletes all of a task's secrets (at its end), or the one named. What is not there is no error.

        With the last entry goes its data key, so that a copy of the file made later opens none of them.
        """
        happened(names.VAULT_FORGET)
        self._run(self.file.forget(owner, task, name))

    def rotate(self) -> Rotation:
        """Wraps every data key by the current wrapping key; entries stay as they are. Online, and safe to interrupt.

        Each key is moved by itself, and says by what it is wrapped: a crash leaves some moved and none unreadable.
        """
        self.file.begin_rotation()  # whoever wrapped a key before that wraps it anew, and sees the new key
        current = self.keys.current()
        places = self.file.places(wrapped_otherwise_than=current)
        moved = sum(self._run(self.file.rewrap(place, current)) for place in places)
        self.file.settle()
        return Rotation(current, moved, len(self.file.places(wrapped_otherwise_than=current)))

    def wrapped_by(self) -> dict[str, int]:
        """How many data keys there are, by the wrapping key."""
        return self.file.wrapped_by()

    @property
    def older(self) -> int:
        """How many entries lie in the form from before there were data keys, and need the first secret."""
        return self.file.older()

    def close(self) -> None:
        """Closes the file."""
        self.file.close()

    def _run(self, steps: Steps[T]) -> T:
        return answered(steps, self.keys)


def content_of(value: Secret | bytes) -> bytes:
    """What is sealed."""
    return value.reveal().encode() if isinstance(value, Secret) else value


def _one_key(key: bytes) -> LocalKeys:
    if len(key) < MIN_KEY:
        raise ConfigurationError("The vault's secret is shorter than 32 bytes.")
    return LocalKeys(lambda: (key,), "vault")
