"""`stead vault`: which key each vault is sealed by, and the move to a new one."""

from typing import Any

from stead.demo.cli.output import emit, say, table, tell
from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.vaults import names, open_vault, require, rotate


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
