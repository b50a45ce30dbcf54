"""An agent of somebody else's passes by its profile; each of those that break one promise fails, and is told which."""

import asyncio
import socket
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from stead.demo.conformance.report import Finding
from stead.demo.conformance.run import examined
from stead.identity.home import Home
from tests.agents.town import serving
from tests.conformance.lender import EXTENSION, Flaw, Lender

COMPLETING = {"subscribe", "approve", "replay", "tampered", "no-token"}
"""What needs a task that is done after a yes."""
ALL = {*COMPLETING, "park", "get", "cancel", "deny", "expire", "wrong-user"}

FAILS: Mapping[Flaw, tuple[set[str], str]] = {
    Flaw.NONE: (set(), ""),
    Flaw.UNDECLARED: ({"park"}, f"the agent card does not declare the extension {EXTENSION}"),
    Flaw.UNNAMED: ({"park"}, f"the status message does not name the extension {EXTENSION}"),
    Flaw.SILENT: ({"park"}, "no text"),
    Flaw.UNTYPED: ({"park"}, "has no type"),
    Flaw.UNPINNED: (ALL, "the question pins nothing"),
    Flaw.EAGER: (ALL, "never was AUTH_REQUIRED"),
    Flaw.SHIFTING: ({"get"}, "another question"),
    Flaw.FORGETFUL: ({"get", "tampered"}, "nobody can be sent anywhere"),
    Flaw.PRIVATE: ({"subscribe"}, "SubscribeToTask of a waiting task: it answered: That cannot be done."),
    Flaw.HOLDING: ({"park"}, "kept a call open"),
    Flaw.DEAF: ({"subscribe"}, "closed at AUTH_REQUIRED"),
    Flaw.UNDEAD: ({"cancel"}, "from CANCELED to COMPLETED"),
    Flaw.UNSTOPPABLE: ({"cancel"}, "CancelTask of a waiting task"),
    Flaw.STUCK: ({"approve"}, "though its owner approved"),
    Flaw.INEXACT: (COMPLETING - {"subscribe"}, "is not what was approved"),
    Flaw.BULLY: ({"deny"}, "said no, and the task is COMPLETED"),
    Flaw.FICKLE: ({"deny"}, "from REJECTED to COMPLETED"),
    Flaw.MUTE: ({"deny"}, "without a word"),
    Flaw.PATIENT: ({"expire"}, "still is AUTH_REQUIRED"),
    Flaw.LATE: ({"expire"}, "from FAILED to COMPLETED"),
    Flaw.TWICE: ({"replay"}, "something was executed"),
    Flaw.RACY: ({"replay"}, "brought 3 times at once was executed"),
    Flaw.GULLIBLE: ({"wrong-user"}, "a yes in a message made the task COMPLETED"),
    Flaw.CREDULOUS: ({"wrong-user"}, "the yes of carol"),
    Flaw.STEALABLE: ({"wrong-user"}, "opened the owner's callback"),
    Flaw.OPEN: ({"wrong-user"}, "GetTask by carol"),
    Flaw.SHARED: ({"wrong-user"}, "CancelTask by carol"),
    Flaw.PLIABLE: ({"tampered"}, "a message changed the operation"),
    Flaw.BLIND: ({"tampered"}, "/amount differs in the result"),
    Flaw.KEEPING: ({"no-token"}, "the token of its caller"),
    Flaw.TELLING: ({"no-token"}, '"access_token"'),
    Flaw.LEAKING: ({"no-token"}, "the provider's code"),
}
"""Which checks a flaw fails, and what one of them says."""

ONLY: Mapping[Flaw, tuple[str, ...]] = {Flaw.STUCK: ("approve",), Flaw.HOLDING: ("park",), Flaw.RACY: ("replay",)}
"""Where each of the others would only wait."""

PERSON = Path(__file__).with_name("person.py")
Answering = Callable[[str, str, str], dict[str, object]]
PEOPLE = {"owner": "alice", "carol": "carol"}


def _in_a_browser(url: str, name: str, user: str) -> dict[str, object]:
    return {"logins": {url: {"username": user, "password_file": f"{name}.password", "name_field": "who"}}}


def _by_program(_: str, __: str, user: str) -> dict[str, object]:
    return {
        word: [sys.executable, str(PERSON), user, said, "{link}"] for word, said in (("approve", "yes"), ("deny", "no"))
    }


