"""One-time codes as RFC 6238 counts them, each once, from a secret that only its server can read."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from stead.demo.network.addresses import network_of
from stead.demo.network.providers import corporate_seed
from stead.identity.home import Home
from stead.identity.samples import ALICE, CAROL, PERSONS, authenticator
from stead.identity.server import Seed, SeedPerson, ServerSettings, seed
from stead.identity.server.authenticators import spend_code, unspent_code
from stead.identity.server.browser import current_session
from stead.identity.server.store import Store, digest
from tests.server.racing import Racing, within
from tests.server.stepping_up import code_of

SECRET = b"12345678901234567890"
NOON = 1_800_000_000
COOKIE = "an-old-browser-s-cookie"


def people(*secrets: bytes | None) -> Seed:
    named = zip(("alice", "carol"), secrets, strict=False)
    return Seed(tuple(SeedPerson(name, name, name.title(), "x", authenticator=secret) for name, secret in named))


@pytest.fixture
def settings(tmp_path: Path) -> ServerSettings:
    return ServerSettings("http://127.0.0.1:9", "FinPort", "corporate", Home(tmp_path / "home"), "issuer-corporate")


@pytest.fixture
def store(settings: ServerSettings) -> Iterator[Store]:
    seed(settings, people(SECRET, b"x" * 20))
    one = Store(settings.path)
    with one.transaction():
        yield one
    one.close()


@pytest.mark.parametrize(
    ("now", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (2000000000, "279037")],
)
def test_codes_are_those_of_rfc_6238(store: Store, settings: ServerSettings, now: int, code: str) -> None:
    assert unspent_code(store, settings, "alice", now) == code
    assert spend_code(store, settings, "alice", f"{code[:3]} {code[3:]}", now)


@pytest.mark.parametrize(("steps", "counts"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_early_or_late(
    store: Store, settings: ServerSettings, steps: int, counts: bool
) -> None:
    assert spend_code(store, settings, "alice", code_of(SECRET, NOON + 30 * steps), NOON) is counts


def test_a_spent_code_and_those_before_it_are_spent_for_good(store: Store, settings: ServerSettings) -> None:
    codes = [code_of(SECRET, NOON + 30 * step) for step in (-1, 0, 1)]
    assert spend_code(store, settings, "alice", codes[1], NOON)
    assert [spend_code(store, settings, "alice", code, NOON) for code in codes] == [False, False, True]
    assert unspent_code(store, settings, "alice", NOON) is None
    assert unspent_code(store, settings, "alice", NOON + 30) == code_of(SECRET, NOON + 60)


def test_code_replay_of_two_processes_that_are_shown_one_code_at_once_one_takes_it(settings: ServerSettings) -> None:
    seed(settings, people(SECRET))

    def use(at: Store) -> bool:
        return spend_code(at, settings, "alice", code_of(SECRET, NOON), NOON)

    won: list[bool] = []
    first = Store(settings.path)
    second = Racing(settings.path, lambda: won.append(within(first, use)))
    won.append(within(second, use))
    for store in (first, second):
        store.close()
    assert won == [True, False]


def test_what_was_spent_stays_spent_when_the_people_are_seeded_again(tmp_path: Path, settings: ServerSettings) -> None:
    code = code_of(SECRET, NOON)
    for expected in (True, False):
        seed(settings, people(SECRET))
        store = Store(settings.path)
        with store.transaction():
            assert spend_code(store, settings, "alice", code, NOON) is expected
        store.close()


@pytest.mark.parametrize("subject", ["nobody", "bob"])
def test_where_there_is_no_authenticator_no_code_is_right(settings: ServerSettings, subject: str) -> None:
    seed(settings, Seed((SeedPerson("bob", "bob", "Bob", "x"),)))
    store = Store(settings.path)
    with store.transaction():
        assert unspent_code(store, settings, subject, NOON) is None
        for code in ("", "000000", "None"):
            assert not spend_code(store, settings, subject, code, NOON)
    store.close()


def test_a_stolen_database_makes_no_codes(settings: ServerSettings, store: Store, tmp_path: Path) -> None:
    held = b"".join(path.read_bytes() for path in settings.path.parent.iterdir())
    assert SECRET not in held
    elsewhere = replace(settings, home=Home(tmp_path / "elsewhere"))
    assert not spend_code(store, elsewhere, "alice", code_of(SECRET, NOON), NOON)


def test_an_authenticator_put_in_another_person_s_row_makes_no_codes(settings: ServerSettings) -> None:
    seed(settings, people(SECRET, b"x" * 20))
    with closing(sqlite3.connect(settings.path)) as database, database:
        mine = "SELECT authenticator FROM persons WHERE subject = 'alice'"
        database.execute(f"UPDATE persons SET authenticator = ({mine}) WHERE subject = 'carol'")
    store = Store(settings.path)
    with store.transaction():
        assert spend_code(store, settings, "alice", code_of(SECRET, NOON), NOON)
        assert not spend_code(store, settings, "carol", code_of(SECRET, NOON), NOON)
    store.close()


def test_sample_secrets_are_the_same_in_one_state_directory_and_others_elsewhere(tmp_path: Path) -> None:
    here, there = Home(tmp_path / "here"), Home(tmp_path / "there")
    made = [authenticator(person, home) for person in (ALICE, CAROL) for home in (here, there)]
    assert len(set(made)) == 4
    assert authenticator(ALICE, Home(tmp_path / "here")) == made[0]
    assert {len(secret) for secret in made} == {20}


def test_every_sample_person_of_finport_has_an_authenticator_of_their_own(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    network = network_of(home)
    persons = corporate_seed(home, network, network.corporate_idp).persons
    assert {one.authenticator for one in persons} == {authenticator(one, home) for one in PERSONS}
    assert len(persons) == len({one.authenticator for one in persons}) == len(PERSONS)


def test_a_database_of_an_earlier_release_is_brought_up_to_date_and_its_sessions_go_on(
    settings: ServerSettings,
) -> None:
    with closing(sqlite3.connect(settings.path)) as database, database:
        database.execute(
            "CREATE TABLE sessions (digest VARCHAR PRIMARY KEY, sid VARCHAR NOT NULL UNIQUE, subject VARCHAR NOT NULL, "
            "auth_time INTEGER NOT NULL, expires FLOAT NOT NULL, ended FLOAT)"
        )
        row = (digest(COOKIE), "s", "alice", NOON, NOON + 60)
        database.execute("INSERT INTO sessions VALUES (?, ?, ?, ?, ?, NULL)", row)
    for _ in range(2):
        seed(settings, people(SECRET))
    store = Store(settings.path)
    with store.transaction():
        session = current_session(store, COOKIE, NOON)
    store.close()
    assert session is not None
    assert (session.sid, session.acr, session.amr) == ("s", "urn:stead:acr:pwd", ("pwd",))
