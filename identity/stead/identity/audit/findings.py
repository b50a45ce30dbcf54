"""What can be found wrong with a chain, and where."""

from dataclasses import dataclass
from enum import StrEnum

from stead.identity.types import Json


class Problem(StrEnum):
    """What can be wrong with a chain."""

    CHANGED = "changed"
    MISSING = "missing"
    REORDERED = "reordered"
    REPEATED = "repeated"
    TORN = "torn"
    FOREIGN = "foreign"
    RECEIPT = "receipt"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one chain, and where. `line` counts from 1; None when the place is no line."""

    chain: str
    problem: Problem
    line: int | None
    text: str

    def __str__(self) -> str:
        place = self.chain if self.line is None else f"{self.chain}:{self.line}"
        return f"{place}: {self.problem}: {self.text}"

    def as_json(self) -> Json:
        """The members, for a program."""
        return {"chain": self.chain, "line": self.line, "problem": self.problem.value, "text": self.text}
