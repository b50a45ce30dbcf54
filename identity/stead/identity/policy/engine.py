"""Deciding: the rules of a resource, all of them, and the strongest outcome. Unknown means deny."""

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from stead.identity.policy.conditions import Condition, Vocabulary, compile_condition, context_of, readable
from stead.identity.policy.decision import Decision
from stead.identity.policy.names import check_names
from stead.identity.policy.reading import read_rules
from stead.identity.policy.rules import ANY, Outcome, Rule
from stead.identity.types import Json
from stead.identity.values import Grant, Principal

CALLERS = 1024
"""Callers whose claims are kept in the form that conditions read."""
SETTLED = 64
"""Decisions kept for each caller: those that nothing but caller, resource and action goes into."""

_NEEDS = {
    Grant.LOGIN: "a person's own sign-in",
    Grant.OBO: "a person's authority, passed on by the caller",
    Grant.S2S: "a service's own identity",
    Grant.IN_TASK: "a person's approval of exactly this operation",
}
_REASONS = {
    Outcome.DENY: "A rule forbids this.",
    Outcome.STEP_UP: "This needs a stronger or fresher sign-in.",
    Outcome.CONSENT: "This needs your approval.",
}


@dataclass(frozen=True, slots=True)
class _Compiled:
    rule: Rule
    condition: Condition


@dataclass(frozen=True, slots=True)
class _Rules:
    """All rules of one resource."""

    of: tuple[_Compiled, ...]
    reads_input: bool
    is_settled: bool

    @classmethod
    def among(cls, rules: Iterable[_Compiled]) -> "_Rules":
        of = tuple(rules)
        conditions = [one.condition for one in of]
        return cls(of, any(one.reads_input for one in conditions), all(one.is_settled for one in conditions))


@dataclass(frozen=True, slots=True)
class _Caller:
    """A principal as conditions see it, and what was decided about it for good."""

    principal: Principal
    context: Any
    settled: dict[tuple[str, str], Decision]


class Policy:
    """A set of rules, compiled and indexed by resource. Safe to use from several threads."""

    def __init__(
        self,
        rules: Iterable[Rule] = (),
        known_resources: Collection[str] | None = None,
        known_claims: Collection[str] | None = None,
        inputs: Mapping[str, Json] | None = None,
    ) -> None:
        self.rules: Sequence[Rule] = tuple(read_rules(rules))
        self.inputs: Mapping[str, Json] = inputs or {}
        self._known_resources = known_resources
        self._known_claims = known_claims
        self._vocabulary = Vocabulary(known_resources, known_claims, self.inputs)
        compiled = [self._compile(rule) for rule in self.rules]
        self._everywhere = _Rules.among(one for one in compiled if ANY in one.rule.resources)
        self._by_resource = _index(compiled, known_resources or ())
        self._callers: OrderedDict[int, _Caller] = OrderedDict()
        self._lock = threading.Lock()

    @classmethod
    def load(
        cls,
        source: str | Iterable[Rule | Mapping[str, Any]],
        known_resources: Collection[str] | None = None,
        known_claims: Collection[str] | None = None,
    ) -> "Policy":
        """The policy that YAML text, or a list of rules and mappings, describes.

        With `known_resources` and `known_claims` a rule that names any other is a mistake. Raises `ConfigurationError`.
        """
        return cls(read_rules(source), known_resources, known_claims)

    @property
    def resources(self) -> frozenset[str]:
        """Every resource that is known here, or that a rule names."""
        return frozenset(self._by_resource)

    def check_claims(self, known: Collection[str]) -> None:
        """Raises `ConfigurationError` for a rule that reads a claim which tokens never have."""
        vocabulary = Vocabulary(self._known_resources, known, self.inputs)
        for rule in self.rules:
            compile_condition(rule, vocabulary)

    def extended(self, rules: Iterable[Rule]) -> "Policy":
        """This policy with more rules. Raises `ConfigurationError`."""
        return Policy((*self.rules, *rules), self._known_resources, self._known_claims, self.inputs)

    def decide(
        self, principal: Principal, resource: str, action: str, input: Mapping[str, Any], now: float
    ) -> Decision:
        """Whether `principal` may do `action` on `resource` with `input`. Never raises: the undecidable is denied."""
        rules = self._rules_of(resource)
        if rules is None:
            return Decision(Outcome.DENY, "default", f"{resource} is not known here.")
        with self._lock:
            try:
                caller = self._caller(principal)
                known = caller.settled.get((resource, action))
                decision = known or _decided(rules, caller, (resource, action), input, now)
            except (ValueError, TypeError, OverflowError):
                return Decision(Outcome.DENY, "default", "The request has values that no rule can read.")
            if known is None and rules.is_settled and len(caller.settled) < SETTLED:
                caller.settled[resource, action] = decision
        return decision

    def _compile(self, rule: Rule) -> _Compiled:
        if self._known_resources is not None:
            check_names("resource", rule.resources, {*self._known_resources, ANY}, rule.id)
        return _Compiled(rule, compile_condition(rule, self._vocabulary))

    def _rules_of(self, resource: str) -> _Rules | None:
        unknown = None if self._known_resources is not None else self._everywhere
        return self._by_resource.get(resource, unknown)

    def _caller(self, principal: Principal) -> _Caller:
        """Kept by identity: the same verified token is the same principal, and holding it keeps its id its own."""
        kept = self._callers.get(id(principal))
        if kept is not None:
            return kept
        caller = _Caller(principal, context_of(principal), {})
        self._callers[id(principal)] = caller
        if len(self._callers) > CALLERS:
            self._callers.popitem(last=False)
        return caller


