"""How a call ends, as a value that can be stored: done with a result, refused with a reason, failed, or taken back."""

import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from typing import Any

from a2a.types import Artifact, Part, TaskState

from stead.agents.kit.errors import Canceled, Expired
from stead.agents.kit.skill import Skill
from stead.agents.kit.wire import artifact, data_part, text_part
from stead.identity.errors import ConfigurationError, IdentityError, ProviderUnavailable
from stead.identity.step_up import wanted_by
from stead.identity.types import Json

COMPLETED, REJECTED, FAILED, CANCELED = "COMPLETED", "REJECTED", "FAILED", "CANCELED"
_STATES = {
    COMPLETED: TaskState.TASK_STATE_COMPLETED,
    REJECTED: TaskState.TASK_STATE_REJECTED,
    FAILED: TaskState.TASK_STATE_FAILED,
    CANCELED: TaskState.TASK_STATE_CANCELED,
}
_FAILURES = (ProviderUnavailable, ConfigurationError, Expired)
log = logging.getLogger("stead.kit")


@dataclass(frozen=True, slots=True)
class Ending:
    """`state` is the last word of the A2A state; `text` is for people and `data` for programs."""

    state: str
    text: str
    data: Json

    @property
    def task_state(self) -> TaskState:
        """The A2A state."""
        return _STATES[self.state]

    def as_json(self) -> Json:
        """For a store."""
        return asdict(self)

    def parts(self) -> list[Part]:
        """The status message: a refusal says why; a result is in the artifact."""
        return [text_part(self.text)] if self.state == COMPLETED else [text_part(self.text), data_part(self.data)]

    def artifact(self, skill: str) -> Artifact | None:
        """The result, named as the skill."""
        return artifact(skill, self.text, self.data) if self.state == COMPLETED else None


async def ending_of(skill: Skill, work: Callable[[], Awaitable[Any]]) -> Ending:
    """Does the work and says how it ended. No exception escapes, and no exception's text."""
    try:
        output = await work()
        return Ending(COMPLETED, skill.say(output), skill.write(output))
    except Canceled as error:
        return told(CANCELED, error)
    except IdentityError as error:
        if error.debug is not None:
            log.warning("%s: %s", skill.id, error.debug)
        return told(FAILED if isinstance(error, _FAILURES) else REJECTED, error)
    except Exception:
        return failure(skill.id)


def failure(skill: str) -> Ending:
    """The ending for what nobody foresaw: the log has it, the caller has its number."""
    incident = secrets.token_hex(4)
    log.exception("%s failed, incident %s", skill, incident)
    return _error(FAILED, "internal_error", f"{skill} failed.", f"Ask its operator about incident {incident}.")


def interrupted() -> Ending:
    """The ending of a call that a restart cut off before it had done anything that lasts."""
    return _error(FAILED, "interrupted", "The agent was restarted while it worked.", "Ask once more.")


def told(state: str, error: IdentityError) -> Ending:
    """An error of ours as an ending."""
    return _error(state, error.code, error.description, error.hint, **wanted_by(error))


def _error(state: str, code: str, description: str, hint: str | None, **more: Any) -> Ending:
    return Ending(state, description, {"error": {"code": code, "description": description, "hint": hint, **more}})
