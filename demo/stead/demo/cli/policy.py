"""`stead policy`: why a policy decides as it does, and whether it decides as its own tests say."""

import json as jsonlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stead.demo.cli.output import emit, say, tell
from stead.identity.errors import InvalidRequest
from stead.identity.home import Home
from stead.identity.in_force import check_files
from stead.identity.policy.cases import Asker, Tried, read_cases, try_cases
from stead.identity.policy.explaining import SILENT, Question, Verdict, explain, strongest

_SAYS = {True: "applies", False: "does not apply", None: "cannot be evaluated, and so denies"}


def check(file: Path, principal: Path, resource: str, action: str, given: str, *, json: bool) -> int:
    """Explains a decision rule by rule. 0 where nothing of the file is against it, else 1."""
    rules, _ = read_cases(_text(file))
    question = Question(_asker(principal).principal(), resource, action, _object(given), time.time())
    verdicts = explain(rules, question)
    outcome, rule = strongest(verdicts)
    if json:
        emit({"outcome": outcome, "rule": rule, "rules": [verdict.as_json() for verdict in verdicts]})
    else:
        for verdict in verdicts:
            say(_line(verdict))
        say(f"→ {outcome}" + (f", by {rule}" if rule else f": no rule of {file.name} applies"))
    return 0 if outcome in ("allow", SILENT) else 1


def test(files: Sequence[Path], *, json: bool) -> int:
    """Runs the tests that policies bring along. 0 where all hold, 1 where one does not, or a file has none."""
    for file in files:
        _check_place(file)
    tried = {str(file): try_cases(*read_cases(_text(file))) for file in files}
    if json:
        emit({name: _told(one) for name, one in tried.items()})
    else:
        for name, one in tried.items():
            _draw(name, one)
    return 0 if all(one.cases and not one.failed for one in tried.values()) else 1


def _check_place(file: Path) -> None:
    """A file of the operator's folder is also what its service can read, and names what it has."""
    home = Home.current()
    if file.absolute().parent == home.policies.absolute():
        check_files(home)


def _line(verdict: Verdict) -> str:
    why = f": {verdict.why}" if verdict.why else ""
    return f"{verdict.rule.id} ({verdict.rule.outcome.value}) {_SAYS[verdict.applies]}{why}"


def _told(tried: Tried) -> dict[str, Any]:
    failed = [one.as_json() for one in tried.failed]
    return {"cases": tried.cases, "failed": failed, "untried": list(tried.untried)}


def _draw(name: str, tried: Tried) -> None:
    say(f"{name}: {tried.cases - len(tried.failed)} of {tried.cases} cases hold")
    for one in tried.failed:
        wanted = f"{one.case.outcome}" + (f" by {one.case.rule}" if one.case.rule else "")
        say(f"  {one.case.name}: wanted {wanted}, got {one.outcome}" + (f" by {one.rule}" if one.rule else ""))
    if not tried.cases:
        tell("  no tests: add a second document with `tests:`")
    for rule in tried.untried if tried.cases else ():
        tell(f"  no case is decided by {rule}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise InvalidRequest(f"{path} cannot be read.") from None


def _asker(path: Path) -> Asker:
    try:
        return Asker.model_validate(_object(_text(path)))
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InvalidRequest(f"{path} is no principal at {place or 'the top'}: {first['msg']}.") from None


def _object(text: str) -> dict[str, Any]:
    try:
        said = jsonlib.loads(text)
    except ValueError:
        raise InvalidRequest("This is not JSON.", hint=text[:60]) from None
    if not isinstance(said, dict):
        raise InvalidRequest("This is not a JSON object.", hint=text[:60])
    return said
