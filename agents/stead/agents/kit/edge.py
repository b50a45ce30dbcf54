"""The agent towards the network: card and pages for everybody, A2A behind the guard and the ingress."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from starlette.applications import Starlette
from starlette.routing import Route

from stead.agents.kit.caller import CallerContext, Door
from stead.agents.kit.card import agent_card
from stead.agents.kit.consent.desk import Desk, Links
from stead.agents.kit.consent.pages import pages
from stead.agents.kit.handler import Methods
from stead.agents.kit.runtime import Runtime
from stead.agents.kit.skill import Skill
from stead.identity.errors import ConfigurationError
from stead.identity.patience import Unavailable, tell
from stead.identity.policy import Policy, Worded, declared
from stead.identity.policy.files import read_file, told_of
from stead.identity.types import ASGIApp

CARD_AGE = "public, max-age=60"


def edge(
    name: str,
    description: str,
    runtime: Runtime,
    *,
    scopes: tuple[str, ...],
    rules: Path | None = None,
    links: Links | None = None,
    house: str | None = None,
) -> ASGIApp:
    """The app of an agent. `rules` tighten what its skills declare; `links` and `house` are for one that asks persons.

    Raises `ConfigurationError` for rules with a mistake, and for a skill with a provider but no links.
    """
    workload, skills = runtime.workload, runtime.skills
    card = agent_card(name, description, skills, workload)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None, None]:
        async with runtime.lifespan():
            yield

    async def ready() -> bool:
        return runtime.ready

    routes = create_jsonrpc_routes(Methods(runtime), "/a2a", CallerContext())
    a2a = Starlette(routes=routes, lifespan=lifespan, exception_handlers={Unavailable: tell})
    return workload.protect(
        a2a,
        describe=Door(name, dict(skills)).describe,
        policy=policy_of(name, skills, rules),
        scopes=scopes,
        protocol="jsonrpc",
        routes=[*create_agent_card_routes(card, cache_control=CARD_AGE), *_desk(runtime, links, house or name)],
        ready=ready,
        extra={"stead_name": name, "stead_needs": runtime.needs},
    )


def policy_of(name: str, skills: Mapping[str, Skill], rules: Path | None) -> Policy:
    """What the skills declare, and the rules of a file. Raises `ConfigurationError` for a rule with a mistake."""
    resources = {f"{name}.{skill.id}": skill for skill in skills.values()}
    inputs = {resource: skill.inputs.model_json_schema(mode="serialization") for resource, skill in resources.items()}
    own = [] if rules is None else read_file(rules)
    made = [declared(resource, skill.grant, skill.scopes) for resource, skill in resources.items()]
    with told_of(rules or Path(name)):
        return Worded([*made, *own], known_resources=tuple(resources), inputs=inputs)


def _desk(runtime: Runtime, links: Links | None, house: str) -> list[Route]:
    if not any(skill.provider for skill in runtime.skills.values()):
        return []
    if links is None:
        raise ConfigurationError(
            "A skill asks persons at a provider, but nothing says who they are there.", hint="Give the agent `links`."
        )
    known, secure = links, runtime.workload.url.startswith("https://")
    cookie = f"{'__Host-' if secure else ''}{runtime.workload.name}-desk"
    return pages(lambda: Desk(runtime.parking, known), house, cookie, secure=secure)
