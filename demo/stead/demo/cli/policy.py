"""`stead policy`: why a policy decides as it does, and whether it decides as its own tests say."""

import json as jsonlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from stead.demo.cli.output import emit, say, tell
from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Home
from stead.identity.in_force import InForce, check_files, recorded, started_here
from stead.identity.policy import Worded
from stead.identity.policy.cases import Asker, Tried, read_cases, try_cases
from stead.identity.policy.explaining import SILENT, Question, Verdict, explain, strongest
from stead.identity.policy.expressions.kinds import kind_of_schema
from stead.identity.policy.files import read_file, told_of
from stead.identity.policy.names import nearest
from stead.identity.server.standing import Standing, principal_of
from stead.identity.settings import Settings
from stead.identity.values import Principal

_SAYS = {True: "applies", False: "does not apply", None: "cannot be evaluated, and so denies"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the command line has it: of a service or a file, with the input as JSON text."""

    what: str
    resource: str
    action: str
    given: str
    at: str | None

    def by(self, principal: Principal, now: float) -> Question:
        """The question, asked by somebody."""
        return Question(principal, self.resource, self.action, _object(self.given), now)


def check(asked: Asked, principal: Path | None, person: str | None, through: Sequence[str], *, json: bool) -> int:
    """Explains a decision rule by rule. 0 where nothing is against it, else 1."""
    now = time.time() if asked.at is None else _time(asked.at)
    if Path(asked.what).is_file():
        who = _who(principal, Standing(person or "", now, None, tuple(through)))
        return _explain_file(Path(asked.what), asked.by(who, now), json=json)
    known = recorded(Home.current(), asked.what)
    if asked.resource not in known.resources:
        raise InvalidRequest(f"{asked.what} has no {asked.resource}.", hint=nearest(asked.resource, known.resources))
    _check_input(known, asked)
    who = _who(principal, Standing(person or "", now, known.service, tuple(through)))
    return _explain_service(known, asked.by(who, now), json=json)


def _check_input(known: InForce, asked: Asked) -> None:
    members = kind_of_schema(known.inputs.get(asked.resource, {})).members
    for name in _object(asked.given):
        if members is not None and name not in members:
            raise InvalidRequest(f"{asked.resource} takes no {name}.", hint=nearest(name, members))


def _explain_file(file: Path, question: Question, *, json: bool) -> int:
    rules, _ = read_cases(_text(file))
    verdicts = explain(rules, question)
    outcome, rule = strongest(verdicts)
    _show(verdicts, {"outcome": outcome, "rule": rule}, f"no rule of {file.name} applies", json=json)
    return 0 if outcome in ("allow", SILENT) else 1


def _explain_service(known: InForce, question: Question, *, json: bool) -> int:
    """By the rules in force, and by the very code that the service decides with."""
    asked = question.principal, question.resource, question.action, question.input, question.now
    decision = known.policy.decide(*asked)
    told = {"outcome": decision.outcome.value, "rule": decision.rule, "reason": decision.reason, "hint": decision.hint}
    _show(explain((*known.own, *known.on_top), question), told, "", json=json)
    return 0 if decision.allowed else 1


def _show(verdicts: Sequence[Verdict], decided: Mapping[str, Any], silence: str, *, json: bool) -> None:
    if json:
        emit({**decided, "rules": [verdict.as_json() for verdict in verdicts]})
        return
    for verdict in verdicts:
        say(_line(verdict))
    by = f", by {decided['rule']}" if decided["rule"] else f": {silence}"
    say(f"→ {decided['outcome']}{by}")
    for sentence in (decided.get("reason"), decided.get("hint")):
        if sentence:
            say(f"  {sentence}")


def _who(file: Path | None, standing: Standing) -> Principal:
    if (file is None) == (not standing.username):
        raise InvalidRequest("Who asks?", hint="Say either --as USER or --principal FILE.")
    return _of_the_directory(standing) if file is None else _asker(file).principal()


def _of_the_directory(standing: Standing) -> Principal:
    home = Home.current()
    issuer = Settings.load(home).issuer
    if issuer not in (None, home.network.corporate_idp):
        raise ConfigurationError(f"People sign in at {issuer}.", hint="Write who asks into a file: --principal FILE.")
    found = principal_of(home.database("issuer-corporate"), home.network.corporate_idp, standing)
    tell(f"{found.name}{''.join(f', through {actor}' for actor in found.chain)}")
    return found


def _time(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone().timestamp()
    except ValueError:
        raise InvalidRequest(f"{text} is no time.", hint="Such as 2026-03-01T23:30+01:00.") from None


def test(files: Sequence[Path], *, json: bool) -> int:
    """Runs the tests that policies bring along. 0 where all hold, 1 where one does not, or a file has none."""
    for file in files:
        _check_place(file)
        _check_rules(file)
        _check_cases(file)
    tried = {str(file): try_cases(*read_cases(_text(file))) for file in files}
    if json:
        emit({name: _told(one) for name, one in tried.items()})
    else:
        for name, one in tried.items():
            _draw(name, one)
    return 0 if all(one.cases and not one.failed for one in tried.values()) else 1


def _check_cases(file: Path) -> None:
    """A case of the operator's that asks for what its service does not have tries nothing."""
    home = Home.current()
    if file.absolute().parent != home.policies.absolute() or not started_here(home, file.stem):
        return
    known = recorded(home, file.stem).resources
    for case in read_cases(_text(file))[1]:
        if case.resource not in known:
            hint = nearest(case.resource, known)
            raise InvalidRequest(f"The case {case.name!r} asks {file.stem} for {case.resource}.", hint=hint)


def _check_rules(file: Path) -> None:
    """All of them, also those that no case tries."""
    rules = read_file(file)
    with told_of(file):
        Worded(rules)


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
