"""FinPort's story, told in the terminal: one customer, four scenes, and after each the trail of its authority."""

import asyncio
from dataclasses import dataclass
from typing import Any

from stead.demo.cli.ask import Progress, ask_as
from stead.demo.cli.output import say, tell
from stead.demo.cli.session import Session, signed_in
from stead.demo.cli.trail import draw
from stead.identity.errors import AccessDenied, IdentityError
from stead.identity.home import Home
from stead.identity.samples import ALICE


@dataclass(frozen=True, slots=True)
class Scene:
    """A thing the customer asks, and what it is there to show. `grants` are those its trail must hold."""

    title: str
    shows: str
    goal: str
    grants: frozenset[str]


SCENES = (
    Scene(
        "Alice reads her portfolio",
        "on behalf of Alice, through two actors: each hop has a token of its own, for that hop alone",
        "Show my portfolio",
        frozenset({"login", "obo"}),
    ),
    Scene(
        "The market is nobody's secret",
        "services ask services as themselves: nothing about Alice travels to Market Data",
        "How will AAPL and MSFT trend, and what are they worth in my portfolio?",
        frozenset({"login", "obo", "s2s"}),
    ),
    Scene(
        "Money moves only as approved",
        "Transfer waits until Alice approves this amount to this payee at her bank, and goes on by itself",
        "Transfer 250 EUR to Bob's savings",
        frozenset({"login", "obo", "in-task"}),
    ),
)


def tell_story(home: Home) -> None:
    """Plays the scenes against the running network. Raises `AccessDenied` naming the scene that failed."""
    asyncio.run(_tell(home))


async def _tell(home: Home) -> None:
    say(f"\n1  {ALICE.name} signs in\n   with a code and PKCE: the token is good at the broker, and nowhere else")
    session = await signed_in(home, ALICE.username)
    try:
        for number, scene in enumerate(SCENES, start=2):
            await _play(session, number, scene)
    finally:
        await session.close()
    say("\nFour scenes, and nobody ever held a token that was meant for somebody else.")


async def _play(session: Session, number: int, scene: Scene) -> None:
    say(f"\n{number}  {scene.title}\n   {scene.shows}\n   “{scene.goal}”")
    try:
        played = await ask_as(session, scene.goal, approve=True, show=Progress())
    except IdentityError as error:
        raise AccessDenied(f"Scene {number}, {scene.title}: {error.description}", hint=error.hint) from None
    _require(number, scene, played)
    say(f"\n   {played['answer']}\n")
    draw({"task": played["task"], "version": 0, "hops": played["hops"]})


def _require(number: int, scene: Scene, played: dict[str, Any]) -> None:
    if played["state"] != "TASK_STATE_COMPLETED":
        raise AccessDenied(f"Scene {number}, {scene.title}: {played['state']}: {played['answer']}")
    missing = scene.grants - {hop["grant"] for hop in played["hops"]}
    if missing:
        tell(f"   hops: {[(hop['caller'], hop['resource'], hop['grant']) for hop in played['hops']]}")
        raise AccessDenied(f"Scene {number}, {scene.title}: no hop was made by {', '.join(sorted(missing))}.")
