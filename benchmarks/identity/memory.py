"""What stays in memory of tokens that were all different: nothing beyond the bounds, however many come.

Measured in a process of its own. The bounds are reached in the quick form too; that the second half adds nothing is
what shows them, so no figure is extrapolated.
"""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarks.measure import Effort, progress, report

ROOT = Path(__file__).parents[2]
LIMIT_MB, PLATEAU_MB = 256, 32


async def run(effort: Effort) -> None:
    """Tokens through a verifier, persons through the exchange cache, proofs through the stores of spent ones."""
    progress(f"memory after {effort.tokens:,} distinct tokens")
    told = await asyncio.to_thread(_remembering, effort.tokens)
    for what in ("tokens", "persons", "proofs"):
        report(f"identity.memory.{what}", told[what]["after"], "MB", at_most=LIMIT_MB)
        report(f"identity.memory.{what}_second_half", told[what]["second_half"], "MB", at_most=PLATEAU_MB)
    report("identity.memory.distinct_tokens", effort.tokens, "tokens")


def _remembering(tokens: int) -> Any:
    words = [sys.executable, "-m", "benchmarks.remembering", str(tokens)]
    return json.loads(subprocess.run(words, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
