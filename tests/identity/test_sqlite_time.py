"""DBOS's timestamps on an SQLite that does not know `unixepoch('subsec')`."""

import sqlite3
import time

import pytest

from stead.identity.sqlite_time import unixepoch


def test_an_old_sqlite_is_given_a_present_moment_with_a_fraction() -> None:
    with sqlite3.connect(":memory:") as database:
        database.create_function("unixepoch", -1, unixepoch)
        database.execute("CREATE TABLE rows (id INTEGER, stamp INTEGER NOT NULL DEFAULT (unixepoch('subsec') * 1000))")
        database.execute("INSERT INTO rows (id) VALUES (1)")
        (stamp,) = database.execute("SELECT stamp FROM rows").fetchone()
    database.close()
    assert abs(stamp - time.time() * 1000) < 60_000


def test_it_does_not_pretend_to_know_another_moment() -> None:
    with pytest.raises(ValueError, match="present"):
        unixepoch("2020-01-01")
