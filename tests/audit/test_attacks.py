"""Attacks on the record: by who can write the files, by a workload alone, by a collector alone. Each shows."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from stead.identity.audit.chain import acknowledgement
from stead.identity.audit.check import Finding, Problem, check, check_against
from stead.identity.audit.event import genesis, seal, unseal
from stead.identity.audit.export import check_export, raw
from stead.identity.audit.heads import Head, sign
from stead.identity.audit.journal import Journal
from stead.identity.audit.signers import Signers, as_document, of_file, of_home
from stead.identity.home import Home
from stead.identity.types import Json

Lines = list[bytes]
LATER = 3_000_000_000.0


@dataclass
class Scene:
    """A broker's chain of six events, collected whole: signed by the broker, countersigned by the collector."""

    home: Home
    path: Path

    @property
    def signers(self) -> Signers:
        return of_home(self.home)

    def lines(self) -> Lines:
        return self.path.read_bytes().splitlines(keepends=True)

    def write(self, lines: Lines) -> None:
        self.path.write_bytes(b"".join(lines))

    def receipt(
        self, *, workload: ECKey | None = None, collector: ECKey | None = None, lines: Lines | None = None
    ) -> str:
        last = unseal((lines or self.lines())[-1])
        head = Head("broker", 0, last.seq, last.hash)
        signed = sign(head, workload or self.home.key("broker"))
        return sign(Head(head.instance, head.replica, head.seq, head.hash, signed), collector or self.home.key("trail"))

    def collect(self, receipt: str) -> None:
        acknowledgement(self.path).write_text(json.dumps({"seq": 6, "offset": 0, "receipt": receipt}))

    def held(self, lines: Lines | None = None) -> list[Json]:
        """What a collector answers that holds these lines."""
        last = unseal((lines or self.lines())[-1])
        receipt = self.receipt(lines=lines)
        return [{"instance": "broker", "replica": 0, "seq": last.seq, "hash": last.hash, "receipt": receipt}]

    def found(self) -> list[Finding]:
        return check(self.path.parent, signers=self.signers, now=LATER)

    def problems(self) -> set[Problem]:
        return {finding.problem for finding in self.found()}


def forged(lines: Lines, place: int, **change: str) -> Lines:
    """The chain as somebody would write it anew from `place` on: every hash true, no key needed."""
    new, prev = list(lines[:place]), unseal(lines[place - 1]).hash if place else genesis("broker", 0)
    for number, line in enumerate(lines[place:]):
        values = unseal(line).as_json() | {"prev": prev} | (change if number == 0 else {})
        values.pop("hash")
        written, prev = seal(values)
        new.append(written)
    return new


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    home = Home(tmp_path)
    home.key("broker")
    journal = Journal(home.folder("audit"), "broker")
    for number in range(6):
        journal.bind("a" * 16, f"t{number}")
    journal.close()
    scene = Scene(home, journal.path)
    scene.collect(scene.receipt())
    return scene


def test_an_honest_chain_is_whole_by_every_check(scene: Scene) -> None:
    assert scene.found() == []
    assert check_against(scene.path.parent, scene.held(), scene.signers) == []
    exported = [f"{line}\n".encode() for line in raw(scene.path.parent)]
    assert check_export("e", exported, scene.signers) == []


@pytest.mark.parametrize("line", range(6))
def test_one_edited_byte_shows_in_which_line_it_is(scene: Scene, line: int) -> None:
    lines = scene.lines()
    lines[line] = lines[line].replace(b'"t', b'"T', 1)
    scene.write(lines)
    first = scene.found()[0]
    assert (first.chain, first.problem, first.line) == ("broker.jsonl", Problem.CHANGED, line + 1)


def test_a_dropped_middle_shows_with_the_numbers_that_are_gone(scene: Scene) -> None:
    lines = scene.lines()
    scene.write([*lines[:2], *lines[4:]])
    assert "3-4" in next(str(each) for each in scene.found() if each.problem is Problem.MISSING)


def test_a_tail_dropped_after_countersigning_shows_with_the_numbers_that_are_gone(scene: Scene) -> None:
    scene.write(scene.lines()[:3])
    [finding] = scene.found()
    assert finding.problem is Problem.MISSING
    assert "4-6" in finding.text


def test_two_swapped_events_show(scene: Scene) -> None:
    first, second, third, *rest = scene.lines()
    scene.write([first, third, second, *rest])
    assert scene.problems() == {Problem.REORDERED}


def test_an_inserted_event_shows(scene: Scene) -> None:
    lines = scene.lines()
    values = {**unseal(lines[2]).as_json(), "task": "inserted"}
    values.pop("hash")
    scene.write([*lines[:2], seal(values)[0], *lines[2:]])
    assert Problem.REPEATED in scene.problems()


@pytest.mark.parametrize("place", [0, 3, 5])
def test_a_tail_hashed_anew_without_a_key_shows(scene: Scene, place: int) -> None:
    scene.write(forged(scene.lines(), place, task="forged"))
    assert check(scene.path.parent) == [], "by hashes alone it is a whole chain"
    assert scene.problems() == {Problem.CHANGED}


def test_a_chain_without_its_receipt_shows(scene: Scene) -> None:
    acknowledgement(scene.path).unlink()
    assert scene.problems() == {Problem.UNSIGNED}


def test_events_that_nobody_countersigned_show_once_they_had_time(scene: Scene) -> None:
    written = unseal(scene.lines()[-1])
    scene.collect(scene.receipt(lines=scene.lines()[:4]))
    assert check(scene.path.parent, signers=scene.signers, now=written.time + 1) == []
    [finding] = scene.found()
    assert (finding.problem, "5-6" in finding.text) == (Problem.UNSIGNED, True)


