"""What can never work in a condition is found when the policy is read, and what works is left alone."""

from collections.abc import Mapping
from functools import partial
from types import MappingProxyType

import cel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stead.identity.errors import ConfigurationError
from stead.identity.policy.conditions import Vocabulary, compile_condition, context_of
from stead.identity.policy.expressions.parser import parse
from stead.identity.policy.rules import Outcome, Rule
from stead.identity.types import Json
from stead.identity.values import Actor, Grant, Principal

INPUT: Json = {
    "type": "object",
    "properties": {
        "amount": {"type": "string"},
        "count": {"type": "integer"},
        "urgent": {"type": "boolean"},
        "tags": {"type": "array", "items": {"type": "string"}},
        "currency": {"enum": ["EUR", "USD"]},
        "to": {"type": "object", "properties": {"iban": {"type": "string"}}},
        "anything": {},
    },
}
KNOWN = Vocabulary(["shop.order", "shop.look"], ["limit", "risk"], {"shop.order": INPUT})
GIVEN = {
    "amount": "12.50",
    "count": 3,
    "urgent": False,
    "tags": ["a", "b"],
    "currency": "EUR",
    "to": {"iban": "DE1"},
    "anything": 1,
}


def rule(when: str, *resources: str) -> Rule:
    return Rule("r", resources or ("shop.order",), Outcome.DENY, when)


def read(when: str, *resources: str) -> None:
    compile_condition(rule(when, *resources), KNOWN)


