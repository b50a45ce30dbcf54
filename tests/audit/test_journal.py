"""The journal: one chain, one writer, durable when it says so."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from itertools import pairwise
from pathlib import Path

import pytest

from stead.identity.audit.check import Problem, check
from stead.identity.audit.errors import AuditUnavailable
from stead.identity.audit.event import Event, genesis, unseal
from stead.identity.audit.journal import Entry, Journal
from stead.identity.errors import ConfigurationError, InvalidRequest, InvalidScope
from stead.identity.values import AccessToken, Actor, Arrival, Grant, Principal, acting_for

HOP, TRACE = "a" * 16, "b" * 32


def written(path: Path) -> list[Event]:
    return [unseal(line) for line in path.read_bytes().splitlines(keepends=True)]


def person(**more: object) -> Principal:
    values: dict[str, object] = {
        "issuer": "http://127.0.0.2:1",
        "subject": "alice",
        "audience": "http://127.0.0.5:1",
        "client_id": "broker",
        "scopes": frozenset({"portfolio:read"}),
        "jti": "j1",
        "expires_at": 2_000_000_000,
        "grant": Grant.OBO,
        "actor": Actor("broker"),
        "claims": {"name": "Alice Moreau"},
        "token": AccessToken("secret"),
    }
    return Principal(**{**values, **more})  # type: ignore[arg-type]


async def test_committed_events_are_on_disk_and_chained(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    for task in ("t1", "t2", "t3"):
        await journal.commit(kind="task", hop=HOP, task=task)
    events = written(journal.path)
    journal.close()
    assert [event.seq for event in events] == [1, 2, 3]
    assert events[0].prev == genesis("broker", 0)
    assert all(after.prev == before.hash for before, after in pairwise(events))


def test_appending_works_without_an_event_loop_and_from_many_threads(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")

    def work(number: int) -> None:
        for _ in range(100):
            journal.bind(HOP, f"t{number}", jti="j")

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    assert [event.seq for event in written(journal.path)] == list(range(1, 801))
    assert check(tmp_path) == []


async def test_a_commit_can_be_awaited_in_another_loop(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")

    def elsewhere() -> Entry:
        return asyncio.run(journal.commit(kind="task", hop=HOP, task="t"))

    entry, other = await asyncio.gather(asyncio.to_thread(elsewhere), journal.commit(kind="task", hop=HOP, task="u"))
    assert {entry.seq, other.seq} == {1, 2}
    journal.close()


async def test_a_cancelled_commit_disturbs_nobody(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    waiting = asyncio.create_task(journal.commit(kind="task", hop=HOP, task="t"))
    await asyncio.sleep(0)
    waiting.cancel()
    await journal.commit(kind="task", hop=HOP, task="u")
    journal.close()
    assert [event.task for event in written(journal.path)] == ["t", "u"]


def test_a_chain_goes_on_after_a_restart(tmp_path: Path) -> None:
    for _ in range(3):
        journal = Journal(tmp_path, "broker")
        journal.bind(HOP, "t")
        journal.close()
    assert [event.seq for event in written(tmp_path / "broker.jsonl")] == [1, 2, 3]
    assert check(tmp_path) == []


@pytest.mark.parametrize("torn", [b'{"seq":3,"ins', b"\0" * 40, b"x" * 200_000])
def test_a_torn_last_line_is_cut_and_the_chain_goes_on(tmp_path: Path, torn: bytes) -> None:
    journal = Journal(tmp_path, "broker")
    journal.bind(HOP, "t1")
    journal.bind(HOP, "t2")
    journal.close()
    with journal.path.open("ab") as file:
        file.write(torn)
    assert [finding.problem for finding in check(tmp_path)] == [Problem.TORN]
    again = Journal(tmp_path, "broker")
    again.bind(HOP, "t3")
    again.close()
    assert [event.task for event in written(again.path)] == ["t1", "t2", "t3"]
    assert check(tmp_path) == []


def test_a_damaged_chain_is_left_as_evidence_and_the_instance_goes_on_beside_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    journal.bind(HOP, "t1")
    journal.close()
    journal.path.write_bytes(journal.path.read_bytes().replace(b"t1", b"t9"))
    again = Journal(tmp_path, "broker")
    again.bind(HOP, "t2")
    again.close()
    assert again.path.name == "broker~1.jsonl"
    assert [finding.chain for finding in check(tmp_path)] == ["broker.jsonl"]


def test_two_processes_of_one_instance_do_not_share_a_chain(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, "broker"), Journal(tmp_path, "broker")
    first.bind(HOP, "t1")
    second.bind(HOP, "t2")
    first.close()
    second.close()
    [one], [two] = written(first.path), written(second.path)
    assert (one.instance, one.replica, two.instance, two.replica) == ("broker", 0, "broker", 1)
    assert one.prev != two.prev
    assert check(tmp_path) == []


def test_a_killed_process_loses_nothing_it_was_told_is_durable(tmp_path: Path) -> None:
    program = """
        import asyncio, os, sys
        from pathlib import Path
        from stead.identity.audit.journal import Journal
        journal = Journal(Path(sys.argv[1]), "broker")
        asyncio.run(journal.commit(kind="task", hop="a" * 16, task="before the side effect"))
        os._exit(9)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=False)
    assert done.returncode == 9
    journal = Journal(tmp_path, "broker")
    journal.bind(HOP, "after")
    journal.close()
    assert [event.task for event in written(journal.path)] == ["before the side effect", "after"]


