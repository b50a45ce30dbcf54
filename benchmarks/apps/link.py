"""One of a chain of services."""

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from benchmarks.apps import SCOPE, passing, protected
from stead.identity.egress import Target
from stead.identity.types import ASGIApp
from stead.identity.values import Grant
from stead.identity.workload import Workload


def app(workload: Workload, number: str, following: str = "") -> ASGIApp:
    """One of a chain of services: it calls the next in the caller's stead, as often as it is told to."""

    async def answer(request: Request) -> Response:
        left = int((await request.json())["params"]["hops"]) - 1
        if left > 0:
            target = Target(following, (SCOPE,), Grant.OBO)
            async with workload.hop(target, operation="pass", resource="link.pass"):
                reply = await workload.http.post(f"{following}/pass", json=passing(left))
            reply.raise_for_status()
        return JSONResponse({"jsonrpc": "2.0", "id": 1, "result": {"left": left}})

    service = Starlette(routes=[Route("/pass", answer, methods=["POST"])])
    return protected(workload, service, "pass", "link.pass", Grant.LOGIN if number == "1" else Grant.OBO)
