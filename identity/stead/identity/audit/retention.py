"""Deleting old events by right: whole files, from the oldest on, that were collected, behind a signed tombstone."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from joserfc.jwk import ECKey

from stead.identity.audit.chain import acknowledgement, chain_named
from stead.identity.audit.event import unseal
from stead.identity.audit.heads import TOMBSTONE, Head, sign
from stead.identity.audit.segments import last_of, older, sealed, tombstone
from stead.identity.audit.signers import Signers
from stead.identity.errors import InvalidToken


def prune(folder: Path, before: float, signers: Signers, key_of: Callable[[str], ECKey]) -> list[Path]:
    """Deletes the full files whose newest event is older than `before` and countersigned; returns which.

    The tombstone is on disk before the first file goes, so that a crash leaves more than it has to and never less.
    """
    gone: list[Path] = []
    for path in sorted(folder.glob("*.jsonl")):
        gone += _prune(path, before, signers, key_of)
    return gone


def _prune(path: Path, before: float, signers: Signers, key_of: Callable[[str], ECKey]) -> list[Path]:
    instance, replica = chain_named(path)
    collected = _collected(path, signers)
    old = [full for full in older(path, before) if last_of(full) <= collected]
    if not old:
        return []
    with old[-1].open("rb") as file:
        last = unseal(file.readlines()[-1])
    _write(tombstone(path), sign(Head(instance, replica, last.seq, last.hash), key_of(instance), TOMBSTONE))
    for full in sealed(path):
        if last_of(full) <= last.seq:
            full.unlink()
    return old


def _collected(path: Path, signers: Signers) -> int:
    """Up to which event somebody else has the chain, by a receipt that is good."""
    try:
        receipt = json.loads(acknowledgement(path).read_bytes())["receipt"]
        head = signers.receipt(str(receipt), *chain_named(path))
    except (OSError, ValueError, TypeError, KeyError, InvalidToken):
        return 0
    return 0 if head is None else head.seq


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}")
    with draft.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)
