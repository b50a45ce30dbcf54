"""The vault: nobody reads a secret from its file, and nobody gets another's."""

import base64
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.values import RefreshToken
from stead.identity.vault import Vault

SECRET = bytes(range(32))
ALICE, BOB = "http://127.0.0.2:1|alice", "http://127.0.0.2:1|bob"


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    vault = Vault(tmp_path / "vault.db", SECRET)
    yield vault
    vault.close()


def test_what_is_put_is_got(vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", RefreshToken("first"))
    vault.put(ALICE, "t", "subject", b"second")
    assert vault.get(ALICE, "t", "subject") == b"second"
    assert vault.get(ALICE, "t", "bank") is None


def test_another_person_task_or_name_gets_nothing(vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", b"secret")
    assert vault.get(BOB, "t", "subject") is None
    assert vault.get(ALICE, "u", "subject") is None
    assert vault.get(ALICE, "t", "other") is None


def test_forgetting_a_task_deletes_all_of_it_and_nothing_else(vault: Vault) -> None:
    for owner, task, name in ((ALICE, "t", "a"), (ALICE, "t", "b"), (ALICE, "u", "a"), (BOB, "t", "a")):
        vault.put(owner, task, name, b"x")
    vault.forget(ALICE, "t")
    vault.forget(ALICE, "t")
    left = [vault.get(owner, task, "a") for owner, task in ((ALICE, "t"), (ALICE, "u"), (BOB, "t"))]
    assert left == [None, b"x", b"x"]
    assert vault.get(ALICE, "t", "b") is None


def test_one_name_can_be_forgotten(vault: Vault) -> None:
    vault.put(ALICE, "t", "a", b"x")
    vault.put(ALICE, "t", "b", b"x")
    vault.forget(ALICE, "t", "a")
    assert (vault.get(ALICE, "t", "a"), vault.get(ALICE, "t", "b")) == (None, b"x")


def test_a_dump_of_the_files_shows_no_token_and_no_person(tmp_path: Path) -> None:
    token = "canary-" + "tOkEn" * 12
    vault = Vault(tmp_path / "vault.db", SECRET)
    vault.put(ALICE, "task-77", "subject", RefreshToken(token))
    dump = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    vault.forget(ALICE, "task-77")
    vault.close()
    dump += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    raw = token.encode()
    forms = [
        raw,
        base64.b64encode(raw)[:-4],
        base64.urlsafe_b64encode(raw)[:-4],
        raw.hex().encode(),
        zlib.compress(raw),
    ]
    assert not any(form in dump for form in [*forms, raw[::-1], b"alice", b"task-77"])


def test_an_entry_moved_to_another_task_cannot_be_unsealed(vault: Vault, tmp_path: Path) -> None:
    vault.put(ALICE, "t", "subject", b"hers")
    vault.put(BOB, "t", "subject", b"his")
    with sqlite3.connect(tmp_path / "vault.db") as database:
        first, second = (row[0] for row in database.execute("SELECT sealed FROM entries ORDER BY place"))
        database.execute("UPDATE entries SET sealed = CASE sealed WHEN ? THEN ? ELSE ? END", (first, second, first))
    database.close()
    for owner in (ALICE, BOB):
        with pytest.raises(ConfigurationError):
            vault.get(owner, "t", "subject")


def test_another_secret_unseals_nothing(vault: Vault, tmp_path: Path) -> None:
    vault.put(ALICE, "t", "subject", b"hers")
    other = Vault(tmp_path / "vault.db", bytes(32))
    with pytest.raises(ConfigurationError, match="not at hand") as refused:
        other.get(ALICE, "t", "subject")
    assert "Put that key back" in str(refused.value.hint)
    other.close()


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError):
        Vault(tmp_path / "vault.db", b"short")


def test_the_file_is_the_owners_alone_and_survives_a_restart(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "deep" / "vault.db", SECRET)
    vault.put(ALICE, "t", "n", b"x")
    vault.close()
    again = Vault(tmp_path / "deep" / "vault.db", SECRET)
    assert again.get(ALICE, "t", "n") == b"x"
    assert (tmp_path / "deep" / "vault.db").stat().st_mode & 0o077 == 0
    again.close()


def test_threads_may_share_a_vault(vault: Vault) -> None:
    def work(number: int) -> None:
        for _ in range(10):
            vault.put(ALICE, f"t{number}", "n", str(number).encode())
            assert vault.get(ALICE, f"t{number}", "n") == str(number).encode()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [vault.get(ALICE, f"t{number}", "n") for number in range(6)] == [str(n).encode() for n in range(6)]


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.text("ab|", max_size=4), st.text("ab|", max_size=4)), min_size=2, max_size=2, unique=True))
def test_no_two_pairs_of_owner_and_task_are_confused(vault: Vault, pairs: list[tuple[str, str]]) -> None:
    for number, (owner, task) in enumerate(pairs):
        vault.put(owner, task, "n", bytes([number]))
    assert [vault.get(owner, task, "n") for owner, task in pairs] == [b"\0", b"\1"]


def test_a_full_disk_is_a_typed_error_and_loses_nothing(vault: Vault) -> None:
    vault.put(ALICE, "t", "subject", b"kept")
    with vault.file.reading() as database:
        most = database.execute("PRAGMA page_count").fetchone()[0]
        database.execute(f"PRAGMA max_page_count = {most}")
    with pytest.raises(ProviderUnavailable, match="cannot be written"):
        vault.put(ALICE, "u", "subject", bytes(100_000))
    assert vault.get(ALICE, "t", "subject") == b"kept"
    with vault.file.reading() as database:
        database.execute("PRAGMA max_page_count = 1000000")
    vault.put(ALICE, "u", "subject", bytes(100_000))
    assert vault.get(ALICE, "u", "subject") == bytes(100_000)


def test_a_file_that_is_no_vault_is_a_typed_error(tmp_path: Path) -> None:
    (tmp_path / "vault.db").write_bytes(b"this is no database, whatever its name says" * 100)
    with pytest.raises(ConfigurationError, match="damaged"):
        Vault(tmp_path / "vault.db", SECRET)


def test_a_damaged_file_is_a_typed_error(tmp_path: Path) -> None:
    vault = Vault(tmp_path / "vault.db", SECRET)
    for number in range(40):
        vault.put(ALICE, f"t{number}", "subject", bytes(2000))
    vault.close()
    content = (tmp_path / "vault.db").read_bytes()
    (tmp_path / "vault.db").write_bytes(content[:4096] + b"x" * (len(content) - 4096))
    damaged = Vault(tmp_path / "vault.db", SECRET)
    with pytest.raises((ConfigurationError, ProviderUnavailable)):
        damaged.get(ALICE, "t1", "subject")
    damaged.close()
