"""The agent card: what this agent can do, and by what right it may be asked to. It says only what is enforced."""

from collections.abc import Mapping

from a2a.types import (
    AgentCapabilities,
    AgentCard,
    AgentExtension,
    AgentInterface,
    AgentSkill,
    ClientCredentialsOAuthFlow,
    OAuth2SecurityScheme,
    OAuthFlows,
    OpenIdConnectSecurityScheme,
    SecurityRequirement,
    SecurityScheme,
    StringList,
)
from google.protobuf.json_format import ParseDict
from google.protobuf.struct_pb2 import Struct

from stead.agents.kit.skill import Skill
from stead.agents.kit.wire import IDENTITY_EXTENSION, IN_TASK_EXTENSION
from stead.identity.binding import Binding, is_wanted
from stead.identity.home import Network
from stead.identity.types import Json
from stead.identity.values import Grant
from stead.identity.workload import Workload

PERSON, SERVICE = "person", "service"
"""The two security schemes: a token of a person, exchanged by the caller; a token of the caller itself."""


def agent_card(name: str, description: str, skills: Mapping[str, Skill], workload: Workload) -> AgentCard:
    """The card of the agent `name` that runs as `workload`."""
    url, issuer, network = workload.url, workload.issuer, workload.network
    parks = any(skill.provider for skill in skills.values())
    return AgentCard(
        name=name,
        description=description,
        version="1.0.0",
        supported_interfaces=[AgentInterface(url=f"{url}/a2a", protocol_binding="JSONRPC", protocol_version="1.0")],
        capabilities=AgentCapabilities(
            streaming=True,
            push_notifications=any(skill.durable for skill in skills.values()),
            extensions=[_identity(skills, network, workload.settings.dpop), *([_in_task()] if parks else [])],
        ),
        default_input_modes=["application/json", "text/plain"],
        default_output_modes=["application/json", "text/plain"],
        security_schemes=_schemes(issuer, skills),
        security_requirements=[SecurityRequirement(schemes={kind: StringList()}) for kind in _kinds(skills)],
        skills=[_skill(skill) for skill in skills.values()],
    )


def _kinds(skills: Mapping[str, Skill]) -> list[str]:
    return sorted({_kind(skill) for skill in skills.values()})


def _kind(skill: Skill) -> str:
    return SERVICE if skill.grant is Grant.S2S else PERSON


def _schemes(issuer: str, skills: Mapping[str, Skill]) -> dict[str, SecurityScheme]:
    kinds = _kinds(skills)
    person = OpenIdConnectSecurityScheme(
        description="An access token of a person for this agent, obtained by token exchange (RFC 8693).",
        open_id_connect_url=f"{issuer}/.well-known/openid-configuration",
    )
    made = {PERSON: SecurityScheme(open_id_connect_security_scheme=person)} if PERSON in kinds else {}
    return {**made, SERVICE: _service(issuer, skills)} if SERVICE in kinds else made


def _service(issuer: str, skills: Mapping[str, Skill]) -> SecurityScheme:
    scopes = {
        scope: skill.description for skill in skills.values() if skill.grant is Grant.S2S for scope in skill.scopes
    }
    flow = ClientCredentialsOAuthFlow(token_url=f"{issuer}/token", scopes=scopes)
    return SecurityScheme(
        oauth2_security_scheme=OAuth2SecurityScheme(
            description="An access token of the calling service itself (RFC 6749 s4.4). No person's token is accepted.",
            flows=OAuthFlows(client_credentials=flow),
            oauth2_metadata_url=f"{issuer}/.well-known/oauth-authorization-server",
        )
    )


def _skill(skill: Skill) -> AgentSkill:
    return AgentSkill(
        id=skill.id,
        name=skill.id.replace("_", " ").capitalize(),
        description=skill.description,
        tags=skill.tags,
        examples=skill.examples,
        security_requirements=[SecurityRequirement(schemes={_kind(skill): StringList(list=skill.scopes)})],
    )


def _identity(skills: Mapping[str, Skill], network: Network, binding: Binding) -> AgentExtension:
    params = {"skills": {name: _declaration(skill, network, binding) for name, skill in skills.items()}}
    return AgentExtension(
        uri=IDENTITY_EXTENSION,
        description="By what right each skill is called, and its typed input and output.",
        params=ParseDict(params, Struct()),
    )


def _declaration(skill: Skill, network: Network, binding: Binding) -> Json:
    provider = None if skill.provider is None else skill.provider(network).as_json()
    return {
        "grant": (Grant.IN_TASK if provider else skill.grant).value,
        "scopes": list(skill.scopes),
        "effects": skill.effects,
        "bound": is_wanted(binding, effects=skill.effects),
        "provider": provider,
        "input_schema": skill.inputs.model_json_schema(),
        "output_schema": skill.output_schema(),
    }


def _in_task() -> AgentExtension:
    return AgentExtension(
        uri=IN_TASK_EXTENSION,
        description="A task may wait for a person to authorize it at a second provider. Credentials go out of band.",
    )
