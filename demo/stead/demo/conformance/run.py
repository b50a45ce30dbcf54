"""The kit at work: an agent is put on trial, by its profile or as a part of the network in the state directory."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from stead.demo.conformance import finport
from stead.demo.conformance.backstage import Programs
from stead.demo.conformance.checks import chosen, made
from stead.demo.conformance.people import people_of
from stead.demo.conformance.profile import load
from stead.demo.conformance.report import Finding
from stead.demo.conformance.trial import Trial
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home


async def examined(
    url: str, profile: Path | None, names: Sequence[str], home: Home, show: Callable[[Finding], None]
) -> list[Finding]:
    """What came of each check; `show` is told of it at once. Raises `ConfigurationError` for what cannot be begun."""
    checks, findings = chosen(names), []
    async with on_trial(url.rstrip("/"), profile, home) as trial:
        async for finding in made(trial, checks):
            show(finding)
            findings.append(finding)
    return findings


@asynccontextmanager
async def on_trial(url: str, profile: Path | None, home: Home) -> AsyncGenerator[Trial, None]:
    """The agent at `url` with its people. Without a profile it has to be one of the network's own."""
    if profile is None:
        known = finport.profile_of(home, url)
        if known is None:
            raise ConfigurationError(
                f"Nothing says how to make {url} ask a person.",
                hint="Name a profile with --profile. Only FinPort's Transfer agent and its broker need none.",
            )
        async with finport.on_trial(home, url, known) as trial:
            yield trial
        return
    said, folder = load(profile), profile.parent
    async with people_of(said, url, folder) as people:
        yield Trial(said, people, Programs(said, folder))
