"""`python -m benchmarks [GROUP]`: all groups, or one."""

import asyncio
import importlib
import sys

GROUPS = ("identity", "network")


def main(words: list[str]) -> None:
    """Runs the groups named, else all."""
    unknown = sorted(set(words) - set(GROUPS))
    if unknown:
        raise SystemExit(f"There is no group {unknown[0]!r}. There are: {', '.join(GROUPS)}.")
    for group in words or GROUPS:
        asyncio.run(importlib.import_module(f"benchmarks.{group}").run())


if __name__ == "__main__":
    main(sys.argv[1:])