def test_a_process_that_just_ends_has_written_what_it_appended(tmp_path: Path) -> None:
    program = """
        import sys
        from pathlib import Path
        from stead.identity.audit.journal import Journal
        Journal(Path(sys.argv[1]), "broker").bind("a" * 16, "t")
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=True)
    assert [event.task for event in written(tmp_path / "broker.jsonl")] == ["t"]


def test_a_full_disk_refuses_what_must_be_durable_and_leaves_no_torn_line(tmp_path: Path) -> None:
    program = """
        import asyncio, logging, resource, sys
        from pathlib import Path
        from stead.identity.audit.errors import AuditUnavailable
        from stead.identity.audit.journal import Journal
        logging.disable()
        journal = Journal(Path(sys.argv[1]), "broker")
        async def main():
            await journal.commit(kind="task", hop="a" * 16, task="t1")
            full = (journal.size + 40, resource.RLIM_INFINITY)
            resource.setrlimit(resource.RLIMIT_FSIZE, full)
            try:
                await journal.commit(kind="task", hop="a" * 16, task="t2")
            except AuditUnavailable:
                assert journal.path.read_bytes().endswith(b"\\n")
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                await journal.commit(kind="task", hop="a" * 16, task="t3")
                journal.close()
                sys.exit(0)
            sys.exit(1)
        asyncio.run(main())
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(program), str(tmp_path)], check=True)
    assert [event.task for event in written(tmp_path / "broker.jsonl")] == ["t1", "t2", "t3"]
    assert check(tmp_path) == []


async def test_a_closed_journal_refuses(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    journal.close()
    journal.close()
    with pytest.raises(AuditUnavailable):
        journal.bind(HOP, "t")


@pytest.mark.parametrize("name", ["", "../broker", "a/b", ".hidden", "a~1", "a\0b"])
def test_a_name_that_is_no_file_name_has_no_journal(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigurationError):
        Journal(tmp_path, name)


def test_an_event_of_the_wrong_shape_is_refused_at_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    with pytest.raises(InvalidRequest):
        journal.append(kind="poem", hop=HOP)
    with pytest.raises(InvalidRequest):
        journal.append(kind="task", hop=HOP, colour="red")
    journal.close()
    assert journal.path.read_bytes() == b""


def test_an_arriving_call_is_told_with_its_token_and_the_decision(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "portfolio-agent")
    journal.ingress(
        arrival=Arrival(HOP, TRACE, "j1"),
        principal=person(),
        operation="SendMessage",
        resource="portfolio.summary",
        decision="allow",
        rule="owners",
    )
    journal.close()
    [event] = written(journal.path)
    assert (event.caller, event.callee, event.sub, event.name) == (
        "broker",
        "http://127.0.0.5:1",
        "alice",
        "Alice Moreau",
    )
    assert (event.act, event.jti, event.decision, event.rule) == ({"sub": "broker"}, "j1", "allow", "owners")
    assert b"secret" not in journal.path.read_bytes()


def test_a_service_call_is_told_without_a_person(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "market-data-agent")
    service = person(
        subject="broker", grant=Grant.S2S, actor=None, claims={"name": "Alice Moreau", "act": {"sub": "x"}}
    )
    journal.ingress(arrival=Arrival(HOP, TRACE, "j1"), principal=service, operation="o", resource="r", decision="allow")
    journal.close()
    [event] = written(journal.path)
    assert (event.sub, event.name, event.act) == ("broker", None, None)
    assert b"lice" not in journal.path.read_bytes()


def test_a_refused_call_is_told_with_its_reason(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    refusal = InvalidScope("Bob may not.", hint="Ask.", debug="not kept")
    journal.egress(
        hop=HOP,
        trace=TRACE,
        callee="http://127.0.0.4:1",
        grant=Grant.OBO,
        operation="SendMessage",
        resource="transfer.send",
        claims={"sub": "bob", "act": {"sub": "broker"}},
        parent=Arrival("c" * 16, TRACE, "j0"),
        error=refusal,
    )
    journal.close()
    [event] = written(journal.path)
    assert (event.decision, event.code, event.description, event.hint) == (
        "deny",
        "invalid_scope",
        "Bob may not.",
        "Ask.",
    )
    assert (event.jti, event.parent_hop, event.parent_jti) == (None, "c" * 16, "j0")
    assert b"not kept" not in journal.path.read_bytes()


def test_a_service_hop_names_its_cause_and_no_parent_token(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    journal.egress(
        hop=HOP,
        trace=TRACE,
        callee="http://127.0.0.6:1",
        grant=Grant.S2S,
        operation="SendMessage",
        resource="market_data.trend",
        claims={"sub": "broker", "name": "Alice", "scope": ["b", "a"], "exp": 5.0},
        parent=Arrival("c" * 16, TRACE, "j0"),
        task="t",
    )
    journal.close()
    [event] = written(journal.path)
    assert (event.parent_jti, event.cause_jti, event.name, event.scope, event.exp) == (None, "j0", None, "a b", 5)


def test_binding_inside_a_call_names_its_token(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    with acting_for(person(), Arrival(HOP, TRACE, "j1")):
        journal.bind(HOP, "t")
        journal.bind("f" * 16, "t")
    journal.close()
    assert [event.jti for event in written(journal.path)] == ["j1", None]


def test_text_chosen_by_a_caller_is_kept_short_and_without_tokens(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    journal.append(kind="task", hop=HOP, resource="x" * 10_000, operation="eyJhbGciOiJFUzI1NiJ9.eyJzdWIi.c2ln\ud800")
    journal.close()
    [event] = written(journal.path)
    assert event.resource is not None
    assert len(event.resource) == 512
    assert event.operation == "[token]?"
    assert check(tmp_path) == []
