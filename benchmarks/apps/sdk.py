"""The A2A SDK's own agent, which answers and keeps nothing."""

from a2a.helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from starlette.applications import Starlette

from benchmarks.apps import protected
from stead.identity.types import ASGIApp
from stead.identity.values import Grant
from stead.identity.workload import Workload


class _Echo(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        await event_queue.enqueue_event(new_text_message(context.get_user_input()))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError


def app(workload: Workload) -> ASGIApp:
    """The A2A SDK's agent, which answers with what it was told."""
    card = AgentCard(
        name="echo",
        description="Says it again.",
        version="1",
        supported_interfaces=[
            AgentInterface(url=f"{workload.url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")
        ],
        capabilities=AgentCapabilities(),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain"],
        skills=[AgentSkill(id="say", name="say", description="Says it again.", tags=["echo"])],
    )
    handler = DefaultRequestHandler(_Echo(), InMemoryTaskStore(), card)
    app = Starlette(routes=create_jsonrpc_routes(handler, "/a2a"))
    return protected(workload, app, "SendMessage", "echo.say", Grant.OBO)
