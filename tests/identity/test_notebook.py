"""The notebook of who is signed out: shared, bounded, and kept as long as it matters."""

from pathlib import Path

import pytest

from stead.identity.signals import notebook
from stead.identity.signals.notebook import Ended, Notebook
from stead.identity.signals.revoked import Revoked

ISSUER = "https://as.example"


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def book(tmp_path: Path, clock: Clock) -> Notebook:
    return Notebook(tmp_path / "signed-out.db", clock)


def test_what_is_noted_is_read_by_everybody_and_seen_as_new(tmp_path: Path, clock: Clock, book: Notebook) -> None:
    other = Notebook(tmp_path / "signed-out.db", clock)
    edition = other.edition
    assert book.hear("m-1", Ended(ISSUER, 900.0, "s-1", "alice"), until=2_000, keep=300)
    assert other.edition != edition
    assert other.revoked(ISSUER) == Revoked(frozenset({"s-1"}), sessionless={"alice": 900.0})
    assert not other.hear("m-1", Ended(ISSUER, 900.0, "s-2"), until=2_000, keep=300)
    assert other.revoked(ISSUER).sessions == {"s-1"}


def test_the_latest_word_on_a_person_counts_and_another_issuer_s_does_not(book: Notebook) -> None:
    for at in (800.0, 900.0, 850.0):
        book.note(Ended(ISSUER, at, None, "alice"), keep=300)
    book.note(Ended("https://other.example", 999.0, None, "alice"), keep=300)
    assert book.revoked(ISSUER).subjects == {"alice": 900.0}


def test_what_no_token_can_be_of_any_more_is_forgotten(book: Notebook, clock: Clock) -> None:
    book.hear("m-1", Ended(ISSUER, 900.0, "s-1"), until=1_100, keep=300)
    clock.now = 1_301
    assert book.revoked(ISSUER) == Revoked()
    assert book.hear("m-1", Ended(ISSUER, 1_300.0, "s-2"), until=1_400, keep=300)
    assert book.revoked(ISSUER).sessions == {"s-2"}


def test_what_is_one_too_many_to_be_kept_by_name_is_still_over(book: Notebook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notebook, "MAX_NAMED", 2)
    for number in range(5):
        book.note(Ended(ISSUER, 900.0 + number, f"s-{number}", f"p-{number}"), keep=300)
    known = book.revoked(ISSUER)
    assert known.sessions == {"s-3", "s-4"}
    assert known.before == 902.0
    assert all(known.covers_login(f"s-{number}", (), 900.0 + number) for number in range(5))
    assert not known.covers_login("s-9", ("p-9",), 903.0)


def test_what_cannot_be_written_whole_is_not_written(book: Notebook) -> None:
    with pytest.raises(Exception, match="NOT NULL"):
        book.hear("m-1", Ended(None, 900.0, "s-1"), until=2_000, keep=300)  # type: ignore[arg-type]
    assert book.hear("m-1", Ended(ISSUER, 900.0, "s-1"), until=2_000, keep=300)