@pytest.mark.parametrize(
    ("when", "message", "hint"),
    [
        ("principal.autht_time > 3", "unknown member of principal: autht_time", "auth_time"),
        ('principal["suub"] == "a"', "unknown member of principal: suub", "sub"),
        ("has(principal.rolls)", "unknown member of principal: rolls", "roles"),
        ('"limitt" in principal.claims', "unknown claim: limitt", "limit"),
        ("has(principal.claims.limitt)", "unknown claim: limitt", "limit"),
        ("has(principal.claims.department)", "unknown claim: department", "Say in `issuers.claims` where"),
        ('principal.claims.risc == "high"', "unknown claim: risc", "risk"),
        ("input.amonut == '1'", "unknown input: amonut", "amount"),
        ('input["cuont"] > 1', "unknown input: cuont", "count"),
        ("input.to.ibna == '1'", "unknown member: ibna", "iban"),
        ('principal.grant == "ob0"', "unknown grant: ob0", "obo"),
        ('principal.grant in ["login", "s2c"]', "unknown grant: s2c", "s2s"),
        ('principal.chain_from != "reciepts"', "unknown way to know a chain: reciepts", "receipts"),
        ('resource == "shop.oder"', "unknown resource: shop.oder", "shop.order"),
        ('input.currency == "ERU"', "unknown value: ERU", "EUR"),
        ("nwo > 3", "unknown variable: nwo", "now"),
        ("input.tags.exists(t, s == 'a')", "unknown variable: s", "t"),
        ("input.tags.exists(t, t == 'a') && t == 'a'", "unknown variable: t", ""),
        ("decimel(input.amount) > 1", "unknown function: decimel", "decimal"),
    ],
)  # fmt: skip
def test_a_misspelt_name_is_refused_with_the_nearest_right_one(when: str, message: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as mistake:
        read(when)
    assert hint in str(mistake.value.hint)


@pytest.mark.parametrize(
    ("when", "hint"),
    [
        ("hour(now) < 6", "hour(a whole number, text)"),
        ('hour(now, "UTC", 1) < 6', "hour(a whole number, text)"),
        ('hour("UTC", now) < 6', "hour(a whole number, text)"),
        ("decimal() > 1", "decimal(text or a whole number)"),
        ("decimal(input.tags) > 1", "decimal(text or a whole number)"),
        ("decimal(1.5) > 1", "decimal(text or a whole number)"),
        ("size() == 1", "size("),
        ("size(now) == 1", "size("),
        ('startsWith(principal.sub, "a")', "VALUE.startsWith(text), VALUE is text"),
        ("principal.sub.startsWith(1)", "VALUE.startsWith(text)"),
        ("principal.sub.startsWith()", "VALUE.startsWith(text)"),
        ("principal.roles.contains('a')", "VALUE.contains(text), VALUE is text"),
        ("now.getHours() < 6", "VALUE.getHours()"),
        ('timestamp("2026-01-01T00:00:00Z").getHours("UTC") < 6', "VALUE.getHours()"),
        ("timestamp(now) > timestamp(now)", "timestamp(text or a time)"),
        ("now.string() == 'a'", "string("),
    ],
)
def test_a_call_with_other_arguments_is_refused_with_the_form_it_has(when: str, hint: str) -> None:
    with pytest.raises(ConfigurationError, match=r"In the condition of rule r: ") as mistake:
        read(when)
    assert hint in str(mistake.value.hint)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("principal.sub", "The condition is text, not true or false"),
        ("now", "The condition is a whole number"),
        ("null", "The condition is null"),
        ('now > "12"', "> does not go with now"),
        ('principal.auth_time == "12"', "principal.auth_time is a whole number, and never equal to text"),
        ("principal.sub == 1", "principal.sub is text, and never equal to a whole number"),
        ("principal.sub == null", "never equal to null"),
        ("input.amount > 10", "input.amount"),
        ("now - '1' > 3", "- does not go with"),
        ("now + 1.5 > 3.0", r"\+ does not go with"),
        ("!now", "! does not go with"),
        ("now && true", "&& does not go with"),
        ("true || principal.sub", r"\|\| does not go with"),
        ("now ? true : false", "does not go with"),
        ('"a" in principal.sub', "principal.sub is text, and has nothing in it"),
        ("1 in principal.roles", "principal.roles never has a whole number in it"),
        ("principal.sub.name == 'a'", "principal.sub is text, and has no name"),
        ("principal.roles.admin", "principal.roles is a list, and has no admin"),
        ("principal.roles['admin']", "has no item"),
        ("principal.sub[0] == 'a'", "has no item"),
        ("principal.roles.exists(r, r == 1)", "r is text, and never equal to a whole number"),
        ("principal.sub.exists(r, true)", "looks through is text"),
        ("principal.roles.all(r, r)", "asks of each is text"),
        ("principal.roles.map(r, r)", "The condition is a list"),
        ("input.urgent == 'yes'", "input.urgent is true or false"),
        ('now > timestamp("2026-01-01T00:00:00Z")', "> does not go with"),
    ],
)
def test_values_that_never_fit_are_refused(when: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=f"In the condition of rule r: .*{message}"):
        read(when)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ('hour(now, "Europe/Zurihc") < 6', "unknown time zone: Europe/Zurihc"),
        ('now.hour("Mars") < 6', "unknown time zone: Mars"),
        ('decimal("ten") > 1', "unknown number: ten"),
        ('string(timestamp("tomorrow")) == "a"', "unknown time: tomorrow"),
        ('duration("soon") > duration("1h")', "unknown duration: soon"),
        ('principal.sub.matches("(")', r"unknown pattern: \("),
    ],
)
def test_what_is_written_out_must_be_what_it_stands_for(when: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        read(when)


@pytest.mark.parametrize("when", [".principal.sub == 'a'", "Principal{sub: 'a'}.sub == 'a'"])
def test_what_the_library_takes_and_can_never_evaluate_is_refused(when: str) -> None:
    cel.compile(when)
    with pytest.raises(ConfigurationError, match="not valid CEL"):
        read(when)


def test_nesting_beyond_reason_is_a_mistake_like_any_other() -> None:
    for when in ("(" * 20_000 + "true" + ")" * 20_000, "!" * 900 + "true", " || ".join(["true"] * 2_000)):
        with pytest.raises(ConfigurationError, match=r"not valid CEL|nested too deeply"):
            read(when)
    read(" || ".join(["principal.bound"] * 100))


@pytest.mark.parametrize(
    "when",
    [
        "has(principal.claims.limit) && decimal(input.amount) > decimal(principal.claims.limit.amount)",
        'principal.claims["risk"] in ["high", "severe"] || "limit" in principal.claims',
        "principal.claims.exists(name, name == 'risk')",
        "principal.roles.exists(r, r.startsWith('a') && principal.groups.exists(g, g == r))",
        'principal.chain.size() > 1 && principal.chain[0] == "broker"',
        "input.anything.deep[3].er == now",
        "input.count > 2.5 && input.count < 100u",
        'timestamp("2026-01-01T00:00:00Z") + duration("1h") > timestamp("2025-01-01T00:00:00Z")',
        'input.to.iban.matches(r"^DE[0-9]+$") // a German one',
        'type(principal.claims.risk) == string ? principal.claims.risk == "x" : false',
        "(input.tags + ['c']).filter(t, t != 'a').map(t, t + '!').size() == 2",
        '{"a": 1}.all(k, k == "a") && {"a": 1}["a"] == 1 && [[1]].all(x, x[0] == 1)',
        "-input.count < 0 && !input.urgent && input.count % 2 == 1",
        'action == "SendMessage" && resource.startsWith("shop.")',
    ],
)
def test_what_works_is_left_alone(when: str) -> None:
    read(when)


def test_a_rule_for_several_resources_may_name_what_one_of_them_is_asked_with() -> None:
    one = Vocabulary(["a", "b"], None, {"a": INPUT, "b": {"type": "object", "properties": {"count": {}}}})
    compile_condition(rule("input.count > 1 && input.urgent", "a", "b"), one)
    compile_condition(rule("input.count > 1 && input.urgent", "*"), one)
    with pytest.raises(ConfigurationError, match="unknown input: urgent"):
        compile_condition(rule("input.urgent", "b"), one)


def test_where_nobody_says_what_there_is_any_name_may_be() -> None:
    read("input.amonut == 1", "shop.look")
    compile_condition(rule("principal.claims.limitt == 1 && input.x.y && resource == 'z'"), Vocabulary())
    opened = {"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}
    compile_condition(rule("input.x == 1"), Vocabulary(None, None, {"shop.order": opened}))


CALLER = Principal(
    issuer="http://idp",
    subject="alice",
    audience="http://here",
    client_id="broker",
    scopes=frozenset({"a", "b"}),
    jti="j",
    expires_at=2_000_000_000,
    grant=Grant.OBO,
    actor=Actor("broker"),
    claims=MappingProxyType({"roles": ["a"], "groups": ["b"], "amr": ["pwd"], "acr": "x", "auth_time": 1_800_000_000}),
)
ATOMS: Mapping[str, list[str]] = {
    "bool": ["true", "principal.bound", "input.urgent", 'has(input.count)', '"a" in principal.scopes'],
    "int": ["3", "-7", "now", "input.count", "principal.auth_time", 'hour(now, "UTC")', "decimal(input.amount)"],
    "double": ["1.5", "2e3", "double(input.count)"],
    "string": ['"a"', "'é\\n'", 'r"\\d"', "principal.sub", "input.amount", "principal.roles[0]", "string(now)"],
    "list": ["principal.roles", "input.tags", '["a", "b"]', "principal.chain"],
}  # fmt: skip


FORMS: Mapping[str, list[tuple[str, ...]]] = {
    "bool": [
        ("({} && {})", "bool", "bool"),
        ("({} || !({}))", "bool", "bool"),
        ("{} < {}", "int", "double"),
        ("{} == {}", "int", "int"),
        ("({} >= {})", "string", "string"),
        ("{} in {}", "string", "list"),
        ("{}.exists(x, x == {})", "list", "string"),
        ("{}.all(x, {}.contains(x))", "list", "string"),
        ("({} ? {} : {})", "bool", "bool", "bool"),
    ],
    "int": [
        ("({} + {})", "int", "int"),
        ("({} / {})", "int", "int"),
        ("-({})", "int"),
        ("size({})", "list"),
        ("{}.size()", "string"),
        ("({} ? {} : {})", "bool", "int", "int"),
    ],
    "double": [("({} * {})", "double", "double"), ("-({})", "double")],
    "string": [("({} + {})", "string", "string"), ("string({})", "double")],
    "list": [
        ("({} + {})", "list", "list"),
        ("{}.filter(x, x != {})", "list", "string"),
        ("{}.map(x, x + {})", "list", "string"),
        ("[{}]", "string"),
    ],
}
ODD = (
    *("{} == {}", "{} < {}", "({} + {}) != null", "{} in {}", "{} && {}"),
    *("!({})", "size({}) > 0", "({}).startsWith('a')", "decimal({}) > 1", "({}).exists(x, x == 'a')"),
)
"""Forms that go with some kinds and not with others."""


def filled(form: str, parts: tuple[str, ...]) -> str:
    return form.format(*parts)


def expressions(kind: str, depth: int) -> st.SearchStrategy[str]:
    """Texts of expressions of that kind."""
    atoms = st.sampled_from(ATOMS[kind])
    if depth == 0:
        return atoms
    made = [
        st.tuples(*(expressions(part, depth - 1) for part in parts)).map(partial(filled, form))
        for form, *parts in FORMS[kind]
    ]
    return st.one_of(atoms, *made)


ANYTHING = st.one_of(*(expressions(kind, 1) for kind in FORMS))
CONDITIONS = expressions("bool", 2)
ODD_CONDITIONS = st.tuples(st.sampled_from(ODD), ANYTHING, ANYTHING).map(lambda drawn: drawn[0].format(*drawn[1:]))
FORM = ("No such overload", "Undefined variable", "Unsupported operation", "Cannot mix", "Unexpected type", "TypeError")


def failure(when: str) -> str:
    """What goes wrong when the condition is asked; empty where nothing does."""
    context = context_of(CALLER)
    for name, value in {
        "resource": "shop.order",
        "action": "SendMessage",
        "input": GIVEN,
        "now": 1_800_000_000,
    }.items():
        context.add_variable(name, value)
    try:
        return "" if isinstance(cel.compile(when).execute(context), bool) else "neither true nor false"
    except Exception as error:
        return str(error)


@settings(max_examples=150, deadline=None)
@given(CONDITIONS)
def test_any_condition_that_fits_is_taken_and_never_fails_for_its_form(when: str) -> None:
    read(when)
    assert not any(said in failure(when) for said in FORM), failure(when)


@settings(max_examples=150, deadline=None)
@given(ODD_CONDITIONS)
def test_of_conditions_that_may_not_fit_those_that_are_taken_never_fail_for_their_form(when: str) -> None:
    try:
        read(when)
    except ConfigurationError:
        return
    assert not any(said in failure(when) for said in FORM), failure(when)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab.1()[]{}?:,+-*/!=<>&|'\"r\\ \nin"), max_size=12))
def test_whatever_the_library_can_read_is_read_here_too(text: str) -> None:
    try:
        cel.compile(text)
    except Exception:
        return
    try:
        parse(text)
    except ValueError:
        with pytest.raises(Exception):  # noqa: B017, PT011 (whatever it is: it is never evaluated)
            cel.compile(text).execute(context_of(CALLER))
