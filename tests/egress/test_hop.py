"""A hop as a whole: its token by exchange at a real endpoint, its mark on the wire, and its record in the journal."""

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from stead.identity.egress import Target
from stead.identity.errors import (
    AccessDenied,
    ConfigurationError,
    InsufficientScope,
    InvalidGrant,
    InvalidScope,
    InvalidToken,
    OutOfScope,
    ProviderUnavailable,
)
from stead.identity.settings import Settings
from stead.identity.values import AccessToken, Arrival, Grant, acting_for
from stead.identity.workload import Workload

ARRIVAL = Arrival("a" * 16, "b" * 32, "jti-of-the-call")


@pytest.fixture
def obo_target(callee: Any) -> Any:
    return Target(callee[1], ("portfolio:read",), Grant.OBO)


@pytest.fixture
def s2s_target(callee: Any) -> Any:
    return Target(callee[1], ("market:read",), Grant.S2S)


async def call(workload: Any, target: Any, **named: Any) -> Any:
    async with workload.hop(target, operation="SendMessage", resource="portfolio.summary", **named) as hop:
        await workload.http.get(target.audience)
    return hop


async def test_an_obo_hop_carries_the_person_and_names_the_actor(
    workload: Any, issuer: Any, callee: Any, obo_target: Any, recorded: Any
) -> None:
    with acting_for(issuer.principal("alice"), ARRIVAL):
        hop = await call(workload, obo_target)
    assert callee[0].seen[0]["traceparent"] == f"00-{ARRIVAL.trace}-{hop.hop_id}-01"
    egress, outcome = recorded()
    assert egress["hop"] == outcome["hop"] == hop.hop_id
    assert (egress["parent_hop"], egress["parent_jti"]) == (ARRIVAL.hop, ARRIVAL.jti)
    assert (egress["sub"], egress["name"], egress["act"]) == ("alice", "Alice", {"sub": "broker"})
    assert (egress["aud"], egress["scope"], egress["grant"]) == (callee[1], "portfolio:read", "obo")
    assert (egress["decision"], outcome["outcome"]) == ("allow", "completed")
    assert egress["jti"]
    assert egress["exp"]


async def test_actors_nest_from_hop_to_hop(workload: Any, issuer: Any, obo_target: Any, recorded: Any) -> None:
    with acting_for(issuer.principal("alice", act={"sub": "finport-web"}), ARRIVAL):
        await call(workload, obo_target)
    assert recorded()[0]["act"] == {"sub": "broker", "act": {"sub": "finport-web"}}


async def test_a_service_hop_knows_no_person_anywhere(
    workload: Any, issuer: Any, callee: Any, s2s_target: Any, recorded: Any
) -> None:
    with acting_for(issuer.principal("alice", name="Alice Moreau"), ARRIVAL):
        hop = await call(workload, s2s_target)
    egress = recorded()[0]
    assert (egress["sub"], egress["grant"]) == ("broker", "s2s")
    assert not {"act", "name", "parent_jti"} & egress.keys()
    assert (egress["parent_hop"], egress["cause_jti"]) == (ARRIVAL.hop, ARRIVAL.jti)
    assert hop.trace != ARRIVAL.trace, "a person's trace would tie the service's call to the person"
    assert "alice" not in json.dumps([issuer.forms, callee[0].seen]).lower()


async def test_tokens_are_reused_for_the_same_party_only(
    workload: Any, issuer: Any, obo_target: Any, s2s_target: Any
) -> None:
    alice, bob = issuer.principal("alice"), issuer.principal("bob")
    for person in (alice, bob, alice, bob):
        with acting_for(person, ARRIVAL):
            await call(workload, obo_target)
            await call(workload, s2s_target)
    assert len([form for form in issuer.forms if "subject_token" in form]) == 2
    assert len([form for form in issuer.forms if form["grant_type"] == "client_credentials"]) == 1


async def test_a_new_login_of_the_same_person_gets_a_new_token(workload: Any, issuer: Any, obo_target: Any) -> None:
    for claims in ({"acr": "1"}, {"acr": "2"}, {"sid": "another"}, {"auth_time": 7}):
        with acting_for(issuer.principal("alice", **claims), ARRIVAL):
            await call(workload, obo_target)
    assert len(issuer.forms) == 4


