"""Type hints are the schema; what is injected is no input."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from stead.agents.kit import Agent, Ask, Grant, McpClient, Principal, Provider
from stead.agents.kit.serializer import PlainJson
from stead.agents.kit.skill import skill_of
from stead.agents.transfer.directory import Directory, Payee, spelling
from stead.identity.errors import AccessDenied, ConfigurationError, InvalidRequest
from stead.identity.values import AccessToken


class Answer(BaseModel):
    number: Decimal

    def __str__(self) -> str:
        return f"It is {self.number}."


async def half(user: Principal, ask: Ask, number: Decimal, note: str = "") -> Answer:
    """Halves a number."""
    return Answer(number=number / 2)


def test_the_hints_of_a_function_are_its_schema() -> None:
    schema = skill_of(half).inputs.model_json_schema()
    assert set(schema["properties"]) == {"number", "note"}
    assert schema["required"] == ["number"]


def test_input_that_does_not_fit_is_refused_by_field() -> None:
    with pytest.raises(InvalidRequest, match=r"number: .*decimal") as refused:
        skill_of(half).read({"number": "much"})
    assert "number, note (optional)" in str(refused.value.hint)


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="user"):
        skill_of(half).read({"number": "1", "user": "mallory"})


def test_a_result_speaks_for_itself() -> None:
    skill = skill_of(half)
    assert skill.say(Answer(number=Decimal(2))) == "It is 2."
    assert skill.write(Answer(number=Decimal(2))) == {"number": "2"}


def test_a_plain_result_becomes_an_object() -> None:
    async def greet() -> str:
        """Greets."""
        return "hello"

    skill = skill_of(greet)
    assert skill.write("hello") == {"result": "hello"}
    assert skill.output_schema()["properties"]["result"]["type"] == "string"


def test_a_skill_without_docstring_or_hints_is_a_mistake() -> None:
    async def silent(number: int) -> int:
        return number

    async def untyped(number):  # type: ignore[no-untyped-def]
        """Says something."""

    for function in (silent, untyped):
        with pytest.raises(ConfigurationError):
            skill_of(function)


def test_a_service_skill_cannot_ask_a_person() -> None:
    with pytest.raises(ConfigurationError, match="no person"):
        skill_of(half, grant=Grant.S2S, provider=lambda network: Provider(network.bank_idp, "Bank"))


def test_a_skill_that_asks_is_durable() -> None:
    assert skill_of(half, provider=lambda network: Provider(network.bank_idp, "Bank")).durable
    assert not skill_of(half).durable


def test_a_client_that_the_agent_does_not_need_is_a_mistake() -> None:
    agent = Agent("probe", "Probes.")
    with pytest.raises(ConfigurationError, match="holdings"):

        @agent.skill()
        async def look(holdings: McpClient) -> str:
            """Looks."""
            return ""


def test_the_scope_of_a_skill_is_its_name_unless_it_says_otherwise() -> None:
    agent = Agent("probe", "Probes.")
    agent.skill()(half)
    assert agent.scopes == ("probe:half",)


@pytest.mark.parametrize("value", [AccessToken("eyJ.x.y"), object(), {"a": {1, 2}}, float("nan"), b"x"])
def test_a_workflow_keeps_no_token_and_no_unknown_class(value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        PlainJson().serialize({"args": [value], "kwargs": {}})


def test_a_refusal_survives_in_a_workflow_and_a_foreign_exception_leaves_only_its_name() -> None:
    kept = PlainJson()
    again = kept.deserialize(kept.serialize(AccessDenied("No.", hint="Ask.")))
    assert isinstance(again, AccessDenied)
    assert (again.description, again.hint) == ("No.", "Ask.")
    assert "secret" not in kept.serialize(ValueError("a secret"))


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("Bob's savings", "bob's SAVINGS"),
        ("Bob's savings", "to Bobs savings account"),
        ("Bob’s savings", "Bob's savings"),
        ("my brokerage account", "brokerage"),
        ("Carol", "carol"),
    ],
)
def test_an_alias_is_found_however_it_is_spelled(said: str, meant: str) -> None:
    assert spelling(said) == spelling(meant)


def test_an_unknown_payee_is_refused_with_those_there_are(home: Any) -> None:
    directory = Directory(home.database("directory"))
    directory.put("iss", "alice", Payee("Carol", "Carol Adeyemi", "DE00"))
    with pytest.raises(InvalidRequest) as refused:
        directory.payee("iss", "alice", "Mallory")
    assert "“Carol”" in str(refused.value.hint)
    with pytest.raises(InvalidRequest):
        directory.payee("iss", "bob", "Carol")
