"""What a durable workflow may keep: plain JSON, and errors of ours. Tokens and unknown classes are refused.

DBOS pickles by default; a pickle may hold anything, and runs code when it is read.
"""

import json
from typing import Any, ClassVar

from dbos import Serializer

from stead.agents.kit.errors import Canceled, Declined, Expired, StepFailed
from stead.identity import errors
from stead.identity.errors import IdentityError
from stead.identity.step_up import StepUp, wanted_by
from stead.identity.types import Json

_ERROR = "$error"


class PlainJson(Serializer):
    """JSON and nothing else. Raises `TypeError` for any other value."""

    def name(self) -> str:
        return "stead_json"

    def serialize(self, data: Any) -> str:
        if isinstance(data, BaseException):
            data = {_ERROR: _error(data)}
        return json.dumps(data, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_refuse)

    def deserialize(cls, serialized_data: str) -> Any:  # noqa: N805  the base class names it so
        value = json.loads(serialized_data)
        return _raised(value[_ERROR]) if isinstance(value, dict) and value.keys() == {_ERROR} else value


class Kinds:
    """Errors by the name of their class."""

    known: ClassVar[dict[str, type[IdentityError]]] = {
        kind.__name__: kind
        for kind in (*vars(errors).values(), Canceled, Declined, Expired)
        if isinstance(kind, type) and issubclass(kind, IdentityError)
    }


def _refuse(value: object) -> Any:
    raise TypeError(f"a {type(value).__name__} is not kept in a workflow: keep a handle")


def _error(error: BaseException) -> Json:
    """Our own errors with what may be shown; of any other only the class, because its text may hold anything."""
    if isinstance(error, IdentityError):
        told = {"kind": type(error).__name__, "description": error.description, "hint": error.hint}
        return {**told, **wanted_by(error)}
    return {"kind": "", "description": type(error).__name__, "hint": None}


def _raised(told: Json) -> Exception:
    kind = Kinds.known.get(told["kind"])
    if kind is None:
        return StepFailed(told["description"])
    return kind(told["description"], hint=told["hint"], **StepUp.from_json(told).as_json())
