"""A real Keycloak as the decision point: it has to allow too what our own policy allows."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from stead.identity.decision_point import DecisionPoint
from stead.identity.driver import drive
from stead.identity.egress import shown
from stead.identity.flows.authzen import Credential
from stead.identity.peek import peek_claims
from stead.identity.policy.explaining import Question
from stead.identity.types import Flow, T
from stead.identity.values import AccessToken, Grant, Principal
from tests.providers.keycloak import available, free_issuer, keycloak

pytestmark = [
    pytest.mark.skipif(not available(), reason="Keycloak is not installed: run `make test`"),
    pytest.mark.timeout(500),
]
REALM = Path(__file__).with_name("decisions-realm.json")
CLIENT = ("decisions", "a-secret-of-this-test")
FEATURES = "authzen,token-exchange-delegation,parameterized-scopes"
ALICE = Principal(
    issuer="http://idp",
    subject="alice",
    audience="http://here",
    client_id="broker",
    scopes=frozenset({"transfer:create"}),
    jti="j-1",
    expires_at=1_800_000_300,
    grant=Grant.OBO,
)
SEND = Question(ALICE, "transfer.send", "SendMessage", {"amount": "250"}, 1_800_000_000)
BY_BOB = replace(SEND, principal=replace(ALICE, subject="bob"))
BY_NOBODY = replace(SEND, principal=replace(ALICE, subject="mallory"))


@pytest.fixture(scope="module")
async def point(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[DecisionPoint]:
    issuer, folder = free_issuer("decisions"), tmp_path_factory.mktemp("decisions")
    async with (
        keycloak(issuer, REALM.read_text(), folder, FEATURES),
        httpx.AsyncClient(trust_env=False) as http,
    ):
        token = await _token(http, issuer)

        async def run(flow: Flow[T]) -> T:
            return await drive(flow, http)

        async def shows() -> Credential:
            return lambda method, url: shown(token, method, url)

        yield DecisionPoint(issuer, run, shows)


async def _token(http: httpx.AsyncClient, issuer: str) -> AccessToken:
    reply = await http.post(_endpoint(issuer), data={"grant_type": "client_credentials"}, auth=CLIENT)
    return AccessToken(reply.json()["access_token"])


def _endpoint(issuer: str) -> str:
    return f"{issuer}/protocol/openid-connect/token"


@pytest.mark.parametrize(
    ("question", "allowed"),
    [
        (SEND, True),
        (BY_BOB, False),
        (BY_NOBODY, False),
        (replace(SEND, resource="transfer.other"), False),
        (replace(SEND, action="CancelTask"), False),
    ],
)
async def test_keycloak_decides_by_its_own_policies(point: DecisionPoint, question: Question, allowed: bool) -> None:
    assert (await point.decide(question)).allowed is allowed


async def test_keycloak_answers_a_batch_in_order(point: DecisionPoint) -> None:
    answers = await point.decide_all([BY_BOB, SEND, BY_BOB])
    assert [one.allowed for one in answers] == [False, True, False]


async def test_one_question_that_breaks_it_leaves_the_whole_batch_unanswered(point: DecisionPoint) -> None:
    """It answers 500 where it does not know the person (26.7), also to the others' questions."""
    answers = await point.decide_all([SEND, BY_NOBODY])
    assert [one.reason for one in answers] == ["The decision point does not answer."] * 2


async def test_delegation_is_a_name_without_effect_in_this_version_so_that_receipts_keep_the_chain(
    point: DecisionPoint,
) -> None:
    """With its feature on, 26.7 takes an actor token, even one that is none, and writes no `act`."""
    kind = "urn:ietf:params:oauth:token-type:access_token"
    async with httpx.AsyncClient(trust_env=False) as http:
        own = await _token(http, point.url)
        for actor in (own.reveal(), "not-a-token"):
            form = {"grant_type": "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token": own.reveal()}
            more = {"subject_token_type": kind, "actor_token": actor, "actor_token_type": kind}
            reply = await http.post(_endpoint(point.url), data=form | more, auth=CLIENT)
            assert reply.status_code == 200, reply.text
            assert "act" not in peek_claims(AccessToken(reply.json()["access_token"]))
