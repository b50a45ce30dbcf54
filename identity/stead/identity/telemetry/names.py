"""Every name that appears on a span. Nothing else in the code spells one.

Names under `mcp.` and `gen_ai.` are those of OpenTelemetry's conventions for generative AI, which are in development,
and so are pinned here. For A2A there is no convention yet: what it lacks, and what is ours alone, is under `stead.`.
"""

GENAI_CONVENTIONS = "0.1.0"
"""Of github.com/open-telemetry/semantic-conventions-genai."""

CONVENTIONS = "1.41.0"
"""Of github.com/open-telemetry/semantic-conventions: `error.type`, `server.*`, `enduser.*`, `service.*`."""

SCHEMA_URL = f"https://opentelemetry.io/schemas/{CONVENTIONS}"
SCOPE = "stead.identity"

MCP_METHOD = "mcp.method.name"
TOOL = "gen_ai.tool.name"
AGENT = "gen_ai.agent.name"
OPERATION = "gen_ai.operation.name"
EXECUTE_TOOL, INVOKE_AGENT = "execute_tool", "invoke_agent"

ERROR = "error.type"
SERVER, PORT = "server.address", "server.port"
PSEUDONYM, PERSON = "enduser.pseudo.id", "enduser.id"
SERVICE, NAMESPACE = "service.name", "service.namespace"

A2A_METHOD = "stead.a2a.method"
RESOURCE = "stead.resource"
GRANT = "stead.grant"
AUDIENCE = "stead.token.audience"
SCOPES = "stead.token.scopes"
TOKEN_ID = "stead.token.id"  # noqa: S105  (the id of a token, which is no credential)
BOUND = "stead.token.bound"
ACTORS = "stead.actors"
CHAIN_FROM = "stead.actors.from"
CLIENT = "stead.client"
TASK = "stead.task"
DECISION, RULE = "stead.decision", "stead.rule"
OUTCOME = "stead.outcome"
CONSENT = "stead.consent_id"

EXCHANGE_SPAN = "stead.token.obtain"
POLICY_SPAN = "stead.policy.decide"
PARKED, RESUMED, ENDED = "stead.task.parked", "stead.task.resumed", "stead.task.ended"
VAULT_PUT, VAULT_GET, VAULT_FORGET = "stead.vault.put", "stead.vault.get", "stead.vault.forget"
"""Events: they stand on the span in which they happened."""
