"""One network per state directory: who runs one from it, and how it is emptied for another."""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator

import psutil

from stead.identity.errors import ConfigurationError
from stead.identity.home import Home

_MADE = ("audit", "data", "joined", "keys", "logs", "rules", "secrets")
_PATIENCE = 5.0
"""Seconds that the children of a launcher which was killed may take to end."""


@contextlib.contextmanager
def occupying(home: Home) -> Iterator[None]:
    """Holds the state directory for one network. Raises `ConfigurationError` naming the process that has it."""
    descriptor = os.open(home.folder(".") / "running", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        _hold(home, descriptor)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _hold(home: Home, descriptor: int) -> None:
    """Waits for children whose launcher was killed; theirs is the lock until the last of them has ended."""
    deadline = time.monotonic() + _PATIENCE
    while not _locked(descriptor):
        owner = int(os.pread(descriptor, 20, 0) or 0)
        if psutil.pid_exists(owner) or time.monotonic() > deadline:
            raise ConfigurationError(
                f"A network runs from {home.path} already: process {owner}.",
                hint="Stop it with Ctrl-C, or set STEAD_HOME to another directory.",
            )
        time.sleep(0.05)


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def forget(home: Home) -> None:
    """Removes what a network made: addresses, keys, databases, audit. What the operator wrote (stead.yaml) stays."""
    for name in _MADE:
        shutil.rmtree(home.path / name, ignore_errors=True)
    (home.path / "network.json").unlink(missing_ok=True)
