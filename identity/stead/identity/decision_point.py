"""Policy that another party decides, asked over AuthZEN after our own: both must allow.

Knows who asks and how it is shown; what is asked is told by `policy.authzen`. Nothing is kept: an answer counts once.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stead.identity.addresses import is_confidential
from stead.identity.driver import drive
from stead.identity.egress import Target, shown
from stead.identity.errors import ConfigurationError, IdentityError
from stead.identity.flows.authzen import Credential, Endpoints, ask, find_endpoints
from stead.identity.flows.wire import host
from stead.identity.policy import authzen
from stead.identity.policy.decision import Decision
from stead.identity.policy.explaining import Question
from stead.identity.policy.rules import Outcome
from stead.identity.types import Flow, Json, T
from stead.identity.values import AccessToken, Grant

if TYPE_CHECKING:
    from stead.identity.decision_settings import DecisionPointSettings
    from stead.identity.workload import Workload

Run = Callable[[Flow[T]], Awaitable[T]]
Shows = Callable[[], Awaitable[Credential]]
"""Obtains what shows who asks."""

_log = logging.getLogger(__name__)


class DecisionPoint:
    """An external decision point at `url`. It is asked for everything, or only for what has effects."""

    def __init__(self, url: str, run: "Run[Any]", shows: Shows, *, only_effects: bool = False) -> None:
        self.url = url
        self._run = run
        self._shows = shows
        self._only_effects = only_effects
        self._endpoints: Endpoints | None = None
        self._finding = asyncio.Lock()

    async def narrowed(self, own: Decision, question: Question, *, effects: bool) -> Decision:
        """Our own decision, or the decision point's where that is stricter. Never raises: no answer is no."""
        if own.outcome is Outcome.DENY or (self._only_effects and not effects):
            return own
        there = await self.decide(question)
        return there if there.outcome.strength > own.outcome.strength else own

    async def decide(self, question: Question) -> Decision:
        """What it says to one question. Never raises: no answer is no."""
        try:
            endpoints = await self._found()
            return authzen.decision(await self._ask(endpoints.evaluation, authzen.evaluation(question)))
        except IdentityError as failure:
            return authzen.undecided(_said(failure))

    async def decide_all(self, questions: Sequence[Question]) -> list[Decision]:
        """What it says to each, in one exchange where it can do that. Never raises: no answer is no."""
        try:
            endpoints = await self._found()
            if endpoints.evaluations is None:
                return [await self.decide(one) for one in questions]
            answer = await self._ask(endpoints.evaluations, authzen.evaluations(questions))
        except IdentityError as failure:
            return [authzen.undecided(_said(failure))] * len(questions)
        return authzen.decisions(answer, len(questions))

    async def _ask(self, endpoint: str, question: Json) -> Json:
        answer: Json = await self._run(ask(endpoint, question, await self._shows()))
        return answer

    async def _found(self) -> Endpoints:
        async with self._finding:
            if self._endpoints is None:
                self._endpoints = await self._run(find_endpoints(self.url))
            return self._endpoints


def decision_point(workload: "Workload") -> DecisionPoint | None:
    """The one that the settings name, if it is another, asked in this workload's name. Raises `ConfigurationError`."""
    settings = workload.settings.decision_point
    if settings is None or workload.url == settings.url:
        return None
    if not workload.settings.plain_http and not is_confidential(settings.url):
        raise ConfigurationError(
            f"{host(settings.url)} would be asked over plain http, where anybody can answer.",
            hint="Serve it by https, or set plain_http where the network itself encrypts.",
        )

    async def run(flow: Flow[T]) -> T:
        return await drive(flow, workload.bare, timeout=settings.seconds)

    return DecisionPoint(settings.url, run, _showing(workload, settings), only_effects=settings.asked_for == "effects")


def _showing(workload: "Workload", settings: "DecisionPointSettings") -> Shows:
    target = Target(settings.audience or settings.url, settings.scopes or (), Grant.S2S)

    async def shows() -> Credential:
        if settings.token_file is not None:
            return _bearing(_read(settings.token_file))
        return _nothing if settings.scopes is None else _bearing(await workload.exchange(target, None))

    return shows


def _bearing(token: AccessToken) -> Credential:
    return lambda method, url: shown(token, method, url)


def _nothing(method: str, url: str) -> Mapping[str, str]:
    return {}


def _read(path: Path) -> AccessToken:
    try:
        return AccessToken(path.read_text(encoding="ascii").strip())
    except (OSError, UnicodeError):
        raise ConfigurationError("The decision point's token cannot be read.", debug=str(path)) from None


def _said(failure: IdentityError) -> str:
    """Callers learn that nobody decided. Why, is for the log: it names parties that they need not know."""
    _log.warning("no decision: %s", failure.debug or failure.description)
    return "The decision point does not answer."
