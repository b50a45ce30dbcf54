"""What came of each check, for a person and for a program."""

from collections.abc import Sequence
from dataclasses import dataclass

from stead.demo.cli.output import emit, say, table
from stead.identity.types import Json


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: whether it passed, what was seen, and where it is written that it should."""

    name: str
    passed: bool
    why: str
    spec: str

    def as_json(self) -> Json:
        """`{"name", "pass", "why", "spec"}`."""
        return {"name": self.name, "pass": self.passed, "why": self.why, "spec": self.spec}


def report(url: str, findings: Sequence[Finding], *, json: bool) -> bool:
    """Prints all of it. True when every check passed."""
    passed = sum(one.passed for one in findings)
    if json:
        checks = [one.as_json() for one in findings]
        emit({"agent": url, "pass": passed == len(findings), "checks": checks})
    else:
        rows = [(one.name, "pass" if one.passed else "FAIL", one.why, one.spec) for one in findings]
        table(("Check", "", "What was seen", "Written in"), rows)
        say(f"{passed} of {len(findings)} checks passed: {url}")
    return passed == len(findings)
