"""`python -m benchmarks [GROUP] [--tiny]`: all groups, or one. `LONG=1` is longer, `--tiny` only shows that it runs."""

import asyncio
import importlib
import os
import sys

from benchmarks.measure import LONG, QUICK, TINY, Effort

GROUPS = ("identity", "in-task", "network")


def main(words: list[str]) -> None:
    """Runs the groups named, else all."""
    groups = [word for word in words if word != "--tiny"]
    unknown = sorted(set(groups) - set(GROUPS))
    if unknown:
        raise SystemExit(f"There is no group {unknown[0]!r}. There are: {', '.join(GROUPS)}.")
    for group in groups or GROUPS:
        asyncio.run(importlib.import_module(f"benchmarks.{group.replace('-', '_')}").run(_effort(words)))


def _effort(words: list[str]) -> Effort:
    if "--tiny" in words:
        return TINY
    return LONG if os.environ.get("LONG") else QUICK


if __name__ == "__main__":
    main(sys.argv[1:])
