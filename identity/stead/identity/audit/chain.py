"""One chain's file: found, locked, mended at its torn end, and appended to.

Knows files. One process holds a chain; another of the same instance gets the next replica's file.
"""

import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from stead.identity.audit.event import Event, genesis, unseal
from stead.identity.audit.segments import seal_off, sealed
from stead.identity.errors import ConfigurationError, InvalidRequest

MAX_REPLICAS = 256
SEPARATOR = "~"
"""Between instance and replica in a file name; a client id that has it has no journal."""

_BLOCK = 65_536
_log = logging.getLogger(__name__)
_sync = getattr(os, "fdatasync", os.fsync)


@dataclass
class ChainFile:
    """An open chain: where it lies, which replica it is, and its durable head (the newest event's number and hash)."""

    path: Path
    descriptor: int
    replica: int
    seq: int
    head: str
    size: int

    def append(self, lines: bytes, seq: int, head: str) -> None:
        """Writes and syncs, or raises `OSError` and leaves all as it was. `seq` and `head` are the last line's."""
        try:
            _write_all(self.descriptor, lines)
            _sync(self.descriptor)
        except OSError:
            os.ftruncate(self.descriptor, self.size)
            raise
        self.size += len(lines)
        self.seq, self.head = seq, head

    def rotate(self, last: int) -> None:
        """Seals the file off behind event `last` and begins the next one, under the same name and lock.

        Raises `OSError`, and then goes on in the old one.
        """
        full = seal_off(self.path, last)
        try:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if not self.path.exists():
                os.rename(full, self.path)
            raise
        _sync_folder(self.path.parent)
        os.close(self.descriptor)
        self.descriptor, self.size = descriptor, 0

    def close(self) -> None:
        """Gives the chain up."""
        os.close(self.descriptor)


def chain_path(folder: Path, instance: str, replica: int) -> Path:
    """`<instance>.jsonl`, and `<instance>~<replica>.jsonl` for further replicas."""
    return folder / (f"{instance}.jsonl" if replica == 0 else f"{instance}{SEPARATOR}{replica}.jsonl")


def chain_named(path: Path) -> tuple[str, int]:
    """Instance and replica by a chain's file name."""
    instance, _, replica = path.name.removesuffix(".jsonl").partition(SEPARATOR)
    return instance, int(replica) if replica.isdecimal() else 0


def acknowledgement(path: Path) -> Path:
    """Where it is noted what of a chain the collector holds."""
    return path.with_name(f"{path.name}.ack")


def open_chain(folder: Path, instance: str) -> ChainFile:
    """Takes the first chain of this instance that nobody holds and that is whole.

    A damaged chain is left as it is, for `check` to report; the instance goes on in the next one.
    Raises `ConfigurationError` when none can be had.
    """
    if not instance or instance.startswith(".") or {"/", "\0", SEPARATOR} & set(instance):
        raise ConfigurationError(f"{instance!r} is not a name that a journal can have.")
    for replica in range(MAX_REPLICAS):
        path = chain_path(folder, instance, replica)
        descriptor = _lock(path)
        if descriptor is None:
            continue
        try:
            return _recover(path, descriptor, instance, replica)
        except InvalidRequest as damage:
            os.close(descriptor)
            _log.error("%s is damaged and left alone: %s", path.name, damage.description)
    raise ConfigurationError(f"No journal of {instance} can be opened.", hint="Look at `stead audit check`.")


def siblings(folder: Path, instance: str) -> list[tuple[Path, int]]:
    """The chains that there are of an instance, with their replica numbers."""
    chains = ((chain_path(folder, instance, replica), replica) for replica in range(MAX_REPLICAS))
    return [(path, replica) for path, replica in chains if path.exists()]


@contextmanager
def hold(path: Path) -> Iterator[bool]:
    """Holds a chain for reading its end; yields False when a process still writes it."""
    descriptor = _lock(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


@contextmanager
def watch(path: Path) -> Iterator[bool]:
    """Whether nobody writes a chain, without a right to write it oneself; yields False when a process holds it."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield _is_free(descriptor)
    finally:
        os.close(descriptor)


def _is_free(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def whole_size(path: Path) -> int:
    """Bytes up to the end of the last whole line."""
    with path.open("rb") as file:
        return _end_of_last_line(file.fileno(), path.stat().st_size)


def _lock(path: Path) -> int | None:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _recover(path: Path, descriptor: int, instance: str, replica: int) -> ChainFile:
    size = _cut_torn_end(path, descriptor)
    last = _last_event(descriptor, size) or _last_sealed(path)
    if last is None:
        _sync_folder(path.parent)
        return ChainFile(path, descriptor, replica, 0, genesis(instance, replica), 0)
    if (last.instance, last.replica) != (instance, replica):
        raise InvalidRequest("The chain is another instance's.")
    return ChainFile(path, descriptor, replica, last.seq, last.hash, size)


def _cut_torn_end(path: Path, descriptor: int) -> int:
    """A line without its end was never durable, so nobody relied on it: it goes."""
    size = os.fstat(descriptor).st_size
    whole = _end_of_last_line(descriptor, size)
    if whole < size:
        _log.warning("%s ended in a torn line of %d bytes, which is cut off.", path.name, size - whole)
        os.ftruncate(descriptor, whole)
        os.fsync(descriptor)
    return whole


def _end_of_last_line(descriptor: int, size: int) -> int:
    while size > 0:
        start = max(0, size - _BLOCK)
        newline = os.pread(descriptor, size - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        size = start
    return 0


def _last_event(descriptor: int, size: int) -> Event | None:
    if size == 0:
        return None
    start = _end_of_last_line(descriptor, size - 1)
    return unseal(os.pread(descriptor, size - start, start))


def _last_sealed(path: Path) -> Event | None:
    """The event that a chain goes on from, when its current file was just begun."""
    full = sealed(path)
    if not full:
        return None
    with full[-1].open("rb") as file:
        return _last_event(file.fileno(), os.fstat(file.fileno()).st_size)


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