def test_a_collector_alone_cannot_make_up_a_chain(scene: Scene) -> None:
    lines = forged(scene.lines(), 3, task="forged")
    scene.write(lines)
    scene.collect(scene.receipt(workload=scene.home.key("trail"), lines=lines))
    assert scene.problems() == {Problem.RECEIPT}


def test_a_collector_alone_cannot_countersign_what_nobody_signed(scene: Scene) -> None:
    last = unseal(scene.lines()[-1])
    scene.collect(sign(Head("broker", 0, last.seq, last.hash), scene.home.key("trail")))
    assert scene.problems() == {Problem.RECEIPT}


def test_a_collector_alone_cannot_put_a_workloads_signature_under_another_head(scene: Scene) -> None:
    lines = forged(scene.lines(), 3, task="forged")
    true, last = unseal(scene.lines()[-1]), unseal(lines[-1])
    signed = sign(Head("broker", 0, true.seq, true.hash), scene.home.key("broker"))
    scene.write(lines)
    scene.collect(sign(Head("broker", 0, last.seq, last.hash, signed), scene.home.key("trail")))
    assert scene.problems() == {Problem.RECEIPT}


def test_a_workload_alone_cannot_write_its_chain_anew(scene: Scene) -> None:
    held, lines = scene.held(), forged(scene.lines(), 3, task="forged")
    scene.write(lines)
    scene.collect(scene.receipt(collector=scene.home.key("broker"), lines=lines))
    assert scene.problems() == {Problem.RECEIPT}
    assert {each.problem for each in check_against(scene.path.parent, held, scene.signers)} == {Problem.CHANGED}


def test_a_workload_alone_cannot_lose_its_tail_and_its_receipt(scene: Scene) -> None:
    held = scene.held()
    scene.write(scene.lines()[:2])
    scene.collect(scene.receipt())
    [finding] = check_against(scene.path.parent, held, scene.signers)
    assert (finding.problem, "3-6" in finding.text) == (Problem.MISSING, True)


def test_a_workload_alone_cannot_lose_its_whole_chain(scene: Scene) -> None:
    held = scene.held()
    scene.path.unlink()
    acknowledgement(scene.path).unlink()
    [finding] = check_against(scene.path.parent, held, scene.signers)
    assert (finding.chain, finding.problem) == ("broker", Problem.MISSING)


def test_a_collector_that_says_another_head_than_it_signed_shows(scene: Scene) -> None:
    [held] = scene.held()
    [finding] = check_against(scene.path.parent, [held | {"seq": 4}], scene.signers)
    assert finding.problem is Problem.CHANGED


def test_a_receipt_by_a_key_that_nobody_registered_shows(scene: Scene) -> None:
    scene.collect(scene.receipt(workload=ECKey.generate_key("P-256", {"kid": "stranger"})))
    assert scene.problems() == {Problem.RECEIPT}


class TestElsewhere:
    """Exported files, checked where there is nothing but them and the public keys."""

    @pytest.fixture
    def signers(self, scene: Scene, tmp_path: Path) -> Signers:
        keys = tmp_path / "keys.json"
        keys.write_text(json.dumps(as_document(scene.home, ["broker"])))
        assert '"d"' not in keys.read_text(), "nothing private"
        return of_file(keys)

    def found(self, scene: Scene, signers: Signers, alter: Callable[[Lines], Lines]) -> set[Problem]:
        lines = [f"{line}\n".encode() for line in raw(scene.path.parent)]
        return {finding.problem for finding in check_export("export", alter(lines), signers)}

    def test_a_whole_export_has_no_findings(self, scene: Scene, signers: Signers) -> None:
        assert self.found(scene, signers, lambda lines: lines) == set()

    @pytest.mark.parametrize(
        ("alter", "problem"),
        [
            (lambda lines: [lines[0].replace(b"t0", b"t9"), *lines[1:]], Problem.CHANGED),
            (lambda lines: [*lines[:2], *lines[3:]], Problem.MISSING),
            (lambda lines: [*lines[:4], lines[-1]], Problem.MISSING),
            (lambda lines: [lines[1], lines[0], *lines[2:]], Problem.REORDERED),
            (lambda lines: lines[:-1], Problem.UNSIGNED),
            (lambda lines: [lines[-1]], Problem.MISSING),
            (lambda lines: [*lines[:-1], b'{"receipt": "a.b.c"}\n'], Problem.RECEIPT),
            (lambda lines: [*lines, b"[" * 100_000], Problem.CHANGED),
            (lambda lines: [*lines, b'{"instance": "broker", "replica": [], "seq": {}}\n'], Problem.CHANGED),
        ],
    )
    def test_what_is_done_to_an_export_shows(
        self, scene: Scene, signers: Signers, alter: Callable[[Lines], Lines], problem: Problem
    ) -> None:
        assert problem in self.found(scene, signers, alter)

    def test_an_older_receipt_beside_the_newest_hides_nothing(self, scene: Scene, signers: Signers) -> None:
        older = json.dumps({"receipt": scene.receipt(lines=scene.lines()[:2])}).encode()
        assert self.found(scene, signers, lambda lines: [*lines[:3], lines[-1], older]) == {Problem.MISSING}

    def test_a_folder_is_checked_with_the_keys_that_came_with_it(
        self, scene: Scene, signers: Signers, tmp_path: Path
    ) -> None:
        copy = shutil.copytree(scene.path.parent, tmp_path / "copy")
        assert check(copy, signers=signers, now=LATER) == []
        (copy / "broker.jsonl").write_bytes(b"".join(forged(scene.lines(), 2, task="forged")))
        assert {finding.problem for finding in check(copy, signers=signers)} == {Problem.CHANGED}