def _index(compiled: Iterable[_Compiled], known: Iterable[str]) -> Mapping[str, _Rules]:
    rules = tuple(compiled)
    named = {resource for one in rules for resource in one.rule.resources} | set(known)
    return MappingProxyType(
        {
            resource: _Rules.among(one for one in rules if {resource, ANY} & set(one.rule.resources))
            for resource in named - {ANY}
        }
    )


def _decided(rules: _Rules, caller: _Caller, asked: tuple[str, str], input: Mapping[str, Any], now: float) -> Decision:
    resource, action = asked
    context = caller.context
    context.add_variable("resource", resource)
    context.add_variable("action", action)
    context.add_variable("now", int(now))
    context.add_variable("input", readable(input) if rules.reads_input else {})
    strongest = _evaluate(rules.of, context)
    if rules.reads_input:
        context.add_variable("input", {})
    return _unmet(rules.of, caller.principal, resource) if strongest is None else strongest


def _evaluate(rules: Iterable[_Compiled], context: Any) -> Decision | None:
    """The strongest outcome of all that apply, whatever their order; None where none applies."""
    strongest: Rule | None = None
    for one in rules:
        try:
            applies = one.condition.holds(context)
        except Exception as error:  # CEL raises many kinds; a rule that cannot be evaluated denies
            return _undecidable(one.rule, error)
        if applies and (strongest is None or one.rule.outcome.strength > strongest.outcome.strength):
            strongest = one.rule
    return None if strongest is None else _decision(strongest)


def _decision(rule: Rule) -> Decision:
    return Decision(rule.outcome, rule.id, rule.reason or _REASONS.get(rule.outcome), rule.hint, rule.params)


def _undecidable(rule: Rule, error: Exception) -> Decision:
    missing = f": {error.args[0]} is missing" if isinstance(error, KeyError) and error.args else ""
    return Decision(Outcome.DENY, rule.id, f"The rule {rule.id} could not be evaluated{missing}.", rule.hint)


def _unmet(rules: Iterable[_Compiled], principal: Principal, resource: str) -> Decision:
    """No rule applies: says what the nearest allow rule would have needed."""
    offers = [one.rule.params for one in rules if one.rule.outcome is Outcome.ALLOW and "grant" in one.rule.params]
    for offer in offers:
        missing = sorted(set(offer["scopes"]) - principal.scopes)
        if offer["grant"] == principal.grant and missing:
            return _lacking_scope(resource, offer["scopes"], missing)
    if offers and all(offer["grant"] != principal.grant for offer in offers):
        return Decision(Outcome.DENY, "default", f"{resource} needs {_NEEDS[Grant(offers[0]['grant'])]}.")
    return Decision(Outcome.DENY, "default", f"Nothing allows {resource} to this caller.")


def _lacking_scope(resource: str, needed: Iterable[str], missing: Iterable[str]) -> Decision:
    lacking = " ".join(missing)
    return Decision(
        Outcome.DENY,
        "default",
        f"{resource} needs the scope {lacking}, and the token does not have it.",
        "Ask for a token with that scope.",
        MappingProxyType({"scope": " ".join(needed)}),
    )
