"""The trail: walked over what each instance recorded, whatever a caller may forge."""

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stead.identity.audit.event import Event
from stead.identity.audit.hops import Hop, Trail
from stead.identity.audit.trail import assemble
from stead.identity.errors import InvalidScope
from stead.identity.values import Arrival, Grant

Network = Any
Story = Callable[[Network], str]


def named(trail: Trail) -> dict[str, Hop]:
    return {str(hop.resource): hop for hop in trail.hops}


def told(network: Network, story: Story) -> Trail:
    task = story(network)
    return assemble(network.events(), task)


def resources(trail: Trail) -> list[str | None]:
    return [hop.resource for hop in trail.hops]


def test_the_story_has_each_hop_once_with_its_grant(network: Network, story: Story) -> None:
    trail = told(network, story)
    assert [(hop.resource, hop.grant) for hop in trail.hops] == [
        ("broker.ask", "login"),
        ("portfolio.summary", "obo"),
        ("market_data.trend", "s2s"),
        ("holdings.list_holdings", "obo"),
        ("quotes.get_history", "s2s"),
        ("transfer.send", "obo"),
        ("payments.execute_payment", "in-task"),
    ]
    assert all(hop.confirmed and hop.decision == "allow" and hop.ended for hop in trail.hops)


def test_hops_carry_the_claims_of_their_tokens(network: Network, story: Story) -> None:
    hops = named(told(network, story))
    root, portfolio, holdings = hops["broker.ask"], hops["portfolio.summary"], hops["holdings.list_holdings"]
    assert (root.parent, root.parent_jti, root.act, root.sub, root.name) == (None, None, None, "alice", "Alice Moreau")
    assert (portfolio.parent, portfolio.parent_jti) == (root.hop, root.jti)
    assert (holdings.parent, holdings.parent_jti) == (portfolio.hop, portfolio.jti)
    assert holdings.act == {"sub": "portfolio-agent", "act": {"sub": "broker"}}
    assert (holdings.caller, holdings.callee_name, holdings.scope) == (
        "portfolio-agent",
        "holdings-mcp",
        "holdings:read",
    )


def test_service_hops_know_no_person(network: Network, story: Story) -> None:
    trail = told(network, story)
    for hop in (each for each in trail.hops if each.grant == "s2s"):
        assert (hop.act, hop.parent_jti, hop.name) == (None, None, None)
        assert "alice" not in str(hop.model_dump()).lower()


def test_the_banks_token_descends_from_no_other(network: Network, story: Story) -> None:
    hops = named(told(network, story))
    payment = hops["payments.execute_payment"]
    assert (payment.parent, payment.parent_jti, payment.act) == (hops["transfer.send"].hop, None, None)


def test_nothing_the_market_data_side_stores_names_the_person_or_her_token(network: Network, story: Story) -> None:
    trail = told(network, story)
    kept = b"".join(network.journal(name).path.read_bytes() for name in ("market-data-agent", "quotes-mcp"))
    persons = {hop.jti for hop in trail.hops if hop.sub in {"alice", "nb-alice"}}
    traces = {event.trace for event in network.events() if event.sub == "alice"}
    assert not any(str(word).encode() in kept for word in {"alice", "Alice", *persons, *traces, trail.task})


def test_the_exported_trail_is_read_back(network: Network, story: Story) -> None:
    trail = told(network, story)
    assert Trail.model_validate(trail.as_json()) == trail


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_in_which_events_arrive_does_not_matter(story_events: Any, chance: random.Random) -> None:
    task, events = story_events
    mixed = [*events, *chance.sample(events, 5)]
    chance.shuffle(mixed)
    assert assemble(mixed, task) == assemble(events, task)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False), st.integers(0, 30))
def test_a_part_of_the_events_never_gives_a_hop_the_whole_has_not(
    story_events: Any, chance: random.Random, lost: int
) -> None:
    task, events = story_events
    some = chance.sample(events, max(0, len(events) - lost))
    whole = {hop.hop for hop in assemble(events, task).hops}
    trail = assemble(some, task)
    assert {hop.hop for hop in trail.hops} <= whole
    places = [hop.hop for hop in trail.hops]
    assert all(hop.parent is None or places.index(hop.parent) < places.index(hop.hop) for hop in trail.hops)


@pytest.fixture
def story_events(network: Network, story: Story) -> tuple[str, list[Event]]:
    return story(network), network.events()


def test_the_version_grows_with_each_event_of_the_task(story_events: tuple[str, list[Event]]) -> None:
    task, events = story_events
    ordered = sorted(events, key=lambda event: event.time)
    versions = [assemble(ordered[:count], task).version for count in range(len(ordered) + 1)]
    assert versions == sorted(versions)
    assert versions[-1] == len(events)


def test_an_unknown_task_has_no_hops(story_events: tuple[str, list[Event]]) -> None:
    trail = assemble(story_events[1], "another")
    assert (trail.hops, trail.version, trail.root) == ((), 0, None)


