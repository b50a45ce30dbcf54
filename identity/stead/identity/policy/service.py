"""A decision point for others: a policy behind the AuthZEN Authorization API 1.0. Who may ask, the ingress says."""

import time
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stead.identity.errors import InvalidRequest
from stead.identity.flows.authzen import EVALUATION, EVALUATIONS, WELL_KNOWN
from stead.identity.ingress import Operation
from stead.identity.policy import authzen
from stead.identity.policy.asked import Questions, answer
from stead.identity.policy.batches import MEMBERS, Batch, read_batch
from stead.identity.policy.decision import Decides
from stead.identity.policy.engine import Policy
from stead.identity.policy.rules import declared
from stead.identity.types import Json, Scope
from stead.identity.values import Grant

ASK = "decisions:ask"
"""The scope of whoever may ask."""
RESOURCE = "decisions.ask"
ASKING = Policy([declared(RESOURCE, Grant.S2S, [ASK])], known_resources=[RESOURCE])
"""Who may ask: a service as itself, with the scope."""
REQUEST_ID = "x-request-id"


def decision_service(policy: Decides, url: str, clock: Callable[[], float] = time.time) -> Starlette:
    """The app that answers by `policy` at the origin `url`. Put it behind `Workload.protect` with `ASKING`."""

    def reply(request: Request, read: Callable[[Json], Batch]) -> Response:
        try:
            batch = read(request.scope["state"]["stead.json"])
            questions = Questions(clock())
            body = batch.answered(lambda document: answer(policy, questions.read(document)))
        except InvalidRequest as error:
            return JSONResponse(error.as_json(), error.status, _same_request(request))
        return JSONResponse(body, headers={"cache-control": "no-store", **_same_request(request)})

    async def one(request: Request) -> Response:
        return reply(request, _single)

    async def several(request: Request) -> Response:
        return reply(request, read_batch)

    async def metadata(_: Request) -> Response:
        return JSONResponse(authzen.described(url))

    return Starlette(
        routes=[
            Route(EVALUATION, one, methods=["POST"]),
            Route(EVALUATIONS, several, methods=["POST"]),
            Route(WELL_KNOWN, metadata),
        ]
    )


def describe(scope: Scope, document: Json) -> Operation:
    """What a request asks to have done: every one of them is a question."""
    return Operation(scope["method"], RESOURCE)


def _single(document: Json) -> Batch:
    return Batch(({name: document[name] for name in MEMBERS if name in document},), is_single=True)


def _same_request(request: Request) -> dict[str, str]:
    """The caller's name for it comes back (s10.1.3)."""
    return {REQUEST_ID: request.headers[REQUEST_ID][:200]} if REQUEST_ID in request.headers else {}
