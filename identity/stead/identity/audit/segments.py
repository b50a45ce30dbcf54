"""A chain in several files: the one that is written, and before it those that are full.

A full file is renamed to the number of its last event, `broker.jsonl.000000005000`, and never touched again but to be
deleted: from the oldest on, behind a signed tombstone that says where the chain goes on.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

MAX_SEGMENT = 64 * 2**20
"""Bytes of a file before the next one is begun."""

_DIGITS = 12


def sealed(path: Path) -> list[Path]:
    """The full files of the chain whose current file is `path`, oldest first."""
    names = path.parent.glob(f"{path.name}.{'[0-9]' * _DIGITS}")
    return sorted(names, key=last_of)


def last_of(segment: Path) -> int:
    """The number of a full file's last event."""
    return int(segment.name.rpartition(".")[2])


def files(path: Path) -> list[Path]:
    """All files of a chain, in order."""
    return [*sealed(path), *([path] if path.exists() else [])]


def seal_off(path: Path, last: int) -> Path:
    """Renames the current file, whose last event is `last`. The caller begins the next one."""
    full = path.with_name(f"{path.name}.{last:0{_DIGITS}}")
    os.rename(path, full)
    return full


def holding(path: Path, seq: int) -> tuple[Path, int]:
    """The file in which event `seq` is or will be, and the number of the event before that file's first."""
    before = 0
    for full in sealed(path):
        if last_of(full) >= seq:
            return full, before or first_of(full) - 1
        before = last_of(full)
    return path, before


def first_of(segment: Path) -> int:
    """The number of a full file's first event."""
    with segment.open("rb") as file:
        return int(json.loads(file.readline())["seq"])


def tombstone(path: Path) -> Path:
    """Where it is written which events of a chain were deleted by right."""
    return path.with_name(f"{path.name}.pruned")


def older(path: Path, before: float) -> Iterator[Path]:
    """The full files of a chain, oldest first, whose newest event is older than the time `before`."""
    for full in sealed(path):
        with full.open("rb") as file:
            newest = json.loads(file.readlines()[-1])
        if newest["time"] >= before:
            return
        yield full
