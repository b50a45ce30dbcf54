"""The people of a profile: the owner of the tasks, and those who try in the owner's place."""

from collections.abc import AsyncGenerator, Mapping, Set
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from stead.demo.cli.browser import Login
from stead.demo.conformance.agent import Agent
from stead.demo.conformance.answering import Answer, Answering, ByCommand, Decision, InBrowser, connected
from stead.demo.conformance.bearer import Bearer, line_of
from stead.demo.conformance.profile import Login as Typed
from stead.demo.conformance.profile import PersonProfile, Profile
from stead.identity.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with a name, a way to answer, and perhaps tokens to call the agent with."""

    name: str
    answering: Answering
    agent: Agent | None = None
    tokens: Set[str] = field(default=frozenset(), repr=False)

    async def approve(self, link: str) -> Answer:
        """Says yes."""
        return await self._answer(link, "approve")

    async def deny(self, link: str) -> Answer:
        """Says no."""
        return await self._answer(link, "deny")

    async def _answer(self, link: str, decision: Decision) -> Answer:
        return await self.answering.answer(link, decision)


@dataclass(frozen=True, slots=True)
class People:
    """All of them. Only the owner has to be able to call."""

    owner: Person
    calling: Agent
    others: tuple[Person, ...]


@asynccontextmanager
async def people_of(profile: Profile, url: str, folder: Path) -> AsyncGenerator[People, None]:
    """The people that the profile describes. Raises `ConfigurationError` for a token or password that is not there."""
    async with AsyncExitStack() as stack:
        everybody = {"owner": profile.people.owner, **profile.people.others}
        made = [
            await _person(name, one, stack, profile=profile, url=url, folder=folder) for name, one in everybody.items()
        ]
        owner, *others = made
        if owner.agent is None:
            raise ConfigurationError("The profile's owner has no token.", hint="Set token_file or token_command.")
        yield People(owner, owner.agent, tuple(others))


async def _person(
    name: str, described: PersonProfile, stack: AsyncExitStack, *, profile: Profile, url: str, folder: Path
) -> Person:
    answering = _answering(described, profile, folder)
    stack.push_async_callback(answering.close)
    if described.token_file is None and described.token_command is None:
        return Person(name, answering)
    bearer = Bearer(described, folder)
    await bearer.obtain()
    http = connected(auth=bearer, timeout=profile.times.finish)
    agent = Agent(url, http, profile.question.extension)
    stack.push_async_callback(agent.close)
    return Person(name, answering, agent, bearer.shown)


def _answering(described: PersonProfile, profile: Profile, folder: Path) -> Answering:
    if described.logins or not (described.approve or described.deny):
        return InBrowser(_logins(described.logins, folder), profile.buttons)
    return ByCommand({"approve": described.approve, "deny": described.deny}, folder)


def _logins(typed: Mapping[str, Typed], folder: Path) -> dict[str, Login]:
    return {
        origin: Login(one.username, line_of(folder / one.password_file), one.name_field)
        for origin, one in typed.items()
    }
