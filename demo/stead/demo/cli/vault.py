"""`stead vault`: which key each vault is sealed by, whether it does its work, and the move to a new one."""

import os
from collections.abc import Iterator
from typing import Any

from stead.demo.cli.findings import Finding
from stead.demo.cli.output import emit, say, table, tell
from stead.identity.errors import ConfigurationError, IdentityError
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.vault_keys import Wrapped
from stead.identity.vault_steps import DATA_KEY, Steps, Unwrap, Wrap, answered
from stead.identity.vaults import VaultSettings, names, open_vault, require, rotate


def status(*, json: bool) -> None:
    """How many data keys each vault has, by the key that wraps them."""
    home = Home.current()
    settings = Settings.load(home).vault
    counted: dict[str, dict[str, Any]] = {}
    for name in names(home):
        vault = open_vault(home, settings, name)
        counted[name] = {"current": settings.service(home, name).current(), "wrapped_by": vault.wrapped_by()}
        vault.close()
    if json:
        emit({"keys": settings.keys, "vaults": counted})
        return
    rows = [
        (name, by, str(count), "current" if by == each["current"] else "older")
        for name, each in counted.items()
        for by, count in each["wrapped_by"].items()
    ]
    table(("Vault", "Key", "Data keys", ""), rows)


def looked_at(home: Home, settings: VaultSettings) -> Iterator[Finding]:
    """Whether the keys of each vault do what is needed: wrap, unwrap, and say which is the current one."""
    for name in names(home):
        try:
            told = _tried(home, settings, name)
        except IdentityError as error:
            yield Finding(name, False, error.description, error.hint)
        else:
            yield Finding(name, True, told)


def _tried(home: Home, settings: VaultSettings, name: str) -> str:
    keys, key = settings.service(home, name), os.urandom(DATA_KEY)
    if answered(_there_and_back(key), keys) != key:
        raise ConfigurationError("What was wrapped does not open as it was.", hint="See the settings of vault.")
    current = keys.current()
    vault = open_vault(home, settings, name)
    older = sum(count for by, count in vault.wrapped_by().items() if by != current)
    vault.close()
    return f"sealed by {current}" + (f"; {older} keys still by an older one: stead vault rotate" if older else "")


def _there_and_back(key: bytes) -> Steps[bytes]:
    wrapped: Wrapped = yield Wrap(key, b"doctor")
    back: bytes = yield Unwrap(wrapped, b"doctor")
    return back


def rotate_all(name: str | None, *, resume: bool, json: bool) -> int:
    """Moves one vault, or all, to a new key. 0 when nothing is sealed by an old key any more."""
    home = Home.current()
    settings = Settings.load(home).vault
    wanted = [require(home, name)] if name else names(home)
    done = {each: rotate(home, settings, each, fresh=not resume) for each in wanted}
    if json:
        emit({each: {"current": one.current, "moved": one.moved, "left": one.left} for each, one in done.items()})
    else:
        for each, one in done.items():
            say(f"{each}: {one.moved} data keys are now wrapped by {one.current}.")
    left = sum(one.left for one in done.values())
    if left:
        tell(f"{left} data keys are still wrapped by an older key: run it again with --resume.")
    return 1 if left else 0
