"""A chain in several files: as whole as one, shipped as one, and deleted from its beginning by right only."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from stead.identity.audit.chain import acknowledgement
from stead.identity.audit.check import Problem, check
from stead.identity.audit.event import unseal
from stead.identity.audit.export import check_export, events, raw
from stead.identity.audit.heads import TOMBSTONE, Head, sign
from stead.identity.audit.journal import Journal
from stead.identity.audit.retention import prune
from stead.identity.audit.segments import files, sealed, tombstone
from stead.identity.audit.ship import Outbox, Shipper
from stead.identity.audit.signers import Signers, of_home
from stead.identity.home import Home
from stead.identity.types import Json

SMALL, MANY = 1_000, 24
FOREVER = 3_000_000_000.0


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path)
    home.key("broker")
    return home


@pytest.fixture
def chain(home: Home) -> Path:
    return written(home, MANY)


def written(home: Home, count: int) -> Path:
    journal = Journal(home.folder("audit"), "broker", max_size=SMALL)
    for number in range(count):
        journal.bind("a" * 16, f"t{number}")
        journal.flush()
    journal.close()
    return journal.path


def collect(home: Home, path: Path, count: int) -> None:
    event = list(events(path.parent))[count - 1]
    signed = sign(Head("broker", 0, event.seq, event.hash), home.key("broker"))
    receipt = sign(Head("broker", 0, event.seq, event.hash, signed), home.key("trail"))
    acknowledgement(path).write_text(json.dumps({"seq": event.seq, "offset": 0, "receipt": receipt}))


def problems(home: Home, path: Path, signers: Signers | None = None) -> set[Problem]:
    return {finding.problem for finding in check(path.parent, signers=signers or of_home(home))}


def test_a_full_file_is_followed_by_the_next_and_the_chain_is_whole(home: Home, chain: Path) -> None:
    assert len(sealed(chain)) > 3
    assert all(each.stat().st_size < 2 * SMALL for each in files(chain))
    assert [event.seq for event in events(chain.parent)] == list(range(1, MANY + 1))
    assert problems(home, chain) == set()
    assert check_export("e", (f"{line}\n".encode() for line in raw(chain.parent)), Signers()) == []


def test_a_chain_goes_on_from_its_last_file_after_a_restart(home: Home, chain: Path) -> None:
    written(home, 5)
    assert [event.seq for event in events(chain.parent)] == list(range(1, MANY + 6))
    assert problems(home, chain) == set()


def test_a_crash_between_two_files_loses_nothing(home: Home, chain: Path) -> None:
    last = list(events(chain.parent))[-1].seq
    if chain.stat().st_size:
        chain.rename(chain.with_name(f"{chain.name}.{last:012}"))
    else:
        chain.unlink()
    written(home, 2)
    assert [event.seq for event in events(chain.parent)] == list(range(1, MANY + 3))
    assert problems(home, chain) == set()


@pytest.mark.parametrize("which", [0, 1, -1])
def test_a_file_that_is_gone_shows(home: Home, chain: Path, which: int) -> None:
    collect(home, chain, MANY)
    sealed(chain)[which].unlink()
    assert problems(home, chain) == {Problem.MISSING}


def test_a_changed_line_in_an_old_file_shows_with_its_place(home: Home, chain: Path) -> None:
    first = sealed(chain)[0]
    first.write_bytes(first.read_bytes().replace(b"t0", b"t9"))
    finding = check(chain.parent)[0]
    assert (finding.chain, finding.line, finding.problem) == (first.name, 1, Problem.CHANGED)


async def test_files_are_shipped_one_after_the_other_while_they_are_written(home: Home) -> None:
    taken: list[Json] = []

    async def send(batch: Json) -> Mapping[str, Any]:
        taken.extend(batch["events"])
        return {"seq": taken[-1]["seq"], "receipt": None}

    journal = Journal(home.folder("audit"), "broker", max_size=SMALL)
    shipper = Shipper(journal, send)
    for number in range(MANY):
        journal.bind("a" * 16, f"t{number}")
        journal.flush()
        if number % 7 == 0:
            assert await shipper.drain()
    assert await shipper.drain()
    journal.close()
    assert [event["seq"] for event in taken] == list(range(1, MANY + 1))


def test_shipping_goes_on_in_the_right_file_after_a_restart(home: Home, chain: Path) -> None:
    acknowledgement(chain).write_text(json.dumps({"seq": 5, "offset": 10**6, "receipt": None}))
    outbox, seen = Outbox(chain, "broker", 0), []
    while (batch := outbox.batch(chain.stat().st_size)) is not None:
        seen += [event["seq"] for event in batch["events"]]
        outbox.acknowledge(batch, {"seq": seen[-1]})
    assert seen == list(range(6, MANY + 1))


class TestRetention:
    def test_what_was_collected_may_go_behind_a_signed_tombstone(self, home: Home, chain: Path) -> None:
        collect(home, chain, MANY)
        gone = prune(chain.parent, FOREVER, of_home(home), home.key)
        assert gone
        assert not any(path.exists() for path in gone)
        assert problems(home, chain) == set()
        written(home, 3)
        assert problems(home, chain) == set()

    def test_what_is_left_is_verified_elsewhere_too(self, home: Home, chain: Path) -> None:
        collect(home, chain, MANY)
        prune(chain.parent, FOREVER, of_home(home), home.key)
        lines = [f"{line}\n".encode() for line in raw(chain.parent)]
        assert check_export("e", lines, of_home(home)) == []
        found = {finding.problem for finding in check_export("e", lines[1:], of_home(home))}
        assert Problem.MISSING in found, "without its tombstone"

    def test_what_was_not_collected_stays(self, home: Home, chain: Path) -> None:
        assert prune(chain.parent, FOREVER, of_home(home), home.key) == []
        collect(home, chain, 8)
        gone = prune(chain.parent, FOREVER, of_home(home), home.key)
        assert 0 < len(gone) < len(sealed(chain))
        assert problems(home, chain) == set()

    def test_what_is_young_stays(self, home: Home, chain: Path) -> None:
        collect(home, chain, MANY)
        assert prune(chain.parent, 1.0, of_home(home), home.key) == []

    def test_a_tombstone_that_the_workload_did_not_sign_shows(self, home: Home, chain: Path) -> None:
        collect(home, chain, MANY)
        first = sealed(chain)[0]
        last = unseal(first.read_bytes().splitlines(keepends=True)[-1])
        first.unlink()
        tombstone(chain).write_text(sign(Head("broker", 0, last.seq, last.hash), home.key("trail"), TOMBSTONE))
        assert Problem.RECEIPT in problems(home, chain)

    def test_a_head_is_no_tombstone(self, home: Home, chain: Path) -> None:
        collect(home, chain, MANY)
        first = sealed(chain)[0]
        last = unseal(first.read_bytes().splitlines(keepends=True)[-1])
        first.unlink()
        tombstone(chain).write_text(sign(Head("broker", 0, last.seq, last.hash), home.key("broker")))
        assert Problem.RECEIPT in problems(home, chain)

    def test_a_workload_alone_cannot_delete_what_nobody_collected(self, home: Home, chain: Path) -> None:
        collect(home, chain, 2)
        third = sealed(chain)[2]
        last = unseal(third.read_bytes().splitlines(keepends=True)[-1])
        for path in sealed(chain)[:3]:
            path.unlink()
        tombstone(chain).write_text(sign(Head("broker", 0, last.seq, last.hash), home.key("broker"), TOMBSTONE))
        assert Problem.MISSING in problems(home, chain)

    def test_a_crash_before_the_files_went_is_no_finding(self, home: Home, chain: Path) -> None:
        collect(home, chain, MANY)
        kept = {path: path.read_bytes() for path in sealed(chain)[:2]}
        prune(chain.parent, FOREVER, of_home(home), home.key)
        for path, content in kept.items():
            path.write_bytes(content)
        assert problems(home, chain) == set()
