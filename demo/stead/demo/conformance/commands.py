"""Programs of the profile, run without a shell and not for ever."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from stead.identity.errors import ConfigurationError

LONGEST = 60.0
"""Seconds after which a program is ended."""


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended, and what it printed."""

    code: int
    printed: str


async def run(command: tuple[str, ...], folder: Path, given: Mapping[str, str]) -> Ran:
    """Runs a command in which `{name}` stands for what is given. Raises `ConfigurationError` if it does not run."""
    words = [_filled(word, given) for word in command]
    try:
        process = await asyncio.create_subprocess_exec(
            *words, cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE
        )
    except OSError:
        raise ConfigurationError(f"The profile's command {command[0]} cannot be run.") from None
    try:
        async with asyncio.timeout(LONGEST):
            printed, _ = await process.communicate()
    except TimeoutError:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise ConfigurationError(f"The profile's command {command[0]} took longer than {LONGEST:.0f} s.") from None
    return Ran(process.returncode or 0, printed.decode(errors="replace"))


async def require(command: tuple[str, ...], folder: Path, given: Mapping[str, str] | None = None) -> str:
    """What a command printed. Raises `ConfigurationError` when it failed."""
    ran = await run(command, folder, given or {})
    if ran.code:
        raise ConfigurationError(f"The profile's command {command[0]} failed with {ran.code}.")
    return ran.printed.strip()


def _filled(word: str, given: Mapping[str, str]) -> str:
    for name, value in given.items():
        word = word.replace("{" + name + "}", value)
    return word
