"""Who calls, as the SDK carries it; and what was authorized at the door, which is what is then done."""

from dataclasses import dataclass
from typing import Any

from a2a.auth.user import User
from a2a.extensions.common import HTTP_EXTENSION_HEADER, get_requested_extensions
from a2a.server.context import ServerCallContext
from a2a.server.routes.common import ServerCallContextBuilder
from a2a.types import SendMessageRequest
from a2a.utils.constants import VERSION_HEADER
from a2a.utils.errors import InvalidParamsError
from starlette.requests import Request

from stead.agents.kit.skill import Skill
from stead.agents.kit.wire import Call, read_call, send_request
from stead.identity.errors import IdentityError, InvalidRequest
from stead.identity.ingress import Operation
from stead.identity.types import Json, Scope
from stead.identity.values import Principal

_CALL = "stead.call"
_SENDING = frozenset({"SendMessage", "SendStreamingMessage"})


class Caller(User):
    """The verified principal, as the SDK's user. Its name is the owner of tasks."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal

    @property
    def is_authenticated(self) -> bool:
        return True

    @property
    def user_name(self) -> str:
        return self.principal.owner


class CallerContext(ServerCallContextBuilder):
    """Builds the SDK's call context from the principal alone: of the headers only the protocol's version goes in."""

    def build(self, request: Request) -> ServerCallContext:
        headers, state = request.headers, request.scope.get("state", {})
        return ServerCallContext(
            user=Caller(request.scope["user"]),
            state={"headers": {VERSION_HEADER: headers.get(VERSION_HEADER, "")}, _CALL: state.get(_CALL)},
            requested_extensions=get_requested_extensions(headers.getlist(HTTP_EXTENSION_HEADER)),
        )


@dataclass(frozen=True, slots=True)
class Door:
    """Tells the ingress what a request asks for, and keeps that for the handler: nothing is read twice."""

    agent: str
    skills: dict[str, Skill]

    def describe(self, scope: Scope, document: Json) -> Operation | None:
        """The operation of a message that starts a task. Polls, and messages to a task one has, are none."""
        if document.get("method") not in _SENDING:
            return None
        state = scope.setdefault("state", {})
        try:
            call = self._call(document.get("params", {}))
        except InvalidRequest as error:
            state[_CALL] = error
            return None
        state[_CALL] = call
        if call is None:
            return None
        resource = f"{self.agent}.{call.skill.id}"
        return Operation(str(document["method"]), resource, call.input, call.skill.effects)

    def _call(self, params: Any) -> Call | None:
        request: SendMessageRequest = send_request(params)
        return None if request.message.task_id else read_call(request.message, self.skills)


def authorized_call(context: ServerCallContext) -> Call:
    """What the ingress let in. Raises `InvalidParamsError` when it could not be read."""
    call = context.state.get(_CALL)
    if isinstance(call, Call):
        return call
    raise invalid(call if isinstance(call, IdentityError) else InvalidRequest("The message asks for nothing."))


def invalid(error: IdentityError) -> InvalidParamsError:
    """An error of ours in the protocol's form, with the hint and the fields."""
    data: Json = {"code": error.code, **({"hint": error.hint} if error.hint else {})}
    fields = error.details.get("fields", ())
    if fields:
        data["errors"] = [{"field": name, "message": why} for name, why in fields]
    return InvalidParamsError(error.description, data)


def principal_of(context: ServerCallContext) -> Principal:
    """Who calls. Raises `TypeError` for a context that was not built here: the app is mounted wrongly."""
    if not isinstance(context.user, Caller):
        raise TypeError("the call context carries no verified principal")
    return context.user.principal
