"""Checking chains: whatever is done to a file shows."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from joserfc.jwk import ECKey

from stead.identity.audit.chain import acknowledgement
from stead.identity.audit.check import Problem, check
from stead.identity.audit.event import genesis, seal, unseal
from stead.identity.audit.heads import Head, read, sign
from stead.identity.audit.journal import Journal
from stead.identity.errors import InvalidToken

Lines = list[bytes]


@pytest.fixture
def chain(tmp_path: Path) -> Path:
    journal = Journal(tmp_path, "broker")
    for number in range(6):
        journal.bind("a" * 16, f"t{number}")
    journal.close()
    return journal.path


def problems(path: Path) -> set[Problem]:
    return {finding.problem for finding in check(path.parent)}


def altered(path: Path, alter: Callable[[Lines], Lines]) -> Path:
    path.write_bytes(b"".join(alter(path.read_bytes().splitlines(keepends=True))))
    return path


def test_a_whole_chain_has_no_findings(chain: Path) -> None:
    assert check(chain.parent) == []


def test_a_changed_line_shows_with_its_place(chain: Path) -> None:
    altered(chain, lambda lines: [line.replace(b"t2", b"t9") for line in lines])
    [finding] = check(chain.parent)
    assert (finding.problem, finding.line, finding.chain) == (Problem.CHANGED, 3, "broker.jsonl")
    assert str(finding).startswith("broker.jsonl:3: changed: ")


def test_a_line_written_anew_with_a_true_hash_shows(chain: Path) -> None:
    def forge(lines: Lines) -> Lines:
        values = unseal(lines[2]).as_json()
        values.pop("hash")
        return [*lines[:2], seal({**values, "task": "forged"})[0], *lines[3:]]

    altered(chain, forge)
    [finding] = check(chain.parent)
    assert (finding.problem, finding.line) == (Problem.CHANGED, 4)


def test_a_removed_line_shows(chain: Path) -> None:
    assert problems(altered(chain, lambda lines: [*lines[:2], *lines[3:]])) == {Problem.MISSING}


def test_removed_first_lines_show(chain: Path) -> None:
    assert problems(altered(chain, lambda lines: lines[2:])) == {Problem.MISSING}


def test_exchanged_lines_show(chain: Path) -> None:
    swapped = altered(chain, lambda lines: [*lines[:1], lines[2], lines[1], *lines[3:]])
    assert problems(swapped) == {Problem.REORDERED}


def test_a_repeated_line_shows(chain: Path) -> None:
    assert problems(altered(chain, lambda lines: [*lines, lines[-1]])) == {Problem.REPEATED}


def test_another_instances_line_shows(chain: Path) -> None:
    def mix(lines: Lines) -> Lines:
        foreign = {"seq": 7, "time": 1.0, "instance": "web", "replica": 0, "kind": "task", "hop": "b", "prev": "c"}
        return [*lines, seal(foreign)[0]]

    assert problems(altered(chain, mix)) == {Problem.FOREIGN}


def test_an_absurd_number_is_found_without_counting_to_it(chain: Path) -> None:
    def jump(lines: Lines) -> Lines:
        last = unseal(lines[-1])
        far = {**last.as_json(), "seq": 2**50, "prev": last.hash}
        far.pop("hash")
        return [*lines, seal(far)[0]]

    assert problems(altered(chain, jump)) == {Problem.MISSING}


def test_a_line_that_is_just_being_written_is_not_torn(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "broker")
    journal.bind("a" * 16, "t")
    journal.flush()
    with journal.path.open("ab") as file:
        file.write(b'{"seq":2')
    assert check(tmp_path) == []
    journal.close()
    assert problems(journal.path) == {Problem.TORN}


class TestReceipts:
    """A file alone does not show that its end is gone."""

    key = ECKey.generate_key("P-256", {"kid": "k"})

    def receive(self, chain: Path, seq: int, digest: str | None = None, replica: int = 0) -> None:
        known = unseal(chain.read_bytes().splitlines(keepends=True)[seq - 1])
        receipt = sign(Head("broker", replica, seq, digest or known.hash), self.key)
        acknowledgement(chain).write_text(json.dumps({"seq": seq, "offset": 0, "receipt": receipt}))

    def found(self, chain: Path) -> set[Problem]:
        return {finding.problem for finding in check(chain.parent, key=self.key)}

    def test_a_chain_with_its_receipt_is_whole(self, chain: Path) -> None:
        self.receive(chain, 4)
        assert self.found(chain) == set()

    def test_a_cut_tail_shows(self, chain: Path) -> None:
        self.receive(chain, 6)
        altered(chain, lambda lines: lines[:4])
        assert problems(chain) == set()
        assert self.found(chain) == {Problem.MISSING}

    def test_a_chain_written_anew_shows(self, chain: Path) -> None:
        self.receive(chain, 6)
        chain.unlink()
        journal = Journal(chain.parent, "broker")
        for _ in range(8):
            journal.bind("a" * 16, "other")
        journal.close()
        assert self.found(chain) == {Problem.CHANGED}

    def test_a_chain_that_vanished_shows(self, chain: Path) -> None:
        self.receive(chain, 6)
        chain.unlink()
        assert self.found(chain) == {Problem.MISSING}

    def test_a_receipt_of_another_chain_shows(self, chain: Path) -> None:
        self.receive(chain, 6, replica=1)
        assert self.found(chain) == {Problem.RECEIPT}

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"receipt": "a.b.c"}', '{"receipt": 5}'])
    def test_a_false_receipt_shows(self, chain: Path, content: str) -> None:
        acknowledgement(chain).write_text(content)
        assert self.found(chain) == {Problem.RECEIPT}

    def test_a_head_signed_by_another_key_is_refused(self) -> None:
        other = ECKey.generate_key("P-256", {"kid": "k"})
        with pytest.raises(InvalidToken):
            read(sign(Head("broker", 0, 1, genesis("broker", 0)), other), self.key)
