"""What the kit has to be told of an agent: how to make it ask, where its question says what, and who answers how.

A small YAML file. What is not known in it is an error; whatever lies beside it is named relative to it.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from stead.identity.errors import ConfigurationError

EXTENSION = "urn:stead:a2a:in-task:v1"

Pointer = Annotated[str, Field(pattern=r"^(/([^~/]|~0|~1)*)*$")]
"""A JSON Pointer (RFC 6901)."""
Command = Annotated[tuple[str, ...], Field(min_length=1)]
"""A program and its arguments, run without a shell in the profile's folder."""
Seconds = Annotated[float, Field(gt=0, le=3600)]
Parts = Annotated[tuple[Mapping[str, Any], ...], Field(min_length=1)]


class Strict(BaseModel):
    """A section of the file."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Trigger(Strict):
    """The call that makes the agent ask a person."""

    parts: Parts
    changed: Parts
    metadata: Mapping[str, Any] = {}


class Question(Strict):
    """Where the data part of the parked task's status message says what."""

    extension: str = EXTENSION
    link: Pointer = "/challenge/link"
    details: Pointer = "/challenge/authorization_details"
    expires_at: Pointer = "/challenge/expires_at"


class Login(Strict):
    """What a person types at one provider."""

    username: str
    password_file: Path
    name_field: str = "username"


class PersonProfile(Strict):
    """One person: by what token they call the agent, and how they answer its question."""

    token_file: Path | None = None
    token_command: Command | None = None
    logins: Mapping[str, Login] = {}
    approve: Command | None = None
    deny: Command | None = None

    @model_validator(mode="after")
    def _one_way_each(self) -> Self:
        if self.token_file and self.token_command:
            raise ValueError("a token comes from a file or from a command, not from both")
        if self.logins and (self.approve or self.deny):
            raise ValueError("a person answers in the scripted browser (logins) or by commands, not by both")
        return self


class People(Strict):
    """The owner of the tasks, and everybody who tries to answer in the owner's place."""

    owner: PersonProfile
    others: Annotated[Mapping[str, PersonProfile], Field(min_length=1)]


class Buttons(Strict):
    """The values of the buttons on the provider's page."""

    approve: str = "approve"
    deny: str = "decline"


class Expiry(Strict):
    """How a question is made to expire soon: `metadata` of the call, and how long after its end the task may take."""

    metadata: Mapping[str, Any] = {}
    grace: Seconds = 10


class Tampering(Strict):
    """Commands that change, behind the agent's back, what it is about to do; and that change it back."""

    change: Command
    undo: Command | None = None


class Times(Strict):
    """How long a task that must stand still is watched, and how long one that must go on is waited for."""

    settle: Seconds = 1
    finish: Seconds = 30


class Profile(Strict):
    """The whole file."""

    trigger: Trigger
    question: Question = Question()
    result: Annotated[Mapping[Pointer, Pointer], Field(min_length=1)]
    people: People
    buttons: Buttons = Buttons()
    expiry: Expiry = Expiry()
    tampering: Tampering | None = None
    executions: Command | None = None
    times: Times = Times()


def load(path: Path) -> Profile:
    """The profile in a file. Raises `ConfigurationError` that names the place of a mistake."""
    try:
        return Profile.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except (OSError, UnicodeError):
        raise ConfigurationError(f"The profile {path} cannot be read.") from None
    except yaml.YAMLError:
        raise ConfigurationError(f"The profile {path} is not YAML.") from None
    except ValidationError as invalid:
        first = invalid.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise ConfigurationError(
            f"{path} is no profile at {place or 'the top'}: {first['msg']}.",
            hint="The reference lists what a profile may say.",
        ) from None
