"""Another party has to allow it too: asked over AuthZEN, believed only in what it clearly says."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from stead.identity.decision_point import DecisionPoint
from stead.identity.driver import drive
from stead.identity.errors import ConfigurationError
from stead.identity.flows.authzen import EVALUATION, EVALUATIONS, WELL_KNOWN
from stead.identity.guard import EdgeGuard
from stead.identity.home import Home
from stead.identity.policy import Decision, Outcome, Policy
from stead.identity.policy.explaining import Question
from stead.identity.policy.service import decision_service
from stead.identity.settings import Settings
from stead.identity.types import Flow, Json, T
from stead.identity.values import AccessToken, Actor, Grant, Principal
from tests.identity.conftest import PAY, READ, Door

POINT, NOW = "http://127.0.0.9:7", 1_800_000_000
ALICE = Principal(
    issuer="http://idp",
    subject="alice",
    audience="http://here",
    client_id="broker",
    scopes=frozenset({"transfer:create"}),
    jti="j-1",
    expires_at=NOW + 300,
    grant=Grant.OBO,
    actor=Actor("broker", prior=Actor("finport-web")),
    claims=MappingProxyType({"roles": ["payer"], "acr": "pwd", "department": "trading"}),
    token=AccessToken("not-to-be-sent"),
)
SEND = Question(ALICE, "transfer.send", "SendMessage", {"amount": "250"}, NOW)
OWN_YES = Decision(Outcome.ALLOW, "declared")


class Point:
    """A decision point that answers whatever a test tells it to, and remembers what it was asked."""

    def __init__(self, app: Any) -> None:
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app), trust_env=False)
        self.sent: list[dict[str, str]] = []

    async def run(self, flow: Flow[T]) -> T:
        return await drive(flow, self.http)

    async def shows(self) -> Any:
        return lambda method, url: {"authorization": f"Bearer for-{method}-{url}"}

    def asked(self, **more: Any) -> DecisionPoint:
        return DecisionPoint(POINT, self.run, self.shows, **more)


def saying(*answers: Any, status: int = 200, metadata: Json | None = None, asked: list[Json] | None = None) -> Point:
    left = list(answers)

    async def answer(request: Request) -> Response:
        if asked is not None:
            asked.append({"headers": dict(request.headers), **await request.json()})
        said = left.pop(0) if len(left) > 1 else left[0]
        return PlainTextResponse(said, status) if isinstance(said, str) else JSONResponse(said, status)

    async def describe(_: Request) -> Response:
        return JSONResponse(metadata) if metadata else Response(status_code=404)

    routes = [Route(path, answer, methods=["POST"]) for path in (EVALUATION, EVALUATIONS, "/elsewhere")]
    return Point(Starlette(routes=[*routes, Route(WELL_KNOWN, describe)]))


def stead_point(rules: str) -> Point:
    return Point(EdgeGuard(decision_service(Policy.load(rules), POINT, lambda: NOW)))


async def test_it_is_told_who_asks_for_what_and_never_a_token() -> None:
    asked: list[Json] = []
    await saying({"decision": True}, asked=asked).asked().decide(SEND)
    (question,) = asked
    assert question["headers"]["authorization"] == f"Bearer for-POST-{POINT}{EVALUATION}"
    assert (question["subject"]["type"], question["subject"]["id"]) == ("user", "alice")
    properties = question["subject"]["properties"]
    assert {"grant": "obo", "actor": "broker", "chain": ["broker", "finport-web"]}.items() <= properties.items()
    assert properties["claims"]["department"] == "trading"
    assert (question["action"], question["resource"]) == (
        {"name": "SendMessage"},
        {"type": "skill", "id": "transfer.send"},
    )
    assert question["context"] == {"input": {"amount": "250"}, "now": NOW}
    assert "not-to-be-sent" not in str(asked)


async def test_a_service_is_a_client_and_a_tool_is_a_tool() -> None:
    asked: list[Json] = []
    question = replace(SEND, principal=replace(ALICE, grant=Grant.S2S), action="tools/call")
    await saying({"decision": True}, asked=asked).asked().decide(question)
    assert (asked[0]["subject"]["type"], asked[0]["resource"]["type"]) == ("client", "tool")


@pytest.mark.parametrize("own", [Outcome.ALLOW, Outcome.CONSENT, Outcome.STEP_UP])
async def test_both_must_allow_and_the_stricter_one_is_told(own: Outcome) -> None:
    mine = Decision(own, "mine")
    yes, no = saying({"decision": True}).asked(), saying({"decision": False}).asked()
    assert await yes.narrowed(mine, SEND, effects=True) == mine
    refused = await no.narrowed(mine, SEND, effects=True)
    assert (refused.outcome, refused.rule) == (Outcome.DENY, "decision-point")


async def test_what_is_refused_here_is_asked_nowhere() -> None:
    asked: list[Json] = []
    mine = Decision(Outcome.DENY, "mine")
    assert await saying({"decision": True}, asked=asked).asked().narrowed(mine, SEND, effects=True) == mine
    assert asked == []


async def test_it_may_be_asked_for_effects_only() -> None:
    point = saying({"decision": False}).asked(only_effects=True)
    assert await point.narrowed(OWN_YES, SEND, effects=False) == OWN_YES
    assert (await point.narrowed(OWN_YES, SEND, effects=True)).outcome is Outcome.DENY


@pytest.mark.parametrize(
    "answer",
    [{}, {"decision": "true"}, {"decision": 1}, {"decision": None}, {"Decision": True}, {"decision": [True]}, "true",
     {"evaluations": [{"decision": True}]}],
)  # fmt: skip
async def test_an_answer_that_is_no_clear_yes_allows_nothing(answer: Any) -> None:
    decision = await saying(answer).asked().decide(SEND)
    assert decision.outcome is Outcome.DENY
    refusal = decision.refusal()
    assert refusal is not None
    assert (refusal.status, refusal.code) == (503, "temporarily_unavailable")


@pytest.mark.parametrize("status", [201, 204, 301, 400, 401, 403, 404, 429, 500, 503])
async def test_a_yes_with_another_status_allows_nothing(status: int) -> None:
    assert (await saying({"decision": True}, status=status).asked().decide(SEND)).outcome is Outcome.DENY


async def test_an_outage_allows_nothing() -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        point = Point(None)
        point.http = http
        decision = await point.asked().decide(SEND)
    assert (decision.outcome, decision.reason) == (Outcome.DENY, "The decision point does not answer.")


async def test_its_reason_and_the_sign_in_it_wants_reach_the_person() -> None:
    context = {"reason_user": {"de-403": "Nein.", "en-403": "Trading hours are over."}, "hint": "Come back at nine."}
    decision = await saying({"decision": False, "context": context}).asked().decide(SEND)
    assert (decision.reason, decision.hint) == ("Trading hours are over.", "Come back at nine.")
    raised = await saying({"decision": False, "context": {"acr_values": "mfa", "max_age": 300}}).asked().decide(SEND)
    assert (raised.outcome, dict(raised.params)) == (Outcome.STEP_UP, {"acr_values": "mfa", "max_age": 300})


@pytest.mark.parametrize("reason", ["x" * 5000, "two\nlines", "has ey" + "J0.token.in it", 7, {"en": ["x"]}, {}])
async def test_words_that_cannot_be_shown_are_not(reason: Any) -> None:
    decision = await saying({"decision": False, "context": {"reason_user": reason}}).asked().decide(SEND)
    assert decision.reason == "The decision point does not allow this."


async def test_a_point_that_speaks_for_another_is_not_asked() -> None:
    asked: list[Json] = []
    metadata = {"policy_decision_point": "https://evil.example", "access_evaluation_endpoint": f"{POINT}{EVALUATION}"}
    assert (
        await saying({"decision": True}, metadata=metadata, asked=asked).asked().decide(SEND)
    ).outcome is Outcome.DENY
    assert asked == []


@pytest.mark.parametrize("endpoint", ["https://evil.example/access", f"{POINT}0/access", "file:///etc", None, 7])
async def test_metadata_that_sends_the_question_elsewhere_is_not_followed(endpoint: Any) -> None:
    asked: list[Json] = []
    metadata = {"policy_decision_point": POINT, "access_evaluation_endpoint": endpoint}
    assert (
        await saying({"decision": True}, metadata=metadata, asked=asked).asked().decide(SEND)
    ).outcome is Outcome.DENY
    assert asked == []


async def test_metadata_says_where_it_is_asked() -> None:
    metadata = {"policy_decision_point": POINT, "access_evaluation_endpoint": f"{POINT}/elsewhere"}
    assert (await saying({"decision": True}, metadata=metadata).asked().decide(SEND)).allowed


async def test_several_questions_are_asked_at_once_and_one_by_one_where_it_cannot() -> None:
    asked: list[Json] = []
    both = {"evaluations": [{"decision": True}, {"decision": False}]}
    answers = await saying(both, asked=asked).asked().decide_all([SEND, SEND])
    assert ([one.allowed for one in answers], len(asked)) == ([True, False], 1)
    single = {"policy_decision_point": POINT, "access_evaluation_endpoint": f"{POINT}{EVALUATION}"}
    point = saying({"decision": True}, {"decision": False}, metadata=single, asked=asked)
    assert [one.allowed for one in await point.asked().decide_all([SEND, SEND])] == [True, False]


@pytest.mark.parametrize(
    "answer",
    [{"decision": True}, {"evaluations": [{"decision": True}]}, {"evaluations": [{"decision": True}] * 3},
     {"evaluations": {"0": {"decision": True}}}],
)  # fmt: skip
async def test_an_answer_of_another_length_answers_nothing(answer: Any) -> None:
    assert not any(one.allowed for one in await saying(answer).asked().decide_all([SEND, SEND]))


RULES = """
- {id: fine, resource: transfer.send, outcome: allow, when: 'principal.grant == "obo" && "payer" in principal.roles'}
- {id: large, resource: transfer.send, outcome: step_up, when: 'decimal(input.amount) > decimal("1000")',
   params: {acr_values: mfa}, reason: This is much.}