async def test_a_weaker_token_of_the_same_login_does_not_get_what_a_stronger_one_got(
    workload: Any, issuer: Any, obo_target: Any
) -> None:
    strong = replace(issuer.principal("alice"), scopes=frozenset({"broker:ask", "portfolio:read"}))
    for principal in (strong, issuer.principal("alice"), strong):
        with acting_for(principal, ARRIVAL):
            await call(workload, obo_target)
    assert [form["subject_token"] == strong.token.reveal() for form in issuer.forms] == [True, False]


async def test_interleaved_people_never_see_each_other_s_token(
    workload: Any, issuer: Any, callee: Any, obo_target: Any
) -> None:
    app, url = callee

    async def one(name: Any) -> None:
        with acting_for(issuer.principal(name, sid=f"s-{name}"), ARRIVAL):
            async with workload.hop(obo_target, operation="SendMessage", resource="portfolio.summary"):
                await workload.http.get(url, headers={"x-user": name})

    await asyncio.gather(*(one(name) for name in ("alice", "bob") * 50))
    tokens = {name: {seen["authorization"] for seen in app.seen if seen["x-user"] == name} for name in ("alice", "bob")}
    assert len(tokens["alice"]) == len(tokens["bob"]) == 1
    assert tokens["alice"] != tokens["bob"]
    assert len(issuer.forms) == 2


async def test_a_refusal_is_recorded_as_a_denied_hop_and_raised_in_words(
    workload: Any, issuer: Any, obo_target: Any, callee: Any, recorded: Any
) -> None:
    issuer.document = {"organization_name": "FinPort Identity"}
    issuer.refuse = {
        "error": "invalid_scope",
        "error_description": "The role payer is needed.",
        "hint": "Ask an administrator.",
    }
    person = issuer.principal("bob", name="Bob Lindqvist", act={"sub": "finport-web"})
    with acting_for(person, ARRIVAL), pytest.raises(InvalidScope) as refused:
        await call(workload, obo_target)
    assert refused.value.description == (
        "FinPort Identity refused portfolio:read for Bob Lindqvist: The role payer is needed."
    )
    (egress,) = recorded()
    assert (egress["decision"], egress["code"]) == ("deny", "invalid_scope")
    assert (egress["sub"], egress["name"], egress["act"]) == ("bob", "Bob Lindqvist", {"sub": "finport-web"})
    assert (egress["description"], egress["hint"]) == (refused.value.description, "Ask an administrator.")
    assert (egress["parent_hop"], egress["parent_jti"]) == (ARRIVAL.hop, ARRIVAL.jti)
    assert "jti" not in egress
    assert callee[0].seen == []


async def test_a_refusal_is_not_remembered(workload: Any, issuer: Any, obo_target: Any) -> None:
    issuer.refuse = {"error": "invalid_scope"}
    with acting_for(issuer.principal(), ARRIVAL):
        with pytest.raises(InvalidScope):
            await call(workload, obo_target)
        issuer.refuse = None
        assert (await call(workload, obo_target)).status == 200


async def test_an_issuer_that_fails_is_unavailable_and_nothing_else(
    workload: Any, issuer: Any, obo_target: Any, recorded: Any
) -> None:
    issuer.refuse, issuer.status = {}, 500
    with acting_for(issuer.principal(), ARRIVAL), pytest.raises(ProviderUnavailable):
        await call(workload, obo_target)
    assert recorded()[0]["code"] == "temporarily_unavailable"


async def test_an_obo_hop_without_a_person_is_refused(workload: Any, obo_target: Any, recorded: Any) -> None:
    with pytest.raises(InvalidToken, match="Nobody is signed in"):
        await call(workload, obo_target)


async def test_an_obo_hop_never_falls_back_to_the_service(
    workload: Any, issuer: Any, obo_target: Any, s2s_target: Any
) -> None:
    service = await workload.verifier.verify(await workload.exchange(Target(workload.url, (), Grant.S2S), None))
    assert service.is_service
    with acting_for(service, ARRIVAL), pytest.raises(AccessDenied, match="no person"):
        await call(workload, obo_target)


