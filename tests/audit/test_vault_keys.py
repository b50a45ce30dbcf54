"""The vault's keys: replaced while it is in use, lost, altered, kept elsewhere; and what a deletion leaves behind."""

import base64
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stead.identity import vaults
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.home import Home
from stead.identity.transit import TransitKeys
from stead.identity.values import RefreshToken
from stead.identity.vault import Vault
from stead.identity.vault_keys import LocalKeys, Wrapped
from stead.identity.vault_older import Older
from stead.identity.vaults import VaultSettings, open_vault
from tests.parts import transit

ALICE = "http://127.0.0.2:1|alice"
NAME = "broker-vault"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def vault(home: Home) -> Iterator[Vault]:
    vault = open_vault(home, VaultSettings(), NAME)
    yield vault
    vault.close()


def rows(path: Path, table: str) -> list[tuple[bytes, ...]]:
    database = sqlite3.connect(path)
    try:
        return database.execute(f"SELECT * FROM {table}").fetchall()
    finally:
        database.close()


def files(home: Home) -> bytes:
    return b"".join(path.read_bytes() for path in home.folder("data").iterdir())


class TestRotation:
    def test_a_rotation_goes_on_beneath_a_vault_in_use(self, home: Home, vault: Vault) -> None:
        for number in range(20):
            vault.put(ALICE, f"t{number}", "subject", b"kept %d" % number)
        before = dict(vault.wrapped_by())
        done = vaults.rotate(home, VaultSettings(), NAME)
        assert (done.moved, done.left) == (21, 0), "twenty tasks and the naming key"
        assert set(vault.wrapped_by()) == {done.current}
        assert done.current not in before
        vault.put(ALICE, "new", "subject", b"later")
        again = open_vault(home, VaultSettings(), NAME)
        assert [again.get(ALICE, f"t{number}", "subject") for number in range(20)] == [
            b"kept %d" % number for number in range(20)
        ]
        assert again.get(ALICE, "new", "subject") == b"later"
        again.close()

    def test_the_old_key_is_gone_after_it(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"x")
        old = home.secrets(NAME)
        vaults.rotate(home, VaultSettings(), NAME)
        assert len(home.secrets(NAME)) == 1
        assert home.secrets(NAME) != old
        assert home.first_secret(NAME) is None

    def test_entries_are_not_touched(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"x")
        path = home.database(NAME)
        entries, keys = rows(path, "entries"), rows(path, "data_keys")
        vaults.rotate(home, VaultSettings(), NAME)
        assert rows(path, "entries") == entries
        assert not {row[2] for row in rows(path, "data_keys")} & {row[2] for row in keys}

    @pytest.mark.parametrize("crash_after", [0, 1, 3, 5])
    def test_a_crash_in_the_middle_loses_nothing_and_can_be_resumed(self, home: Home, crash_after: int) -> None:
        vault = open_vault(home, VaultSettings(), NAME)
        for number in range(5):
            vault.put(ALICE, f"t{number}", "subject", b"kept %d" % number)
        vault.close()
        home.renew_secret(NAME)
        dying = Vault(home.database(NAME), _Dying(lambda: home.secrets(NAME), NAME, crash_after))
        with pytest.raises(KeyboardInterrupt):
            dying.rotate()
        dying.close()
        after = open_vault(home, VaultSettings(), NAME)
        assert len(after.wrapped_by()) == (1 if crash_after == 0 else 2)
        assert [after.get(ALICE, f"t{number}", "subject") for number in range(5)] == [
            b"kept %d" % number for number in range(5)
        ]
        assert len(home.secrets(NAME)) == 2, "the old key is not retired while something needs it"
        done = vaults.rotate(home, VaultSettings(), NAME, fresh=False)
        assert (done.moved, done.left) == (6 - crash_after, 0)
        assert len(home.secrets(NAME)) == 1
        after.close()

    def test_keys_of_a_file_and_of_the_environment_are_replaced_by_whoever_keeps_them(
        self, home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = (base64.b64encode(os.urandom(32)).decode() for _ in range(2))
        key_file = tmp_path / "vault-keys"
        key_file.write_text(f"{old}\n")
        settings = VaultSettings(keys="file", key_file=key_file)
        vault = open_vault(home, settings, NAME)
        vault.put(ALICE, "t", "subject", b"x")
        key_file.write_text(f"{new}\n{old}\n")
        assert vaults.rotate(home, settings, NAME).left == 0
        key_file.write_text(f"{new}\n")
        assert vault.get(ALICE, "t", "subject") == b"x"
        vault.close()
        monkeypatch.setenv("STEAD_VAULT_KEYS", f"{new},{old}")
        by_environment = open_vault(home, VaultSettings(keys="environment"), NAME)
        assert by_environment.get(ALICE, "t", "subject") == b"x"
        by_environment.close()


class _Dying(LocalKeys):
    """Keys of a process that dies at its n-th wrapping."""

    def __init__(self, keys: object, purpose: str, wrappings: int) -> None:
        super().__init__(keys, purpose)  # type: ignore[arg-type]
        self._left = wrappings

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        if self._left == 0:
            raise KeyboardInterrupt
        self._left -= 1
        return super().wrap(key, context)


class TestWrongKeys:
    def test_a_lost_key_is_named_and_so_is_what_to_do(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"x")
        [by] = vault.wrapped_by()
        home.renew_secret(NAME)
        home.retire_secrets(NAME)
        lost = open_vault(home, VaultSettings(), NAME)
        with pytest.raises(ConfigurationError) as refused:
            lost.get(ALICE, "t", "subject")
        assert by in refused.value.description
        assert refused.value.hint
        lost.close()

    def test_two_vaults_with_the_same_keys_do_not_open_each_other(self, home: Home, tmp_path: Path) -> None:
        key_file = tmp_path / "keys"
        key_file.write_text(base64.b64encode(bytes(range(32))).decode())
        settings = VaultSettings(keys="file", key_file=key_file)
        one = Vault(home.database("x"), settings.service(home, "broker-vault"))
        one.put(ALICE, "t", "subject", b"x")
        other = Vault(home.database("x"), settings.service(home, "web-vault"))
        with pytest.raises(ConfigurationError):
            other.get(ALICE, "t", "subject")
        one.close()
        other.close()

    @pytest.mark.parametrize("content", ["", "c2hvcnQ=", "not base64!"])
    def test_a_poor_file_of_keys_is_refused_and_not_quoted(self, home: Home, tmp_path: Path, content: str) -> None:
        key_file = tmp_path / "keys"
        key_file.write_text(content)
        vault = open_vault(home, VaultSettings(keys="file", key_file=key_file), NAME)
        with pytest.raises(ConfigurationError) as refused:
            vault.put(ALICE, "t", "subject", b"x")
        assert not content or content not in f"{refused.value.description} {refused.value.hint}"
        vault.close()

    @pytest.mark.parametrize(
        "wrong",
        [
            {"keys": "file"},
            {"keys": "transit", "transit_url": "https://keys.example"},
            {"keys": "transit", "transit_url": "http://keys.example", "transit_token_file": "/t"},
            {"keys": "paper"},
        ],
    )
    def test_half_a_configuration_is_refused(self, wrong: dict[str, str]) -> None:
        with pytest.raises(ValueError, match=r"key|https"):
            VaultSettings.model_validate(wrong)

    def test_an_entry_moved_to_another_name_or_task_opens_nothing(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"subject")
        vault.put(ALICE, "t", "bank", b"bank")
        database = sqlite3.connect(home.database(NAME))
        sealed = dict(database.execute("SELECT name, sealed FROM entries"))
        database.execute("UPDATE entries SET sealed = ? WHERE name = 'bank'", (sealed["subject"],))
        database.commit()
        database.close()
        with pytest.raises(ConfigurationError):
            vault.get(ALICE, "t", "bank")

    def test_a_data_key_moved_to_another_task_opens_nothing(self, home: Home, vault: Vault) -> None:
        for task in ("t", "u"):
            vault.put(ALICE, task, "subject", task.encode())
        database = sqlite3.connect(home.database(NAME))
        keys = [row for row in database.execute("SELECT place, wrapped FROM data_keys") if row[0] != b"naming"]
        for (place, _), (_, wrapped) in zip(keys, reversed(keys), strict=True):
            database.execute("UPDATE data_keys SET wrapped = ? WHERE place = ?", (wrapped, place))
        database.commit()
        database.close()
        fresh = open_vault(home, VaultSettings(), NAME)
        for task in ("t", "u"):
            with pytest.raises(ConfigurationError):
                fresh.get(ALICE, task, "subject")
        fresh.close()

    def test_a_data_key_moved_beneath_a_vault_in_use_keeps_nothing(self, home: Home, vault: Vault) -> None:
        """Else the secrets of one task would be sealed by another's key, and outlive their own."""
        for task in ("t", "u"):
            vault.put(ALICE, task, "subject", task.encode())
        database = sqlite3.connect(home.database(NAME))
        keys = [row for row in database.execute("SELECT place, wrapped FROM data_keys") if row[0] != b"naming"]
        (_, wrapped), (place, _) = keys
        database.execute("UPDATE data_keys SET wrapped = ? WHERE place = ?", (wrapped, place))
        database.commit()
        database.close()
        refused = []
        for task in ("t", "u"):
            try:
                vault.put(ALICE, task, "later", b"x")
            except ConfigurationError:
                refused.append(task)
        assert len(refused) == 1


class TestDeletion:
    def test_the_key_of_an_ended_task_is_in_no_file_any_more(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", RefreshToken("x" * 40))
        vault.put(ALICE, "other", "subject", b"y")
        before = {row[2] for row in rows(home.database(NAME), "data_keys")}
        entry = {row[2] for row in rows(home.database(NAME), "entries")}
        vault.forget(ALICE, "t")
        kept = {row[2] for row in rows(home.database(NAME), "data_keys")}
        [shredded] = before - kept
        [deleted] = entry - {row[2] for row in rows(home.database(NAME), "entries")}
        assert shredded not in files(home)
        assert deleted not in files(home)

    def test_a_copy_of_the_entries_opens_nothing_once_the_key_is_gone(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"x")
        copied = rows(home.database(NAME), "entries")
        vault.forget(ALICE, "t", "subject")
        database = sqlite3.connect(home.database(NAME))
        database.executemany("INSERT INTO entries VALUES (?, ?, ?)", copied)
        database.commit()
        database.close()
        with pytest.raises(ConfigurationError, match="lost its key"):
            vault.get(ALICE, "t", "subject")

    def test_a_replica_that_remembers_the_key_does_not_use_it_on(self, home: Home, vault: Vault) -> None:
        replica = open_vault(home, VaultSettings(), NAME)
        vault.put(ALICE, "t", "subject", b"first")
        assert replica.get(ALICE, "t", "subject") == b"first"
        vault.forget(ALICE, "t")
        assert replica.get(ALICE, "t", "subject") is None
        vault.put(ALICE, "t", "subject", b"second")
        assert replica.get(ALICE, "t", "subject") == b"second"
        replica.put(ALICE, "t", "bank", b"third")
        assert vault.get(ALICE, "t", "bank") == b"third"
        replica.close()

    def test_no_plain_key_lies_in_a_database(self, home: Home, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"x")
        wrapped: list[Any] = rows(home.database(NAME), "data_keys")
        plain = [vault.keys.unwrap(Wrapped(by, sealed), place) for place, by, sealed in wrapped]
        assert len(plain) == 2
        assert not any(key in files(home) for key in (*plain, *home.secrets(NAME)))


class TestOlder:
    """Files from before there were data keys."""

    @pytest.fixture
    def path(self, home: Home) -> Path:
        path = home.database(NAME)
        database = sqlite3.connect(path)
        database.execute("CREATE TABLE secrets (place BLOB, name TEXT, sealed BLOB, PRIMARY KEY (place, name))")
        older = Older(database, home.secret(NAME))
        for task in ("t", "u"):
            key, place = older._derive(ALICE, task)
            for name in ("subject", "bank"):
                nonce = os.urandom(12)
                sealed = nonce + AESGCM(key).encrypt(nonce, f"{task} {name}".encode(), name.encode())
                database.execute("INSERT INTO secrets VALUES (?, ?, ?)", (place, name, sealed))
        database.commit()
        database.close()
        return path

    def test_what_lies_in_an_older_file_is_read_and_moved(self, path: Path, vault: Vault) -> None:
        assert vault.older == 4
        assert vault.get(ALICE, "t", "subject") == b"t subject"
        assert vault.older == 2
        assert (vault.get(ALICE, "t", "bank"), vault.get(ALICE, "t", "absent")) == (b"t bank", None)

    def test_putting_and_forgetting_know_the_older_file_too(self, path: Path, vault: Vault) -> None:
        vault.put(ALICE, "t", "subject", b"newer")
        assert (vault.get(ALICE, "t", "subject"), vault.get(ALICE, "t", "bank")) == (b"newer", b"t bank")
        vault.forget(ALICE, "u")
        assert (vault.older, vault.get(ALICE, "u", "bank")) == (0, None)

    def test_its_secret_is_not_retired_while_something_needs_it(self, path: Path, home: Home, vault: Vault) -> None:
        vault.get(ALICE, "t", "subject")
        vaults.rotate(home, VaultSettings(), NAME)
        assert home.first_secret(NAME) is not None
        assert vault.get(ALICE, "u", "subject") == b"u subject"
        vaults.rotate(home, VaultSettings(), NAME, fresh=False)
        assert home.first_secret(NAME) is None


class TestKeyService:
    """Wrapped by a service on the wire, in the transit engine's format."""

    @pytest.fixture
    def service(self) -> Iterator[transit.Transit]:
        with transit.serving() as service:
            yield service

    @pytest.fixture
    def settings(self, service: transit.Transit, tmp_path: Path) -> VaultSettings:
        token = tmp_path / "token"
        token.write_text(f"{transit.TOKEN}\n")
        return VaultSettings(keys="transit", transit_url=service.url, transit_token_file=token)

    @pytest.fixture
    def remote(self, home: Home, settings: VaultSettings) -> Iterator[Vault]:
        vault = open_vault(home, settings, NAME)
        yield vault
        vault.close()

    def test_the_service_sees_data_keys_and_never_a_secret(self, service: transit.Transit, remote: Vault) -> None:
        remote.put(ALICE, "t", "subject", RefreshToken("canary" * 10))
        assert remote.get(ALICE, "t", "subject") == b"canary" * 10
        sent = repr(service.requests)
        assert base64.b64encode(b"canary" * 10).decode()[:-4] not in sent
        assert "alice" not in sent
        assert not any("canary" in path for path, _ in service.requests)

    def test_its_key_is_rotated_there_and_followed_here(
        self, service: transit.Transit, home: Home, settings: VaultSettings, remote: Vault
    ) -> None:
        remote.put(ALICE, "t", "subject", b"x")
        service.rotate()
        done = vaults.rotate(home, settings, NAME)
        assert (done.current, done.moved, done.left) == ("stead:v2", 2, 0)
        assert remote.get(ALICE, "t", "subject") == b"x"

    def test_a_wrapped_key_is_bound_to_its_place(
        self, service: transit.Transit, tmp_path: Path, settings: VaultSettings
    ) -> None:
        with TransitKeys(service.url, "stead", tmp_path / "token", NAME) as keys:
            wrapped = keys.wrap(bytes(32), b"here")
            assert keys.unwrap(wrapped, b"here") == bytes(32)
            with pytest.raises(ConfigurationError):
                keys.unwrap(wrapped, b"there")
            with pytest.raises(ConfigurationError):
                keys.unwrap(Wrapped("other:v1", wrapped.sealed), b"here")

    @pytest.mark.parametrize(("status", "error"), [(403, ConfigurationError), (503, ProviderUnavailable)])
    def test_a_service_that_refuses_or_is_away_is_told_apart(
        self, service: transit.Transit, remote: Vault, status: int, error: type[Exception]
    ) -> None:
        service.status = status
        with pytest.raises(error) as refused:
            remote.put(ALICE, "t", "subject", b"x")
        assert transit.TOKEN not in repr(refused.value)

    def test_a_service_that_is_gone_is_a_typed_error(self, home: Home, tmp_path: Path) -> None:
        token = tmp_path / "token"
        token.write_text("t")
        settings = VaultSettings(keys="transit", transit_url="http://127.0.0.1:9", transit_token_file=token)
        vault = open_vault(home, settings, NAME)
        with pytest.raises(ProviderUnavailable):
            vault.put(ALICE, "t", "subject", b"x")
        vault.close()
