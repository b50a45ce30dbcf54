"""What it takes to wait for a person: the question, the answer, the credential, and the subject's token meanwhile.

Everything that is kept lies in the database; every credential lies in the vault.
"""

import hmac
import json
import logging
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace

import httpx
from a2a.types import TaskState

from stead.agents.kit import durable
from stead.agents.kit.ask import Consent
from stead.agents.kit.calls import Record, principal_from, principal_json
from stead.agents.kit.challenges import Answered
from stead.agents.kit.storage import Storage
from stead.agents.kit.wire import IN_TASK_EXTENSION, data_of, data_part, text_part, time_allowed
from stead.identity.challenge import Challenge, PinnedOperation, Provider
from stead.identity.egress import Target
from stead.identity.errors import GrantRefused, InvalidGrant, ProviderUnavailable
from stead.identity.flows.wire import origin
from stead.identity.step_up import StepUp, renews
from stead.identity.telemetry import happened, names
from stead.identity.types import Json
from stead.identity.values import AccessToken, Grant, Principal, acting_for
from stead.identity.workload import Workload

SUBJECT = "subject"
NOTIFY = "task:notify"
log = logging.getLogger("stead.kit")


@dataclass(frozen=True, slots=True)
class Parking:
    """Where calls wait. `patience` is how many seconds a person has for an answer."""

    workload: Workload
    storage: Storage
    patience: float

    async def ask(self, record: Record, operation: PinnedOperation, provider: Provider, number: int) -> Challenge:
        """Puts the question and parks the task. Repeatable: the question keeps its id and its time."""
        challenge_id, owner = self._challenge_id(record.task, number), record.principal.owner
        made = self._challenge(challenge_id, record, operation, provider, await self._time_to_answer(record))
        challenge = (await self.storage.challenges.add(made, operation, owner)).challenge
        happened(names.PARKED, TASK=challenge.task)
        await self.storage.board.move(
            record.task,
            owner,
            TaskState.TASK_STATE_AUTH_REQUIRED,
            [text_part(operation.explanation), data_part({"challenge": challenge.as_json()})],
            extensions=[IN_TASK_EXTENSION],
        )
        return challenge

    async def ask_sign_in(self, record: Record, wanted: StepUp) -> float:
        """Parks the task until its person signs in as is wanted; until when that is waited for. Repeatable.

        No link goes out: signing in again is the business of whom they signed in with, and not of an agent.
        """
        said: Json = {"sign_in": {"issuer": record.principal.issuer, **wanted.as_json()}}
        parts = [text_part("This needs a stronger or fresher sign-in."), data_part(said)]
        state = TaskState.TASK_STATE_AUTH_REQUIRED
        until = self.workload.clock() + await self._time_to_answer(record)
        await self.storage.board.move(record.task, record.principal.owner, state, parts)
        happened(names.PARKED, TASK=record.task)
        return until

    async def _time_to_answer(self, record: Record) -> float:
        """Seconds that the person has: ours, or fewer where the caller does not wait so long."""
        task = await self.storage.board.get(record.task, record.principal.owner)
        wanted = time_allowed(task.history[0]) if task is not None and task.history else None
        return self.patience if wanted is None else min(wanted, self.patience)

    def _challenge_id(self, task: str, number: int) -> str:
        """Unguessable, and the same when a restart asks the same question again."""
        secret = self.workload.home.secret(f"{self.workload.name}-challenges")
        return urlsafe_b64encode(hmac.digest(secret, f"{task}|{number}".encode(), "sha256"))[:32].decode()

    def _challenge(
        self, challenge_id: str, record: Record, operation: PinnedOperation, provider: Provider, seconds: float
    ) -> Challenge:
        return Challenge(
            id=challenge_id,
            link=f"{self.workload.url}/authorize/{challenge_id}",
            provider=provider,
            authorization_details=(dict(operation.details),),
            asked_by=self.workload.name,
            through=record.principal.chain,
            subject_issuer=record.principal.issuer,
            subject=record.principal.subject,
            task=record.task,
            expires_at=int(self.workload.clock() + seconds),
        )

    async def answer(self, challenge: Challenge, said: Answered, before: Answered = Answered.OPEN) -> bool:
        """Records an answer and wakes the call. False when another answer was faster."""
        if not await self.storage.challenges.move(challenge.id, before, said):
            return False
        await self._wake(challenge, said)
        return True

    async def grant(
        self, challenge: Challenge, owner: str, token: AccessToken, details: Sequence[Json], consent_id: str | None
    ) -> bool:
        """Records a yes with its credential, and wakes the call. False when the question was closed meanwhile."""
        await self.storage.vault.put(owner, challenge.task, credential_name(challenge.id), token)
        granted: Json = {"granted": [dict(one) for one in details], "consent_id": consent_id}
        moved = await self.storage.challenges.move(challenge.id, Answered.REDEEMING, Answered.GRANTED, **granted)
        if moved:
            await self._wake(challenge, Answered.GRANTED)
        else:
            await self.storage.vault.forget(owner, challenge.task, credential_name(challenge.id))
        return moved

    async def remind(self, task: str) -> None:
        """Wakes a call once more for an answer that was recorded just before a crash."""
        for question in await self.storage.challenges.of_task(task):
            if question.state not in (Answered.OPEN, Answered.REDEEMING, Answered.EXPIRED):
                await self._wake(question.challenge, question.state)

    async def _wake(self, challenge: Challenge, said: Answered) -> None:
        happened(names.RESUMED, TASK=challenge.task, OUTCOME=said.value)
        await durable.send(challenge.task, {"state": said.value}, challenge.id)

    async def withdraw(self, record: Record) -> bool:
        """Takes the open question of a task back. False when there is none: it is too late."""
        task = record.task
        if await self._waits_for_sign_in(record):
            await durable.send(task, {"state": Answered.CANCELED.value}, sign_in_topic(task))
            return True
        for question in await self.storage.challenges.of_task(task):
            if await self.answer(question.challenge, Answered.CANCELED):
                return True
        return False

    async def expire(self, challenge: str, *, for_good: bool) -> bool:
        """Closes a question that nobody answered; `for_good` also one whose credential never came."""
        befores = (Answered.OPEN, Answered.REDEEMING) if for_good else (Answered.OPEN,)
        for before in befores:
            if await self.storage.challenges.move(challenge, before, Answered.EXPIRED):
                return True
        return False

    async def reveal(self, record: Record, consent: Consent) -> AccessToken:
        """The credential of a consent, at the place of its use. Raises `InvalidGrant` when it is gone."""
        kept = await self.storage.vault.get(record.principal.owner, record.task, credential_name(consent.challenge))
        if kept is None:
            raise InvalidGrant("The consent is used up.", hint="Ask again.")
        return self.workload.bound(AccessToken(kept.decode()))

    async def keep(self, record: Record, principal: Principal) -> None:
        """Keeps the subject's token while the call waits."""
        if principal.token is not None:
            await self.storage.vault.put(record.principal.owner, record.task, SUBJECT, _sealable(principal))

    async def principal(self, record: Record) -> Principal:
        """Who called, with the freshest token of theirs that is at hand."""
        kept = await self.storage.vault.get(record.principal.owner, record.task, SUBJECT)
        if kept is None:
            return record.principal
        stored = json.loads(kept)
        return replace(principal_from(stored["principal"], AccessToken(stored["token"])), txn=record.principal.txn)

    async def renew(self, record: Record, caller: Principal) -> None:
        """Keeps the caller's token if it is fresher, of the same person through the same actors, and for this task.

        A call that began with a bound token is not renewed by one that whoever stole it could send, and one that ended
        keeps nothing, however late this comes. One that waits for another sign-in is woken.
        """
        held = await self.principal(record)
        same = _bearer(held) == _bearer(caller) and caller.txn == record.principal.txn
        as_bound = record.principal.confirmation is None or caller.confirmation is not None
        if same and as_bound and caller.token is not None and renews(caller, held, self.workload.clock()):
            await self.storage.vault.replace(record.principal.owner, record.task, SUBJECT, _sealable(caller))
            if await self._waits_for_sign_in(record):
                await durable.send(record.task, {"state": f"renewed {caller.jti}"}, sign_in_topic(record.task))

    async def _waits_for_sign_in(self, record: Record) -> bool:
        task = await self.storage.board.get(record.task, record.principal.owner)
        if task is None or task.status.state != TaskState.TASK_STATE_AUTH_REQUIRED:
            return False
        return "sign_in" in (data_of(task.status.message.parts) or {})

    async def tell(self, task: str, state: str) -> None:
        """Starts telling the task's receiver, if it has one. Called within the task's workflow."""

        async def receiver() -> str | None:
            return (await self.storage.calls.get(task)).push

        url = await durable.step("receiver", receiver)
        if url is not None:
            await durable.push(task, url, state)

    async def notify(self, task: str, url: str, state: str) -> None:
        """Tells a receiver that the task changed. Raises `ProviderUnavailable` when it should be tried again."""
        try:
            with acting_for(None, None):
                async with self.workload.detail(Target(origin_of(url), (NOTIFY,), Grant.S2S)):
                    reply = await self.workload.http.post(url, json={"task": task, "state": state})
        except httpx.HTTPError:
            raise ProviderUnavailable("The receiver of the push does not answer.") from None
        except GrantRefused as refused:
            if isinstance(refused, ProviderUnavailable):
                raise
            log.warning("no push for task %s: %s", task, refused.description)
            return
        if reply.status_code >= 500 or reply.status_code in (401, 429):
            raise ProviderUnavailable("The receiver of the push has a problem.")


def _sealable(principal: Principal) -> bytes:
    token = None if principal.token is None else principal.token.reveal()
    return json.dumps({"principal": principal_json(principal), "token": token}).encode()


def _bearer(principal: Principal) -> tuple[str, tuple[str, ...], str]:
    return principal.owner, principal.chain, principal.client_id


def sign_in_topic(task: str) -> str:
    """Under which a call that waits for another sign-in is told of one."""
    return f"{task}:sign-in"


def credential_name(challenge: str) -> str:
    """The name in the vault of what a challenge yielded."""
    return f"credential:{challenge}"


def origin_of(url: str) -> str:
    """The origin of a URL, as audiences are written. Raises `InvalidRequest` for what is none."""
    scheme, host, port = origin(url)
    default = {"http": 80, "https": 443}[scheme]
    return f"{scheme}://{host}" if port == default else f"{scheme}://{host}:{port}"
