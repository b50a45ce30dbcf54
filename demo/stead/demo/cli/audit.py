"""`stead trail verify`, `keys`, `who`, `for` and the export of events: what an auditor asks."""

import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from stead.demo.cli.output import emit, say, table, tell
from stead.demo.cli.trail import asked, asked_trail, names_of
from stead.identity.audit.check import Finding, check, check_against
from stead.identity.audit.hops import Trail
from stead.identity.audit.signers import Signers, as_document, of_file, of_home
from stead.identity.errors import ConfigurationError, InvalidRequest
from stead.identity.home import Home

WHOLE, DAMAGED = 0, 1
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def verify(journal: Path | None, exported: Path | None, keys: Path | None, auditor: str | None, *, json: bool) -> int:
    """Checks chains: of a folder, of an exported file, and with `auditor` against a running collector. 0 when whole."""
    findings = _found(journal, exported, keys, auditor)
    if json:
        emit({"whole": not findings, "findings": [str(finding) for finding in findings], "details": _details(findings)})
    else:
        for finding in findings:
            tell(str(finding))
        say("Every chain is whole." if not findings else f"{len(findings)} findings.")
    return DAMAGED if findings else WHOLE


def _found(journal: Path | None, exported: Path | None, keys: Path | None, auditor: str | None) -> list[Finding]:
    from stead.identity.audit.export import check_export

    signers = _signers(journal or exported, keys)
    if exported is not None:
        with _readable(exported).open("rb") as file:
            return check_export(exported.name, file, signers, time.time())
    folder = _readable(journal) if journal else Home.current().folder("audit")
    found = check(folder, signers=signers, now=time.time())
    if auditor is not None:
        found += check_against(folder, asked("/chains", {}, auditor)["chains"], signers)
    return list(dict.fromkeys(found))


def _details(findings: Sequence[Finding]) -> list[dict[str, Any]]:
    return [finding.as_json() for finding in findings]


def _signers(elsewhere: Path | None, keys: Path | None) -> Signers:
    """Files from elsewhere are checked with the keys that came with them, never with this network's."""
    if keys is not None:
        return of_file(keys)
    return of_home(Home.current()) if elsewhere is None else Signers()


def _readable(path: Path) -> Path:
    if not path.exists():
        raise ConfigurationError(f"There is no {path.name} to check.", hint="Name a folder of journals, or a file.")
    return path


def keys() -> None:
    """Prints the public keys by which files can be verified elsewhere."""
    home = Home.current()
    emit(as_document(home, [path.stem.partition("~")[0] for path in home.folder("audit").glob("*.jsonl")]))


def export_events(form: str, journal: Path | None, since: str | None) -> None:
    """Prints the events of the journals, a line each: as they were written (`raw`), or converted."""
    from stead.identity.audit.export import converted, raw

    folder = _readable(journal) if journal else Home.current().folder("audit")
    _print(raw(folder) if form == "raw" else converted(folder, form, since=moment(since)))


def _print(lines: Iterable[str]) -> None:
    for line in lines:
        print(line)  # noqa: T201


def prune(older_than: str, *, json: bool) -> None:
    """Deletes full files of the audit that are older than a time, and were collected."""
    from stead.identity.audit.retention import prune as delete

    home = Home.current()
    gone = [path.name for path in delete(home.folder("audit"), moment(older_than), of_home(home), home.key)]
    if json:
        emit({"deleted": gone})
        return
    say("\n".join(gone) or "Nothing is old, full and collected.")


def who(task: str | None, username: str, *, json: bool) -> None:
    """Says of a task who asked, through whom, by what right, and what was decided."""
    from stead.identity.audit.telling import TITLES, rows, sentences

    trail = Trail.model_validate(asked_trail(task, username))
    names = names_of(Home.current())
    told = sentences(trail, names)
    if json:
        pairs = zip(told, trail.hops, strict=True)
        hops = [{"sentence": sentence, **hop.model_dump(mode="json")} for sentence, hop in pairs]
        emit({"task": trail.task, "hops": hops})
        return
    for number, sentence in enumerate(told, start=1):
        say(f"{number}. {sentence}")
    table(TITLES, rows(trail, names))


def done_for(user: str, since: str | None, username: str | None, *, json: bool) -> None:
    """Lists everything done in a person's stead: as that person, or as an auditor (`username`)."""
    from stead.identity.audit.telling import TITLES, rows

    asking = {"since": str(moment(since))} | ({} if username in (None, user) else {"sub": user})
    document = asked("/hops", asking, username or user)
    if json:
        emit(document)
        return
    hops = [{name: value for name, value in hop.items() if name != "task"} for hop in document["hops"]]
    trail = Trail.model_validate({"task": "", "version": 0, "hops": hops})
    if not hops:
        say(f"Nothing was done for {user}.")
        return
    told = zip(document["hops"], rows(trail, names_of(Home.current())), strict=True)
    stamped = ((_clock(hop["started"]), (hop["task"] or "–")[:8], *row[1:]) for hop, row in told)
    table(("When", "Task", *TITLES[1:]), stamped)


def moment(text: str | None) -> float:
    """Seconds since 1970 of `2026-03-01T12:00:00Z`, of `2026-03-01`, or of `30m`, `12h`, `7d` ago.

    Raises `InvalidRequest`.
    """
    if text is None:
        return 0.0
    if text[-1:] in _UNITS and text[:-1].isdecimal() and len(text) < 8:
        return time.time() - timedelta(**{_UNITS[text[-1]]: int(text[:-1])}).total_seconds()
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        raise InvalidRequest(f"{text!r} is no time.", hint="Such as 2026-03-01, or 12h for half a day ago.") from None
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
