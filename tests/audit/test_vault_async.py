"""The vault in an event loop: a key service that hangs, fails or is away delays and harms nobody but who needs it."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from stead.identity import vault_async, vaults
from stead.identity.errors import ConfigurationError, ProviderUnavailable
from stead.identity.home import Home
from stead.identity.vault import Vault
from stead.identity.vault_async import AsyncVault
from stead.identity.vault_keys import LocalKeys, Wrapped
from stead.identity.vaults import VaultSettings, open_vault
from tests.parts import transit

ALICE, BOB = "http://127.0.0.2:1|alice", "http://127.0.0.2:1|bob"
NAME = "broker-vault"


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


@pytest.fixture
def service() -> Iterator[transit.Transit]:
    with transit.serving() as service:
        yield service


@pytest.fixture
def settings(service: transit.Transit, tmp_path: Path) -> VaultSettings:
    token = tmp_path / "token"
    token.write_text(f"{transit.TOKEN}\n")
    return VaultSettings(keys="transit", transit_url=service.url, transit_token_file=token)


@pytest.fixture
async def vault(home: Home, settings: VaultSettings) -> AsyncIterator[AsyncVault]:
    vault = AsyncVault(open_vault(home, settings, NAME))
    yield vault
    await vault.close()


async def asked(service: transit.Transit, operation: str, times: int = 1) -> None:
    """Waits until the service was asked so often."""
    while sum(path.endswith(f"{operation}/stead") for path, _ in service.requests) < times:
        await asyncio.sleep(0.005)


class _Hanging(LocalKeys):
    """Keys at hand, of which the next wrapping waits until it may go on."""

    def __init__(self, home: Home) -> None:
        super().__init__(lambda: home.secrets(NAME), NAME)
        self.hangs = False
        self.begun, self.may_go_on = threading.Event(), threading.Event()

    def wrap(self, key: bytes, context: bytes) -> Wrapped:
        wrapped = super().wrap(key, context)
        if self.hangs:
            self.hangs = False
            self.begun.set()
            self.may_go_on.wait(20)
        return wrapped


class _Broken(LocalKeys):
    """Keys whose failing tells them."""

    def unwrap(self, wrapped: Wrapped, context: bytes) -> bytes:
        raise RuntimeError(f"no way to unwrap {super().unwrap(wrapped, context)!r}")


class TestHanging:
    async def test_a_key_service_that_hangs_delays_nothing_else(
        self, home: Home, settings: VaultSettings, service: transit.Transit, vault: AsyncVault
    ) -> None:
        await vault.put(BOB, "t", "subject", b"his")
        fresh = AsyncVault(open_vault(home, settings, NAME))
        await fresh.put(ALICE, "t", "subject", b"hers")
        service.answers.clear()
        sent = len(service.requests)
        hanging = [
            asyncio.create_task(vault.get(ALICE, "t", "subject")),
            asyncio.create_task(vault.put(ALICE, "new", "subject", b"later")),
        ]
        await asked(service, "decrypt")
        assert await vault.get(BOB, "t", "subject") == b"his"
        await vault.put(BOB, "t", "bank", b"also his")
        assert await vault.get(BOB, "t", "bank") == b"also his"
        await vault.forget(BOB, "t")
        await fresh.put(ALICE, "t", "bank", b"by another process")
        assert not any(one.done() for one in hanging)
        assert len(service.requests) - sent <= 2
        service.answers.set()
        assert await asyncio.gather(*hanging) == [b"hers", None]
        assert await vault.get(ALICE, "new", "subject") == b"later"
        await fresh.close()

    async def test_whoever_has_waited_long_enough_is_refused_and_may_come_again(
        self, home: Home, settings: VaultSettings, service: transit.Transit
    ) -> None:
        vault = AsyncVault(open_vault(home, settings, NAME), patience=0.05)
        service.answers.clear()
        with pytest.raises(ProviderUnavailable) as refused:
            await vault.put(ALICE, "t", "subject", b"hers")
        assert (refused.value.status, refused.value.code) == (503, "temporarily_unavailable")
        service.answers.set()
        with contextlib.suppress(ProviderUnavailable):
            await vault.put(ALICE, "t", "subject", b"hers")
        while await _tried(vault) != b"hers":
            await vault.put(ALICE, "t", "subject", b"hers")
        await vault.close()

    async def test_a_key_that_many_ask_for_is_asked_for_once(
        self, home: Home, settings: VaultSettings, service: transit.Transit, vault: AsyncVault
    ) -> None:
        await vault.put(ALICE, "t", "subject", b"hers")
        other = AsyncVault(open_vault(home, settings, NAME))
        service.answers.clear()
        many = [asyncio.create_task(other.get(ALICE, "t", "subject")) for _ in range(50)]
        await asked(service, "decrypt")
        service.answers.set()
        assert set(await asyncio.gather(*many)) == {b"hers"}
        opened = [body["ciphertext"] for path, body in service.requests if path.endswith("decrypt/stead")]
        assert len(opened) == len(set(opened)) == 2, "the naming key and the task's"
        await other.close()

    async def test_one_who_gives_up_takes_the_key_from_nobody(
        self, home: Home, settings: VaultSettings, service: transit.Transit, vault: AsyncVault
    ) -> None:
        await vault.put(ALICE, "t", "subject", b"hers")
        other = AsyncVault(open_vault(home, settings, NAME))
        service.answers.clear()
        first, second = (asyncio.create_task(other.get(ALICE, "t", "subject")) for _ in range(2))
        await asked(service, "decrypt")
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        service.answers.set()
        assert await second == b"hers"
        await other.close()

    async def test_those_who_wait_are_bounded_in_number(
        self,
        home: Home,
        settings: VaultSettings,
        service: transit.Transit,
        vault: AsyncVault,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(vault_async, "MOST_WAITING", 2)
        await vault.put(BOB, "t", "subject", b"his")
        service.answers.clear()
        waiting = [asyncio.create_task(vault.put(ALICE, f"t{number}", "subject", b"x")) for number in range(2)]
        await asked(service, "encrypt", 4)
        with pytest.raises(ProviderUnavailable, match="behind"):
            await vault.put(ALICE, "one too many", "subject", b"x")
        assert await vault.get(BOB, "t", "subject") == b"his"
        service.answers.set()
        await asyncio.gather(*waiting)

    async def test_closing_waits_for_no_key_service(
        self, home: Home, settings: VaultSettings, service: transit.Transit, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(vault_async, "AT_ONCE", 1)
        vault = AsyncVault(open_vault(home, settings, NAME))
        service.answers.clear()
        waiting = asyncio.create_task(vault.put(ALICE, "t", "subject", b"x"))
        await asked(service, "encrypt")
        behind = asyncio.create_task(vault.put(ALICE, "u", "subject", b"x"))
        while len(vault._under_way) < 2:
            await asyncio.sleep(0.005)
        await vault.close()
        with pytest.raises(ProviderUnavailable, match="closed"):
            await behind
        with pytest.raises(ProviderUnavailable, match="closed"):
            await vault.get(ALICE, "t", "subject")
        service.answers.set()
        with pytest.raises(ProviderUnavailable, match="closed"):
            await waiting


async def _tried(vault: AsyncVault) -> bytes | None:
    with contextlib.suppress(ProviderUnavailable):
        return await vault.get(ALICE, "t", "subject")
    return None


class TestFailing:
    async def test_a_key_service_that_is_away_is_a_refusal_and_not_a_plain_secret(
        self, home: Home, tmp_path: Path, service: transit.Transit, settings: VaultSettings, vault: AsyncVault
    ) -> None:
        service.status = 503
        with pytest.raises(ProviderUnavailable):
            await vault.put(ALICE, "t", "subject", b"canary" * 8)
        assert not any(b"canary" in path.read_bytes() for path in home.folder("data").iterdir())
        service.status = None
        assert await vault.get(ALICE, "t", "subject") is None

    async def test_an_error_that_nobody_foresaw_is_typed_and_tells_no_key(self, home: Home) -> None:
        first = open_vault(home, VaultSettings(), NAME)
        first.put(ALICE, "t", "subject", b"x")
        first.close()
        vault = AsyncVault(Vault(home.database(NAME), _Broken(lambda: home.secrets(NAME), NAME)))
        with pytest.raises(ProviderUnavailable) as refused:
            await vault.get(ALICE, "t", "subject")
        assert refused.value.debug == "RuntimeError"
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__
        await vault.close()

    async def test_a_lost_key_is_still_told_as_that(self, home: Home) -> None:
        first = open_vault(home, VaultSettings(), NAME)
        first.put(ALICE, "t", "subject", b"x")
        first.close()
        home.renew_secret(NAME)
        home.retire_secrets(NAME)
        vault = AsyncVault(open_vault(home, VaultSettings(), NAME))
        with pytest.raises(ConfigurationError, match="not at hand"):
            await vault.get(ALICE, "t", "subject")
        await vault.close()


class TestRaces:
    async def test_a_secret_is_taken_once(self, home: Home) -> None:
        here, there = (AsyncVault(open_vault(home, VaultSettings(), NAME)) for _ in range(2))
        await here.put(ALICE, "login", "request", b"once")
        took = await asyncio.gather(*(vault.take(ALICE, "login", "request") for vault in (here, there) * 10))
        assert [one for one in took if one is not None] == [b"once"]
        assert await there.get(ALICE, "login", "request") is None
        await here.close()
        await there.close()

    async def test_what_was_forgotten_is_not_kept_again_by_a_renewal(self, home: Home) -> None:
        vault = AsyncVault(open_vault(home, VaultSettings(), NAME))
        assert not await vault.replace(ALICE, "t", "subject", b"late")
        await vault.put(ALICE, "t", "subject", b"first")
        assert await vault.replace(ALICE, "t", "subject", b"second")
        assert await vault.get(ALICE, "t", "subject") == b"second"
        await vault.forget(ALICE, "t")
        assert not await vault.replace(ALICE, "t", "subject", b"late")
        assert await vault.get(ALICE, "t", "subject") is None
        await vault.close()

    async def test_a_key_that_was_being_wrapped_during_a_rotation_is_not_lost_with_the_old_one(
        self, home: Home
    ) -> None:
        keys = _Hanging(home)
        vault = AsyncVault(Vault(home.database(NAME), keys))
        await vault.put(BOB, "t", "subject", b"his")
        keys.hangs = True
        putting = asyncio.create_task(vault.put(ALICE, "t", "subject", b"hers"))
        await asyncio.to_thread(keys.begun.wait, 20)
        done = await asyncio.to_thread(vaults.rotate, home, VaultSettings(), NAME)
        assert (done.left, len(home.secrets(NAME))) == (0, 1)
        keys.may_go_on.set()
        await putting
        assert await vault.get(ALICE, "t", "subject") == b"hers"
        after = open_vault(home, VaultSettings(), NAME)
        assert set(after.wrapped_by()) == {done.current}
        assert after.get(ALICE, "t", "subject") == b"hers"
        after.close()
        await vault.close()

    async def test_a_data_key_that_was_shredded_while_a_secret_was_on_its_way_is_not_brought_back(
        self, home: Home, settings: VaultSettings, service: transit.Transit, vault: AsyncVault
    ) -> None:
        await vault.put(ALICE, "t", "subject", b"hers")
        before = vault._vault.wrapped_by()
        other = AsyncVault(open_vault(home, settings, NAME))
        assert await other.get(BOB, "t", "subject") is None, "the naming key is at hand"
        service.answers.clear()
        putting = asyncio.create_task(other.put(ALICE, "t", "bank", b"bank"))
        await asked(service, "decrypt", 2)
        await vault.forget(ALICE, "t")
        service.answers.set()
        await putting
        assert vault._vault.wrapped_by() == before
        assert await vault.get(ALICE, "t", "subject") is None
        assert await vault.get(ALICE, "t", "bank") == b"bank"
        await other.close()