def _profile(url: str, flaw: Flaw, answering: Answering) -> dict[str, object]:
    people = {name: {"token_file": f"{name}.token", **answering(url, name, user)} for name, user in PEOPLE.items()}
    return {
        "trigger": {"parts": [{"data": {"amount": "5"}}], "changed": [{"data": {"amount": "500"}}]},
        "question": {"extension": EXTENSION, "link": "/where", "details": "/what", "expires_at": "/until"},
        "result": {"/amount": "/lent"},
        "people": {"owner": people.pop("owner"), "others": people},
        "buttons": {"approve": "yes", "deny": "no"},
        "expiry": {"metadata": {"patience": 0.5}, "grace": 1 if flaw is Flaw.PATIENT else 30},
        "tampering": {"change": ["touch", "tampered"], "undo": ["rm", "-f", "tampered"]},
        "executions": ["cat", "executed"],
        "times": {"settle": 0.2, "finish": 2 if flaw in (Flaw.STUCK, Flaw.HOLDING) else 30},
    }


async def _examined(
    folder: Path, flaw: Flaw, only: tuple[str, ...] = (), *, answering: "Answering | None" = None, rest: bool = False
) -> dict[str, Finding]:
    folder.mkdir()
    with socket.create_server(("127.0.0.1", 0)) as probe:
        url = f"http://127.0.0.1:{probe.getsockname()[1]}"
    for name, user in PEOPLE.items():
        (folder / f"{name}.token").write_text(f"opaque-token-of-{user}\n")
        (folder / f"{name}.password").write_text(f"{user}\n")
    (folder / "profile.yaml").write_text(yaml.safe_dump(_profile(url, flaw, answering or _in_a_browser)))
    lender = Lender(url, folder, {f"opaque-token-of-{user}": user for user in PEOPLE.values()}, flaw, rest=rest)
    async with serving(lender.app, url):
        findings = await examined(url, folder / "profile.yaml", only, Home(folder / "home"), lambda _: None)
    for each in lender.expiring:
        each.cancel()
    return {one.name: one for one in findings}


@pytest.fixture(scope="module")
async def reports(tmp_path_factory: pytest.TempPathFactory) -> dict[Flaw, dict[str, Finding]]:
    """The report on every one of them, made at the same time."""
    folder = tmp_path_factory.mktemp("lenders")
    made = await asyncio.gather(*(_examined(folder / flaw.name, flaw, ONLY.get(flaw, ())) for flaw in FAILS))
    return dict(zip(FAILS, made, strict=True))


@pytest.mark.parametrize("flaw", FAILS, ids=lambda flaw: flaw.value)
async def test_each_fails_for_its_own_reason_and_the_sound_one_passes(
    flaw: Flaw, reports: dict[Flaw, dict[str, Finding]]
) -> None:
    report, (expected, why) = reports[flaw], FAILS[flaw]
    failed = {name: one.why for name, one in report.items() if not one.passed}
    assert set(failed) == expected, failed
    assert not expected or any(why in told for told in failed.values()), failed


async def test_an_agent_that_remembers_a_yes_for_the_next_time_fails_the_replay(tmp_path: Path) -> None:
    report = await _examined(tmp_path / "lax", Flaw.LAX, ("replay",))
    assert "never was AUTH_REQUIRED" in report["replay"].why


async def test_an_agent_that_speaks_rest_is_examined_as_well(tmp_path: Path) -> None:
    report = await _examined(tmp_path / "rest", Flaw.NONE, rest=True)
    assert [one for one in report.values() if not one.passed] == []
    assert len(report) == len(ALL)


async def test_people_may_answer_by_programs_of_the_profile(tmp_path: Path) -> None:
    checks = ("approve", "deny", "replay", "wrong-user")
    report = await _examined(tmp_path / "sound", Flaw.NONE, checks, answering=_by_program)
    assert [one for one in report.values() if not one.passed] == []
    assert "and the callback" in report["replay"].why
    free = await _examined(tmp_path / "free", Flaw.CREDULOUS, ("wrong-user",), answering=_by_program)
    assert "the yes of carol" in free["wrong-user"].why


def test_every_flaw_is_tried() -> None:
    assert {*FAILS, Flaw.LAX} == set(Flaw)
    assert {name for failing, _ in FAILS.values() if len(failing) == 1 for name in failing} == ALL
