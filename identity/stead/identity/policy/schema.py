"""The JSON Schema of a policy file, for editors: each of its two documents, the rules and the tests, fits it."""

from pydantic import TypeAdapter

from stead.identity.policy.cases import Tests
from stead.identity.policy.form import AnyRule
from stead.identity.types import Json

TITLE = "Policy of a service in a stead network"


def policy_schema() -> Json:
    """The schema, made of the models that files are read with (JSON Schema 2020-12)."""
    schema = TypeAdapter[object](list[AnyRule] | Tests | None).json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": TITLE, **schema}