async def test_a_person_restored_without_token_must_sign_in_again(workload: Any, issuer: Any, obo_target: Any) -> None:
    import dataclasses

    person = dataclasses.replace(issuer.principal("alice"), token=None)
    with acting_for(person, ARRIVAL), pytest.raises(InvalidGrant) as refused:
        await call(workload, obo_target)
    assert refused.value.hint == "Sign in again."


async def test_the_task_is_bound_at_the_first_exchange_and_kept_apart(workload: Any, issuer: Any, callee: Any) -> None:
    first, second = (Target(callee[1], ("transfer:create",), Grant.OBO, txn=task) for task in ("task-1", "task-2"))
    with acting_for(issuer.principal(), ARRIVAL):
        for target in (first, second, first):
            await call(workload, target)
    assert [form["txn"] for form in issuer.forms] == ["task-1", "task-2"]


async def test_a_call_of_one_task_cannot_go_on_for_another(workload: Any, issuer: Any, callee: Any) -> None:
    other = Target(callee[1], ("transfer:create",), Grant.OBO, txn="task-2")
    with acting_for(issuer.principal(txn="task-1"), ARRIVAL), pytest.raises(OutOfScope):
        await call(workload, other)
    assert issuer.forms == []


async def test_an_in_task_hop_spends_the_credential_it_is_given(
    workload: Any, issuer: Any, callee: Any, recorded: Any
) -> None:
    credential = AccessToken(issuer.sign({"sub": "nb-1001", "aud": callee[1], "scope": "payments", "jti": "bank-1"}))
    target = Target(
        callee[1], ("payments",), Grant.IN_TASK, credential=credential, effects=True, consent_id="consent-7"
    )
    with acting_for(issuer.principal(), ARRIVAL):
        await call(workload, target)
    assert callee[0].seen[0]["authorization"] == f"Bearer {credential.reveal()}"
    assert issuer.forms == []
    egress = recorded()[0]
    assert (egress["grant"], egress["sub"], egress["jti"]) == ("in-task", "nb-1001", "bank-1")
    assert egress["consent_id"] == "consent-7"
    assert "act" not in egress


async def test_a_login_hop_starts_a_trace_and_has_no_parent(
    workload: Any, issuer: Any, callee: Any, recorded: Any
) -> None:
    person = issuer.principal("alice")
    target = Target(callee[1], ("broker:ask",), Grant.LOGIN, credential=person.token)
    hop = await call(workload, target, task="task-1", rule="ask")
    egress = recorded()[0]
    assert (egress["grant"], egress["sub"], egress["task"], egress["rule"]) == ("login", "alice", "task-1", "ask")
    assert not {"parent_hop", "parent_jti", "cause_jti"} & egress.keys()
    assert len(hop.trace) == 32


@pytest.mark.parametrize(
    ("grant", "credential"), [(Grant.LOGIN, None), (Grant.IN_TASK, None), (Grant.OBO, "x"), (Grant.S2S, "x")]
)
async def test_a_credential_goes_with_the_grants_that_need_one_and_no_other(
    workload: Any, issuer: Any, callee: Any, grant: Any, credential: Any
) -> None:
    given = None if credential is None else AccessToken(credential)
    with acting_for(issuer.principal(), ARRIVAL), pytest.raises(ConfigurationError):
        await call(workload, Target(callee[1], (), grant, credential=given))
    assert callee[0].seen == []


async def test_a_hop_with_effects_is_on_disk_before_it_is_made(workload: Any, issuer: Any, callee: Any) -> None:
    app, url = callee
    found = []

    async def look(scope: Any) -> None:
        found.append(workload.journal.path.read_text())

    app.answer = look
    with acting_for(issuer.principal(), ARRIVAL):
        await call(workload, Target(url, ("transfer:create",), Grant.OBO, effects=True))
    assert '"kind":"egress"' in found[0]


@pytest.mark.parametrize(
    ("status", "outcome"), [(200, "completed"), (401, "refused"), (403, "refused"), (500, "completed")]
)
async def test_how_a_hop_ended_is_recorded(
    workload: Any, issuer: Any, callee: Any, obo_target: Any, recorded: Any, status: Any, outcome: Any
) -> None:
    callee[0].status = status
    with acting_for(issuer.principal(), ARRIVAL):
        await call(workload, obo_target)
    assert recorded()[1]["outcome"] == outcome


