"""What identity costs: checking, deciding, proving, exchanging, in front of real servers, along a chain, in memory.

Every ratio is measured in one run, side by side.
"""

from benchmarks.identity import chain, decision, door, exchange, memory, proof, servers, verification
from benchmarks.measure import Effort

PARTS = (verification, decision, proof, door, servers, exchange, chain, memory)


async def run(effort: Effort) -> None:
    """All figures of this group."""
    for part in PARTS:
        await part.run(effort)
