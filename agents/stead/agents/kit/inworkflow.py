"""A call that is a durable workflow: what it did is kept, and waiting costs nothing.

Code outside a step runs again after a restart, so it decides by nothing but its input and what steps returned.
"""

from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from a2a.types import TaskState

from stead.agents.kit import durable
from stead.agents.kit.ask import Consent
from stead.agents.kit.calls import Record
from stead.agents.kit.challenges import Answered
from stead.agents.kit.errors import Canceled, Declined, Expired
from stead.agents.kit.parking import Parking, sign_in_topic
from stead.agents.kit.wire import text_part
from stead.identity.challenge import Challenge, PinnedOperation, Provider, enriched
from stead.identity.errors import ConfigurationError, StepUpRequired
from stead.identity.patience import patient
from stead.identity.step_up import MOST, StepUp
from stead.identity.types import Json
from stead.identity.values import acting_for

T = TypeVar("T")

LATE = 60.0
"""Seconds that a credential on its way may take beyond the time for the answer."""


@dataclass(slots=True)
class DurableAsk:
    """An `Ask` whose steps are kept. `identity` is where the caller's renewed identity is entered after a wait."""

    record: Record
    parking: Parking
    provider: Provider | None
    identity: ExitStack
    _asked: int = field(default=0, init=False)

    @property
    def task(self) -> str:
        return self.record.task

    @property
    def txn(self) -> str | None:
        return self.record.principal.txn

    @property
    def key(self) -> str:
        return self.record.key

    async def progress(self, text: str) -> None:
        await durable.step("progress", lambda: self._work(text))

    async def once(self, name: str, work: Callable[[], Awaitable[T]]) -> T:
        for _ in range(MOST):
            try:
                return await durable.step(name, work)
            except StepUpRequired as wanted:
                await self._signed_in(StepUp.of(wanted))
        return await durable.step(name, work)

    async def _signed_in(self, wanted: StepUp) -> None:
        """Waits until the person has signed in as is wanted. Raises `Expired` or `Canceled` where they do not."""
        until = await durable.step("sign in", lambda: self.parking.ask_sign_in(self.record, wanted))
        while not await durable.step("signed in", lambda: self._meets(wanted)):
            message = await durable.receive(sign_in_topic(self.task), max(0.0, until - self.parking.workload.clock()))
            if message is None:
                raise Expired("Nobody signed in again in time.", hint="Nothing was done. Ask again.")
            if message["state"] == Answered.CANCELED:
                raise Canceled(f"{self.record.principal.name} took the request back.", hint="Nothing was done.")
        await self._go_on("Signed in as is needed. Going on.")

    async def _meets(self, wanted: StepUp) -> bool:
        return wanted.is_met_by(await self.parking.principal(self.record), self.parking.workload.clock())

    async def authorize(self, operation: PinnedOperation) -> Consent:
        if self.provider is None:
            raise ConfigurationError(f"The skill {self.record.skill} has no provider, so it cannot ask a person.")
        self._asked += 1
        wire = await durable.step("ask", lambda: self._ask(operation, self._asked))
        challenge = Challenge.from_json(wire)
        await self._answer(challenge)
        await self._go_on(f"{self.provider_name} confirmed. Going on.")
        await self.parking.tell(self.task, "TASK_STATE_WORKING")
        return await self._consent(challenge, operation)

    @property
    def provider_name(self) -> str:
        """Who is asked, for people."""
        return "Nobody" if self.provider is None else self.provider.name

    async def _go_on(self, text: str) -> None:
        """Works again, with the freshest token of the person."""
        await durable.step("resume", lambda: self._work(text))
        principal = await patient(lambda: self.parking.principal(self.record))
        self.identity.enter_context(acting_for(principal, self.record.arrival))

    async def _ask(self, operation: PinnedOperation, number: int) -> Json:
        if self.provider is None:
            raise ConfigurationError("There is nobody to ask.")
        return (await self.parking.ask(self.record, operation, self.provider, number)).as_json()

    async def _work(self, text: str) -> None:
        board, owner = self.parking.storage.board, self.record.principal.owner
        await board.move(self.record.task, owner, TaskState.TASK_STATE_WORKING, [text_part(text)])

    async def _answer(self, challenge: Challenge) -> None:
        """Waits for the yes. Raises what stands for any other end."""
        said = await self._said(challenge)
        if said == Answered.DECLINED:
            raise Declined(f"{self.record.principal.name} declined.", hint="Nothing was done.")
        if said == Answered.CANCELED:
            raise Canceled(f"{self.record.principal.name} took the request back.", hint="Nothing was done.")
        if said != Answered.GRANTED:
            raise Expired(
                f"Nobody authorized this at {self.provider_name} in time.", hint="Nothing was done. Ask again."
            )

    async def _said(self, challenge: Challenge) -> str:
        # The first wait is kept with its deadline, so that a restart does not prolong it.
        for within in (max(0.0, challenge.expires_at - self.parking.workload.clock()), LATE, LATE):
            message = await durable.receive(challenge.id, within)
            if message is not None:
                return str(message["state"])
            if await durable.step("expire", partial(self.parking.expire, challenge.id, for_good=within == LATE)):
                break
        return Answered.EXPIRED.value

    async def _consent(self, challenge: Challenge, operation: PinnedOperation) -> Consent:
        question = await self.parking.storage.challenges.get(challenge.id)
        if question is None:
            raise ConfigurationError("The question is not kept any more.", hint="Was a database removed?")
        return Consent(
            id=question.consent_id or challenge.id,
            challenge=challenge.id,
            audience=operation.audience,
            scopes=operation.scopes,
            details=dict(enriched(operation, question.granted or ())),
        )