def test_a_hop_whose_callee_recorded_nothing_is_unconfirmed(network: Network) -> None:
    root = network.login("t")
    network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "portfolio:read", confirmed=False)
    hop = assemble(network.events(), "t").hops[1]
    assert (hop.confirmed, hop.decision, hop.callee_name) == (False, "allow", "portfolio")


def test_an_unconfirmed_callee_is_named_by_what_is_known_of_its_audience(network: Network) -> None:
    root = network.login("t")
    call = network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "portfolio:read", confirmed=False)
    names = {call.principal.audience: "portfolio-agent"}
    assert assemble(network.events(), "t", names=names).hops[1].callee_name == "portfolio-agent"


def test_a_refused_token_is_a_hop_with_its_reason(network: Network) -> None:
    root = network.login("t", person="bob")
    network.refused(root, "transfer-agent", "transfer.send", "transfer:create", InvalidScope("No.", hint="Ask."), "bob")
    hop = assemble(network.events(), "t").hops[1]
    assert (hop.decision, hop.code, hop.description, hop.hint) == ("deny", "invalid_scope", "No.", "Ask.")
    assert (hop.refused, hop.jti, hop.act, hop.outcome) == (True, None, {"sub": "broker"}, "refused")
    assert hop.ended is not None


def test_a_call_refused_at_the_door_is_confirmed_and_refused(network: Network) -> None:
    root = network.login("t")
    why = {"code": "access_denied", "description": "No.", "hint": "Ask."}
    network.call(root, "transfer-agent", Grant.OBO, "transfer.send", "x", decision="deny", refusal=why, outcome=None)
    hop = assemble(network.events(), "t").hops[1]
    assert (hop.confirmed, hop.decision, hop.code, hop.rule, hop.outcome) == (
        True,
        "deny",
        "access_denied",
        "owners",
        "refused",
    )
    assert hop.ended is not None


def test_a_call_from_outside_the_network_has_its_caller_from_the_token(network: Network) -> None:
    root = network.login("t", by="stead-cli")
    events = [event for event in network.events() if event.instance == "broker"]
    trail = assemble(events, "t")
    assert (trail.hops[0].caller, trail.hops[0].confirmed, trail.hops[0].ended) == ("stead-cli", True, None)
    network.journal("broker").outcome(hop=root.arrival.hop, outcome="completed")
    assert assemble(network.events(), "t").hops[0].outcome == "completed"


def test_two_users_at_once_never_share_a_hop(network: Network) -> None:
    calls = {person: network.login(f"task-{person}", person) for person in ("alice", "bob")}
    for _ in range(10):
        for person, root in calls.items():
            task = f"task-{person}"
            middle = network.call(root, "portfolio-agent", Grant.OBO, "p.s", "r", task=task, person=person)
            network.call(middle, "holdings-mcp", Grant.OBO, "h.l", "r", person=person)
    events = network.events()
    alice, bob = assemble(events, "task-alice"), assemble(events, "task-bob")
    assert {hop.sub for hop in alice.hops} == {"alice"}
    assert {hop.sub for hop in bob.hops} == {"bob"}
    assert len(alice.hops) == len(bob.hops) == 21
    assert not {hop.hop for hop in alice.hops} & {hop.hop for hop in bob.hops}


def test_a_caller_who_sends_anothers_hop_id_does_not_enter_her_trail(network: Network) -> None:
    alice = network.login("task-alice")
    network.call(alice, "portfolio-agent", Grant.OBO, "portfolio.summary", "r", task="task-alice")
    mallory = network.login("task-mallory", "mallory", hop=alice.arrival.hop)
    network.call(mallory, "transfer-agent", Grant.OBO, "transfer.send", "r", task="task-mallory", person="mallory")
    events = network.events()
    assert resources(assemble(events, "task-alice")) == ["broker.ask", "portfolio.summary"]
    assert {hop.sub for hop in assemble(events, "task-alice").hops} == {"alice"}
    assert {hop.sub for hop in assemble(events, "task-mallory").hops} == {"mallory"}


def test_a_person_who_repeats_hop_and_token_sees_each_task_apart(network: Network) -> None:
    root = network.login("t1")
    network.receive("broker", root.arrival, root.principal, "broker.ask", "SendMessage")
    network.journal("broker").bind(root.arrival.hop, "t2", jti=root.arrival.jti)
    network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "r", task="t1")
    network.call(root, "market-data-agent", Grant.S2S, "market_data.trend", "r", task="t2")
    events = network.events()
    assert resources(assemble(events, "t1")) == ["broker.ask", "portfolio.summary"]
    assert resources(assemble(events, "t2")) == ["broker.ask", "market_data.trend"]


