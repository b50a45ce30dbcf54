"""An agent: a name, skills, and what they need elsewhere. Its app joins the A2A edge, the pages and the runtime."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from stead.agents.kit.skill import Function, Skill, Where, skill_of
from stead.identity.errors import ConfigurationError
from stead.identity.home import Home
from stead.identity.types import ASGIApp
from stead.identity.values import Grant
from stead.identity.workload import Workload

F = TypeVar("F", bound=Function)
PATIENCE = 600.0
"""Seconds a person has to authorize something."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_NEED = re.compile(r"([a-z][a-z0-9_]{0,31}):[a-z0-9:_.-]+")


class Agent:
    """A named set of skills.

    `needs` are the scopes that its skills use at MCP servers, such as `holdings:read`: a parameter `holdings:
    McpClient` is then a client of the server `holdings` with that scope. `policy` is a file of rules that tighten what
    the skills declare. `gifts` are made at the start, from the state directory, and injected by their type.

    For an agent that asks persons: `links` names the gift that knows who they are at the provider, `house` is what its
    pages call themselves, `patience` the seconds a person has. Raises `ConfigurationError` for a name that is none.
    """

    def __init__(
        self,
        name: str,
        description: str,
        *,
        needs: Sequence[str] = (),
        policy: Path | None = None,
        gifts: Mapping[type, Callable[[Home], Any]] | None = None,
        links: type | None = None,
        house: str | None = None,
        patience: float = PATIENCE,
    ) -> None:
        if not _NAME.fullmatch(name):
            raise ConfigurationError(f"{name!r} cannot name an agent.", hint="Lower-case letters, digits and _.")
        self.name = name
        self.description = description
        self.skills: dict[str, Skill] = {}
        self._needs = _by_server(needs)
        self._policy = policy
        self._gifts = gifts or {}
        self._links = links
        self._house = house
        self._patience = patience

    @property
    def client_id(self) -> str:
        """Its name as a client of the authorization server."""
        return f"{self.name.replace('_', '-')}-agent"

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every scope that a token for this agent may carry."""
        return tuple(dict.fromkeys(scope for skill in self.skills.values() for scope in skill.scopes))

    def skill(
        self,
        *,
        examples: Sequence[str] = (),
        tags: Sequence[str] = (),
        grant: Grant = Grant.OBO,
        scopes: Sequence[str] | None = None,
        effects: bool = False,
        provider: Where | None = None,
        durable: bool | None = None,
    ) -> Callable[[F], F]:
        """Publishes a typed async function as a skill.

        `grant` and `scopes` say by what right it is called (by default on behalf of a person, with the scope
        `<agent>:<skill>`); `effects` that it changes something; `provider` who has to be asked for a person's consent;
        `durable` that a call survives the process, which one that asks always does.
        """

        def publish(function: F) -> F:
            asked = (f"{self.name}:{function.__name__}",) if scopes is None else tuple(scopes)
            made = skill_of(
                function,
                examples=examples,
                tags=tags,
                grant=grant,
                scopes=asked,
                effects=effects,
                provider=provider,
                durable=durable,
                gifts=tuple(self._gifts),
            )
            unknown = [name for name in made.clients if name not in self._needs]
            if unknown:
                raise ConfigurationError(
                    f"The skill {made.id} calls {', '.join(unknown)}, which the agent does not need.",
                    hint=f'Such as Agent(…, needs=["{unknown[0]}:read"]).',
                )
            self.skills[made.id] = made
            return function

        return publish

    def app(self, workload: Workload, *, patience: float | None = None) -> ASGIApp:
        """The agent as an app, for the workload it runs as. It needs the ASGI lifespan. Raises `ConfigurationError`."""
        from stead.agents.kit.edge import edge
        from stead.agents.kit.runtime import Runtime

        home = workload.home
        servers = {name: (server_url(name, home), scopes) for name, scopes in self._needs.items()}
        gifts = {kind: make(home) for kind, make in self._gifts.items()}
        runtime = Runtime(workload, self.skills, servers, gifts, patience or self._patience)
        links = None if self._links is None else gifts[self._links]
        return edge(
            self.name,
            self.description,
            runtime,
            scopes=self.scopes,
            rules=self._policy,
            links=links,
            house=self._house,
        )

    def serve(self, home: Home | None = None) -> None:
        """Serves until told to stop: a one-file agent's main. One that the network does not know joins it first."""
        from stead.identity.serving import serve_at
        from stead.identity.settings import Settings

        home = home or Home.current()
        url = home.network.agents.get(self.name) or self._join(home)
        how = Settings.load(home).transport(self.client_id)
        serve_at(url, lambda: self.app(Workload.open(self.client_id, url=url, home=home)), how=how)

    def _join(self, home: Home) -> str:
        from stead.identity.joining import join

        if any(skill.provider for skill in self.skills.values()):
            raise ConfigurationError(
                f"{self.name} asks persons, so it cannot join by itself.",
                hint="Its pages need a redirect URI at both providers: have it registered there.",
            )
        return asyncio.run(join(self.name, "agent", home, scopes=self._wanted)).url

    @property
    def _wanted(self) -> tuple[str, ...]:
        return tuple(scope for scopes in self._needs.values() for scope in scopes)


def _by_server(needs: Sequence[str]) -> Mapping[str, tuple[str, ...]]:
    servers: dict[str, tuple[str, ...]] = {}
    for need in needs:
        match = _NEED.fullmatch(need)
        if match is None:
            raise ConfigurationError(f"{need!r} is no scope of a server.", hint='Such as "holdings:read".')
        servers[match[1]] = (*servers.get(match[1], ()), need)
    return servers


def server_url(name: str, home: Home) -> str:
    """Where the MCP server `name` is: one of the network's own, or one that joined it. Raises `ConfigurationError`."""
    from stead.identity.joining import joined_url

    known = home.network.mcp_servers
    url = known.get(name) or joined_url(home, f"{name.replace('_', '-')}-mcp")
    if url is None:
        raise ConfigurationError(
            f"There is no MCP server {name}.", hint=f"The network has {', '.join(known) or 'none'}."
        )
    return url