- {id: chain, resource: transfer.send, outcome: deny, when: '"stranger" in principal.chain', hint: Ask yourself.}
"""


@pytest.mark.parametrize(
    ("question", "outcome"),
    [
        (SEND, Outcome.ALLOW),
        (replace(SEND, input={"amount": "1000.01"}), Outcome.STEP_UP),
        (replace(SEND, input={}), Outcome.DENY),
        (replace(SEND, resource="transfer.other"), Outcome.DENY),
        (replace(SEND, principal=replace(ALICE, actor=Actor("broker", prior=Actor("stranger")))), Outcome.DENY),
        (replace(SEND, principal=replace(ALICE, claims={})), Outcome.DENY),
    ],
)
async def test_our_own_decision_point_decides_as_the_policy_would_here(question: Question, outcome: Outcome) -> None:
    there = await stead_point(RULES).asked().decide(question)
    asked = question.principal, question.resource, question.action, question.input, question.now
    here = Policy.load(RULES).decide(*asked)
    assert (here.outcome, there.outcome) == (outcome, outcome)
    if outcome is not Outcome.ALLOW:
        assert there.reason == here.reason


async def test_our_own_decision_point_answers_a_batch_in_order() -> None:
    questions = [SEND, replace(SEND, resource="transfer.other"), SEND]
    assert [one.allowed for one in await stead_point(RULES).asked().decide_all(questions)] == [True, False, True]


YES = {"subject": {"type": "user", "id": "alice", "properties": {"grant": "obo", "roles": ["payer"]}},
       "action": {"name": "SendMessage"}, "resource": {"type": "skill", "id": "transfer.send"},
       "context": {"input": {"amount": "1"}}}  # fmt: skip
NO = {"resource": {"type": "skill", "id": "transfer.other"}}


@pytest.mark.parametrize(
    ("semantic", "asked", "expected"),
    [
        (None, [{}, NO, {}], [True, False, True]),
        ("execute_all", [NO, {}, NO], [False, True, False]),
        ("deny_on_first_deny", [{}, NO, {}], [True, False]),
        ("permit_on_first_permit", [NO, {}, {}], [False, True]),
    ],
)
async def test_a_batch_is_answered_by_its_semantic(
    semantic: str | None, asked: list[Json], expected: list[bool]
) -> None:
    body = {**YES, "evaluations": asked, **({"options": {"evaluations_semantic": semantic}} if semantic else {})}
    answer = await stead_point(RULES).http.post(f"{POINT}{EVALUATIONS}", json=body)
    assert [one["decision"] for one in answer.json()["evaluations"]] == expected


async def test_a_batch_without_questions_is_one_question() -> None:
    for body in (YES, {**YES, "evaluations": []}):
        answer = await stead_point(RULES).http.post(f"{POINT}{EVALUATIONS}", json=body)
        assert answer.json() == {"decision": True}


async def test_the_callers_name_for_a_request_comes_back() -> None:
    answer = await stead_point(RULES).http.post(f"{POINT}{EVALUATION}", json=YES, headers={"x-request-id": "r-1"})
    assert answer.headers["x-request-id"] == "r-1"


def changed(**members: Any) -> Json:
    return {**YES, **members}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EVALUATION, {}),
        (EVALUATION, changed(subject={"type": "robot", "id": "x"})),
        (EVALUATION, changed(subject={"type": "user"})),
        (EVALUATION, changed(subject={"type": "user", "id": "a", "properties": {"grant": "root"}})),
        (EVALUATION, changed(subject={"type": "user", "id": "a", "properties": {"chain": ["a"] * 6}})),
        (EVALUATION, changed(action="SendMessage")),
        (EVALUATION, changed(resource={"type": "skill", "id": ""})),
        (EVALUATION, changed(context=[])),
        (EVALUATIONS, changed(evaluations=[7])),
        (EVALUATIONS, changed(evaluations=[{}] * 501)),
        (EVALUATIONS, changed(evaluations=[{}], options={"evaluations_semantic": "whatever"})),
        (EVALUATIONS, changed(evaluations=[{}], options=[])),
        (EVALUATIONS, changed(evaluations=[{}], options={"evaluations_semantic": []})),
        (EVALUATIONS, changed(evaluations=[{}], options={"evaluations_semantic": {"execute_all": True}})),
        (EVALUATIONS, changed(evaluations=[{}], options={"evaluations_semantic": None})),
    ],
)
async def test_a_question_that_is_none_is_refused_in_words(path: str, body: Json) -> None:
    answer = await stead_point(RULES).http.post(f"{POINT}{path}", json=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


class Told:
    """A policy that allows everything, and remembers who was asked about."""

    def __init__(self) -> None:
        self.principals: list[Principal] = []

    def decide(self, principal: Principal, *_: Any) -> Decision:
        self.principals.append(principal)
        return Decision(Outcome.ALLOW, "all")


async def test_a_batch_that_asks_much_about_one_subject_reads_it_once() -> None:
    """Reading claims costs more than deciding: five hundred times it would keep everybody else waiting."""
    told = Told()
    point = Point(EdgeGuard(decision_service(told, POINT, lambda: NOW)))
    properties = {"roles": ["payer"], "claims": {f"c{number}": "x" * 20 for number in range(400)}}
    other = {"subject": {"type": "user", "id": "bob"}}
    body = changed(subject={"type": "user", "id": "alice", "properties": properties}, evaluations=[{}] * 499 + [other])
    answer = await point.http.post(f"{POINT}{EVALUATIONS}", json=body)
    assert len(answer.json()["evaluations"]) == 500
    assert {id(one) for one in told.principals[:499]} == {id(told.principals[0])}
    assert told.principals[-1].subject == "bob"


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (EVALUATION, {"subject": {"type": "user", "id": "a", "properties": {"claims": {"c": "x" * 20_000}}}}),
        (EVALUATION, {"subject": {"type": "user", "id": "a", "properties": {"c": ["x"] * 20_000}}}),
        (EVALUATIONS, {"context": {"input": {"c": "x" * 20_000}}, "evaluations": [{}] * 100}),
    ],
)
async def test_a_question_that_would_keep_the_others_waiting_is_refused(path: str, body: Json) -> None:
    answer = await stead_point(RULES).http.post(f"{POINT}{path}", json=changed(**body))
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request")


async def test_a_caller_does_not_choose_the_time() -> None:
    late = '- {id: late, resource: transfer.send, outcome: allow, when: "now > 1900000000"}'
    body = changed(context={"now": 1_950_000_000, "input": {}})
    answer = await stead_point(late).http.post(f"{POINT}{EVALUATION}", json=body)
    assert answer.json()["decision"] is False


@pytest.fixture
def doors(issuer: Any, web: Any, clock: Any, tmp_path: Path) -> Iterator[Callable[[Point], Door]]:
    made: list[Door] = []

    def door(point: Point) -> Door:
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Door(issuer, web, clock, folder, beyond=point.asked()))
        return made[-1]

    yield door
    for each in made:
        each.journal.close()


async def test_the_door_asks_it_and_writes_down_its_no(doors: Callable[[Point], Door]) -> None:
    door = doors(saying({"decision": False, "context": {"reason_user": "Not today."}}))
    answer = await door.ask(PAY)
    assert (answer.status_code, answer.json()["error_description"]) == (403, "Not today.")
    assert door.app.scopes == []
    (event,) = door.events()
    assert {"decision": "deny", "rule": "decision-point", "description": "Not today."}.items() <= event.items()


async def test_the_door_stays_shut_while_nobody_decides_and_says_when_to_come_again(
    doors: Callable[[Point], Door],
) -> None:
    door = doors(saying("", status=500))
    answer = await door.ask(READ)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert door.events()[0]["code"] == "temporarily_unavailable"
    allowed = await doors(saying({"decision": True})).ask(READ)
    assert allowed.status_code == 200


def test_it_is_not_asked_where_anybody_could_answer(tmp_path: Path) -> None:
    from stead.identity.decision_point import decision_point
    from stead.identity.workload import Workload

    for url, plain in (("http://decisions.example", False), ("https://decisions.example", True)):
        settings = Settings.model_validate({"decision_point": {"url": url}, "issuer": "http://127.0.0.2:1"})
        workload = Workload.open(
            "portfolio-agent", url="http://127.0.0.5:1", home=Home(tmp_path), settings=settings, issuers=[]
        )
        if plain:
            assert decision_point(workload) is not None
        else:
            with pytest.raises(ConfigurationError, match="plain http"):
                decision_point(workload)
