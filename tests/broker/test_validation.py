"""What every plan must satisfy, whoever made it."""

from typing import Any

import pytest

from stead.broker.errors import PlanInvalid
from stead.broker.planner import validate
from stead.broker.plans import Plan, Step, references, resolve
from tests.broker.candidates import FINPORT, PORTFOLIO, SEND, TREND


def step(candidate: Any, number: int = 1, **inputs: Any) -> Step:
    return Step.of(candidate, number, "because", inputs)


def why(*steps: Step) -> str:
    with pytest.raises(PlanInvalid) as caught:
        validate(Plan(goal="g", planner="p", steps=steps), FINPORT)
    return " ".join(caught.value.reasons)


def test_a_good_plan_is_returned() -> None:
    made = Plan(goal="g", planner="p", steps=(step(PORTFOLIO), step(TREND, 2, symbols=["AAPL"])))
    assert validate(made, FINPORT) is made


def test_an_unknown_skill_is_refused() -> None:
    assert "no skill “portfolio.sell”" in why(step(PORTFOLIO).model_copy(update={"skill": "portfolio.sell"}))


def test_a_borrowed_identity_is_refused() -> None:
    assert "identity" in why(step(PORTFOLIO).model_copy(update={"identity": SEND.identity}))


def test_hidden_effects_are_refused() -> None:
    assert "effects" in why(step(SEND, payee="Carol", amount="5.00").model_copy(update={"effects": False}))


def test_a_missing_input_is_refused() -> None:
    assert "'amount' is a required property" in why(step(SEND, payee="Carol"))


def test_an_input_of_a_wrong_type_is_refused() -> None:
    assert "amount" in why(step(SEND, payee="Carol", amount=[1]))


def test_an_input_that_the_skill_does_not_have_is_refused() -> None:
    assert "has no input “iban”" in why(step(SEND, payee="Carol", amount="5.00", iban="DE00"))


def test_a_cycle_is_refused() -> None:
    one = step(PORTFOLIO).model_copy(update={"needs": ("s2",)})
    two = step(TREND, 2, symbols=["AAPL"]).model_copy(update={"needs": ("s1",)})
    assert "wait for one another" in why(one, two)


def test_a_step_that_needs_itself_is_refused() -> None:
    assert "wait for one another" in why(step(PORTFOLIO).model_copy(update={"needs": ("s1",)}))


def test_a_need_outside_the_plan_is_refused() -> None:
    assert "not in the plan" in why(step(PORTFOLIO).model_copy(update={"needs": ("s9",)}))


def test_two_steps_of_one_id_are_refused() -> None:
    assert "same id" in why(step(PORTFOLIO), step(PORTFOLIO))


def test_thirteen_steps_are_refused() -> None:
    assert "13 steps" in why(*(step(TREND, number, symbols=[f"A{number}"]) for number in range(13)))


def test_a_reference_to_what_is_not_given_is_refused() -> None:
    assert "gives no “output.profit”" in why(
        step(PORTFOLIO), step(SEND, 2, payee="Carol", amount={"$ref": "s1.output.profit"})
    )


def test_a_reference_into_a_list_is_accepted() -> None:
    symbols = [{"$ref": "s1.output.positions.0.symbol"}]
    made = Plan(goal="g", planner="p", steps=(step(PORTFOLIO), step(TREND, 2, symbols=symbols)))
    assert validate(made, FINPORT).steps[1].needs == ("s1",)


def test_a_reference_takes_what_the_step_gave() -> None:
    inputs = {"amount": {"$ref": "s1.output.total"}, "list": [{"$ref": "s1.output.all.1"}], "plain": 3}
    assert [step for step, _ in references(inputs)] == ["s1", "s1"]
    assert resolve(inputs, {"s1": {"total": "5", "all": [1, 2]}}) == {"amount": "5", "list": [2], "plain": 3}


def test_a_reference_to_nothing_is_a_lookup_error() -> None:
    with pytest.raises(LookupError, match=r"s1\.output\.none"):
        resolve({"$ref": "s1.output.none"}, {"s1": {}})
