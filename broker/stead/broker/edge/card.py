"""The broker's own agent card: one skill, ask, with the example prompts of whatever is registered."""

from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentSkill,
    OpenIdConnectSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)

from stead.broker.registry import Registry
from stead.broker.registry.cards import IN_TASK_EXTENSION
from stead.identity.workload import Workload

ASK = "broker:ask"
RPC_PATH, REST_PATH = "/a2a", "/rest"
_PERSON = "person"


def broker_card(workload: Workload) -> AgentCard:
    """The card, without examples yet."""
    scheme = OpenIdConnectSecurityScheme(
        description="An access token of a person for this broker.",
        open_id_connect_url=f"{workload.issuer}/.well-known/openid-configuration",
    )
    needed = [SecurityRequirement(schemes={_PERSON: StringList(list=[ASK])})]
    return AgentCard(
        name="Agent Broker",
        description="Say what you want: it plans over the network's agents, shows the plan, and acts in your stead.",
        version="1.0.0",
        supported_interfaces=[
            AgentInterface(url=f"{workload.url}{RPC_PATH}", protocol_binding="JSONRPC", protocol_version="1.0"),
            AgentInterface(url=f"{workload.url}{REST_PATH}", protocol_binding="HTTP+JSON", protocol_version="1.0"),
        ],
        capabilities=AgentCapabilities(streaming=True, extensions=[_relays()]),
        default_input_modes=["text/plain"],
        default_output_modes=["text/plain", "application/json"],
        security_schemes={_PERSON: SecurityScheme(open_id_connect_security_scheme=scheme)},
        security_requirements=needed,
        skills=[_ask(needed)],
    )


def with_examples(card: AgentCard, registry: Registry) -> AgentCard:
    """A copy of the card with the examples of what is registered now."""
    made = AgentCard()
    made.CopyFrom(card)
    made.skills[0].examples[:] = registry.examples()
    return made


def _ask(needed: list[SecurityRequirement]) -> AgentSkill:
    return AgentSkill(
        id="ask",
        name="Ask",
        description="Plans a goal in plain English over the network's agents and tools, and carries the plan out.",
        tags=["planning", "orchestration"],
        security_requirements=needed,
    )


def _relays() -> AgentExtension:
    return AgentExtension(
        uri=IN_TASK_EXTENSION,
        description="A task may wait for a person's authorization at a second provider, as an agent asked.",
    )