def test_an_instance_that_did_not_receive_a_hop_cannot_add_to_it(network: Network) -> None:
    root = network.login("t")
    forged = type(root)(root.arrival, root.principal, "rogue-agent")
    network.call(forged, "transfer-agent", Grant.OBO, "transfer.send", "r")
    assert resources(assemble(network.events(), "t")) == ["broker.ask"]


def test_a_parent_without_its_token_id_is_no_parent(network: Network) -> None:
    root = network.login("t")
    guessed = type(root)(Arrival(root.arrival.hop, root.arrival.trace, "guessed"), root.principal, "broker")
    network.call(guessed, "transfer-agent", Grant.OBO, "transfer.send", "r")
    assert resources(assemble(network.events(), "t")) == ["broker.ask"]


def test_a_forged_trace_joins_nothing(network: Network) -> None:
    root = network.login("t")
    stranger = network.login("other", "mallory")
    same = type(root)(
        Arrival(stranger.arrival.hop, root.arrival.trace, stranger.arrival.jti), stranger.principal, "broker"
    )
    network.call(same, "transfer-agent", Grant.OBO, "transfer.send", "r", person="mallory")
    assert resources(assemble(network.events(), "t")) == ["broker.ask"]


def test_a_task_claimed_by_another_instance_is_not_that_task(network: Network) -> None:
    network.login("t")
    rogue = network.login("other", "mallory")
    network.receive("rogue-agent", rogue.arrival, rogue.principal, "r", "SendMessage")
    network.journal("rogue-agent").bind(rogue.arrival.hop, "t", jti=rogue.arrival.jti)
    trail = assemble(network.events(), "t")
    assert [hop.sub for hop in trail.hops] == ["alice"]


def test_a_caller_cannot_confirm_its_own_hop(network: Network) -> None:
    root = network.login("t")
    call = network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "r", confirmed=False)
    network.receive("broker", call.arrival, call.principal, "portfolio.summary", "SendMessage")
    assert assemble(network.events(), "t").hops[1].confirmed is False


def test_two_who_claim_to_be_the_callee_confirm_nothing(network: Network) -> None:
    root = network.login("t")
    call = network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "r")
    network.receive("rogue-agent", call.arrival, call.principal, "portfolio.summary", "SendMessage")
    network.call(type(call)(call.arrival, call.principal, "rogue-agent"), "transfer-agent", Grant.OBO, "x.y", "r")
    hops = assemble(network.events(), "t").hops
    assert [hop.confirmed for hop in hops] == [True, False]


def test_a_binding_that_names_no_token_counts_only_where_the_hop_is_beyond_doubt(network: Network) -> None:
    root = network.login("t")
    network.journal("broker").bind(root.arrival.hop, "t2")
    assert resources(assemble(network.events(), "t2")) == ["broker.ask"]
    network.login("other", "mallory", hop=root.arrival.hop)
    assert assemble(network.events(), "t2").hops == ()


def test_a_later_message_to_the_task_is_part_of_it_only_from_the_same_person(network: Network) -> None:
    network.login("t")
    network.login("t")
    network.login("t", "mallory")
    assert [hop.sub for hop in assemble(network.events(), "t").hops] == ["alice", "alice"]


def test_an_outcome_told_by_a_stranger_ends_nothing(network: Network) -> None:
    root = network.login("t")
    call = network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "r", outcome=None)
    network.journal("rogue-agent").outcome(hop=call.arrival.hop, outcome="failed")
    assert assemble(network.events(), "t").hops[1].outcome is None


def test_the_last_outcome_counts(network: Network) -> None:
    root = network.login("t")
    call = network.call(root, "transfer-agent", Grant.OBO, "transfer.send", "r", outcome="auth-required")
    network.journal("broker").outcome(hop=call.arrival.hop, outcome="completed")
    assert assemble(network.events(), "t").hops[1].outcome == "completed"


def test_a_clock_that_is_behind_does_not_put_a_child_before_its_parent(network: Network) -> None:
    root = network.login("t")
    middle = network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "r")
    network.clock.now -= 60
    network.call(middle, "holdings-mcp", Grant.OBO, "holdings.list_holdings", "r")
    assert resources(assemble(network.events(), "t")) == ["broker.ask", "portfolio.summary", "holdings.list_holdings"]


def test_hops_that_name_each_other_as_parents_end_the_walk(network: Network) -> None:
    root = network.login("t")
    first = network.call(root, "portfolio-agent", Grant.OBO, "portfolio.summary", "r")
    journal = network.journal("portfolio-agent")
    journal.append(
        kind="egress", hop=root.arrival.hop, parent_hop=first.arrival.hop, parent_jti=first.arrival.jti, grant="obo"
    )
    journal.append(
        kind="egress", hop=first.arrival.hop, parent_hop=first.arrival.hop, parent_jti=first.arrival.jti, grant="obo"
    )
    assert resources(assemble(network.events(), "t")) == ["broker.ask", "portfolio.summary"]