@pytest.mark.parametrize(
    ("failure", "outcome", "code"),
    [
        (InsufficientScope("No."), "refused", "insufficient_scope"),
        (ProviderUnavailable("Away."), "failed", "temporarily_unavailable"),
        (RuntimeError("with a secret in its text"), "failed", None),
        (asyncio.CancelledError(), "canceled", None),
    ],
)
async def test_how_a_hop_failed_is_recorded(
    workload: Any, issuer: Any, obo_target: Any, recorded: Any, failure: Any, outcome: Any, code: Any
) -> None:
    with acting_for(issuer.principal(), ARRIVAL), pytest.raises(type(failure)):
        async with workload.hop(obo_target, operation="SendMessage", resource="portfolio.summary"):
            raise failure
    ended = recorded()[1]
    assert (ended["outcome"], ended.get("code")) == (outcome, code)
    assert "secret" not in json.dumps(ended)


async def test_a_hop_can_say_that_it_waits(workload: Any, issuer: Any, obo_target: Any, recorded: Any) -> None:
    with acting_for(issuer.principal(), ARRIVAL):
        async with workload.hop(obo_target, operation="SendMessage", resource="transfer.send") as hop:
            hop.outcome("auth-required")
    assert recorded()[1]["outcome"] == "auth-required"


async def test_a_token_that_a_callee_refused_is_not_used_again(
    workload: Any, issuer: Any, callee: Any, obo_target: Any
) -> None:
    callee[0].status = 401
    with acting_for(issuer.principal(), ARRIVAL):
        await call(workload, obo_target)
        await call(workload, obo_target)
    assert len(issuer.forms) == 2


async def test_a_detail_has_identity_but_no_record(
    workload: Any, issuer: Any, callee: Any, obo_target: Any, recorded: Any
) -> None:
    with acting_for(issuer.principal(), ARRIVAL):
        async with workload.detail(obo_target) as hop:
            await workload.http.get(callee[1])
    assert callee[0].seen[0]["authorization"].startswith("Bearer ey")
    assert callee[0].seen[0]["traceparent"] == f"00-{ARRIVAL.trace}-{hop.hop_id}-01"
    assert recorded() == []


async def test_metadata_is_found_once(workload: Any, issuer: Any, obo_target: Any, s2s_target: Any) -> None:
    with acting_for(issuer.principal(), ARRIVAL):
        await asyncio.gather(call(workload, obo_target), call(workload, s2s_target))
    assert issuer.discovered == 1


async def test_signing_out_drops_what_was_held(workload: Any, issuer: Any, obo_target: Any) -> None:
    person = issuer.principal("alice")
    with acting_for(person, ARRIVAL):
        await call(workload, obo_target)
        workload.forget(person.owner)
        await call(workload, obo_target)
    assert len(issuer.forms) == 2


async def test_no_token_is_in_the_journal(workload: Any, issuer: Any, obo_target: Any) -> None:
    person = issuer.principal("alice")
    with acting_for(person, ARRIVAL):
        await call(workload, obo_target)
    workload.journal.flush()
    assert "eyJ" not in workload.journal.path.read_text()


async def test_nothing_works_before_it_is_opened(home: Any, issuer: Any) -> None:
    closed = Workload.open("quotes-mcp", url="http://127.0.0.1:1", home=home, issuer=issuer.url, settings=Settings())
    for use in (lambda: closed.http, lambda: closed.http2, lambda: closed.bare):
        with pytest.raises(ConfigurationError, match="not at work yet"):
            use()
    closed.journal.close()


async def test_a_workload_that_serves_nothing_has_no_address(home: Any, issuer: Any) -> None:
    opened = Workload.open("stead-cli", home=home, issuer=issuer.url, settings=Settings())
    with pytest.raises(ConfigurationError, match="no address"):
        _ = opened.url
    opened.journal.close()


async def test_entering_twice_opens_once_and_the_last_to_leave_closes(home: Any, issuer: Any) -> None:
    workload = Workload.open("quotes-mcp", url="http://127.0.0.1:1", home=home, issuer=issuer.url, settings=Settings())
    async with workload:
        first = workload.http
        async with workload:
            assert workload.http is first
        assert not first.is_closed
    assert first.is_closed
