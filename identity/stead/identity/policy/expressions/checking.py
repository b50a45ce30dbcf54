"""Finds what can never work in an expression: names that nothing has, calls of another form, kinds that do not fit."""

from collections import ChainMap
from collections.abc import Callable, Collection, Mapping, Sequence

from stead.identity.errors import ConfigurationError
from stead.identity.policy.expressions.functions import FUNCTIONS, LITERALLY, TYPES, Signature
from stead.identity.policy.expressions.kinds import (
    ANY,
    BOOL,
    MAP,
    NULL,
    STRING,
    TYPE,
    Kind,
    comparable,
    either,
    one_of,
)
from stead.identity.policy.expressions.operators import result_of
from stead.identity.policy.expressions.tree import (
    Call,
    Constant,
    Each,
    Has,
    Item,
    Many,
    Member,
    Name,
    Node,
    Operation,
    Pairs,
    spoken,
)
from stead.identity.policy.names import check_names

Scope = Mapping[str, Kind]
_WITHIN_EACH = {"list", "map", "any"}


class Checker:
    """Checks the expressions of one rule. Every method raises `ConfigurationError` for what can never work."""

    def __init__(self, rule: str) -> None:
        self._rule = rule

    def check(self, node: Node, scope: Scope) -> None:
        """That the expression fits what there is, and says yes or no."""
        self._require(node, (BOOL.name,), scope, "The condition")

    def kind(self, node: Node, scope: Scope) -> Kind:
        """Of what kind the value of a part is, if it has one."""
        check: Callable[[Node, Scope], Kind] = getattr(self, f"_{type(node).__name__.lower()}")
        return check(node, scope)

    def _constant(self, node: Constant, scope: Scope) -> Kind:
        return NULL if node.value is None else Kind(node.kind)

    def _name(self, node: Name, scope: Scope) -> Kind:
        if node.name in TYPES and node.name not in scope:
            return TYPE
        check_names("variable", [node.name], [*scope], self._rule)
        return scope[node.name]

    def _member(self, node: Member, scope: Scope) -> Kind:
        of = self.kind(node.of, scope)
        if of.name not in ("map", "any"):
            raise self._wrong(f"{spoken(node.of)} is {of}, and has no {node.name}")
        return self._named(of, node.name)

    def _has(self, node: Has, scope: Scope) -> Kind:
        self._member(node.member, scope)
        return BOOL

    def _item(self, node: Item, scope: Scope) -> Kind:
        of, key = self.kind(node.of, scope), self.kind(node.key, scope)
        if of.name == "list" and key.name in ("int", "uint", "any"):
            return of.item or ANY
        if of.name not in ("map", "any") or (of.members is not None and key.name not in ("string", "any")):
            raise self._wrong(f"{spoken(node.of)} is {of}, which has no item [{spoken(node.key)}]")
        return self._named(of, node.key.value) if isinstance(node.key, Constant) and key == STRING else ANY

    def _named(self, of: Kind, name: str) -> Kind:
        if of.members is None:
            return ANY
        check_names(of.what, [name], of.members, self._rule, of.otherwise)
        return of.members[name]

    def _many(self, node: Many, scope: Scope) -> Kind:
        kinds = [self.kind(each, scope) for each in node.items]
        item = None if not kinds else kinds[0]
        for kind in kinds[1:]:
            item = either(item or ANY, kind)
        return Kind("list", item)

    def _pairs(self, node: Pairs, scope: Scope) -> Kind:
        for key, value in node.entries:
            self._require(key, ("int", "uint", "bool", "string"), scope, "The key of a map")
            self.kind(value, scope)
        return MAP

    def _each(self, node: Each, scope: Scope) -> Kind:
        over = self._require(node.over, tuple(_WITHIN_EACH), scope, f"What {node.macro} looks through")
        item = (over.item or ANY) if over.name == "list" else _key(over)
        within = ChainMap({node.variable: item}, dict(scope))
        for condition in node.parts if node.macro != "map" else node.parts[:-1]:
            self._require(condition, ("bool",), within, f"What {node.macro} asks of each")
        if node.macro == "map":
            return Kind("list", self.kind(node.parts[-1], within))
        return Kind("list", item) if node.macro == "filter" else BOOL

    def _call(self, node: Call, scope: Scope) -> Kind:
        check_names("function", [node.name], FUNCTIONS, self._rule)
        signature = FUNCTIONS[node.name]
        given = node.arguments if node.on is None else (node.on, *node.arguments)
        wrong_style = signature.style not in ("both", "of" if node.on is None else "on")
        if wrong_style or len(given) != len(signature.takes):
            raise self._wrong(f"{node.name} is not called like this", _form(node.name, signature))
        for one, kinds in zip(given, signature.takes, strict=True):
            self._require(one, kinds, scope, f"{spoken(one)} in {node.name}", _form(node.name, signature))
        self._check_literally(node.name, given)
        return signature.gives

    def _check_literally(self, name: str, given: Sequence[Node]) -> None:
        wanted = LITERALLY.get(name)
        argument = given[wanted.place] if wanted else None
        if wanted is None or not isinstance(argument, Constant):
            return
        try:
            wanted.check(argument.value)
        except Exception:  # CEL raises many kinds
            raise ConfigurationError(
                f"Rule {self._rule} names an unknown {wanted.what}: {argument.value}.", hint=wanted.hint
            ) from None

    def _operation(self, node: Operation, scope: Scope) -> Kind:
        kinds = [self.kind(each, scope) for each in node.operands]
        if node.operator in ("==", "!="):
            self._check_comparable(node.operands, kinds)
            return BOOL
        if node.operator == "in":
            self._check_within(node.operands, kinds)
            return BOOL
        result = result_of(node.operator, [kind.name for kind in kinds])
        if result is None:
            said = " and ".join(f"{spoken(each)} ({kind})" for each, kind in zip(node.operands, kinds, strict=True))
            raise self._wrong(f"{node.operator} does not go with {said}")
        return either(*kinds[1:]) if node.operator == "?:" else result

    def _check_comparable(self, operands: Sequence[Node], kinds: Sequence[Kind]) -> None:
        if not comparable(*kinds):
            raise self._wrong(f"{spoken(operands[0])} is {kinds[0]}, and never equal to {kinds[1]}")
        for one, other in ((0, 1), (1, 0)):
            self._check_values(kinds[one], operands[other])

    def _check_within(self, operands: Sequence[Node], kinds: Sequence[Kind]) -> None:
        """A text in a list that is written out, or in what holds texts; a member in what has members."""
        one, many = kinds
        if many.name not in _WITHIN_EACH:
            raise self._wrong(f"{spoken(operands[1])} is {many}, and has nothing in it")
        if many.item is not None and not comparable(one, many.item):
            raise self._wrong(f"{spoken(operands[1])} never has {one} in it")
        if many.members is not None and isinstance(operands[0], Constant):
            self._named(many, str(operands[0].value))
        for item in operands[1].items if isinstance(operands[1], Many) else ():
            self._check_values(one, item)

    def _check_values(self, kind: Kind, other: Node) -> None:
        if kind.values is not None and isinstance(other, Constant) and isinstance(other.value, str):
            check_names(kind.what, [other.value], kind.values, self._rule)

    def _require(self, node: Node, names: Collection[str], scope: Scope, what: str, hint: str | None = None) -> Kind:
        kind = self.kind(node, scope)
        if names and kind.name not in (*names, "any"):
            wanted = " or ".join(str(Kind(name)) for name in sorted(names) if name != "any")
            raise self._wrong(f"{what} is {kind}, not {wanted}", hint)
        return kind

    def _wrong(self, said: str, hint: str | None = None) -> ConfigurationError:
        return ConfigurationError(f"In the condition of rule {self._rule}: {said}.", hint=hint)


def _key(over: Kind) -> Kind:
    return ANY if over.members is None else one_of(over.members, over.what)


def _form(name: str, signature: Signature) -> str:
    places = [" or ".join(str(Kind(kind)) for kind in place) or "anything" for place in signature.takes]
    if signature.style == "on":
        return f"It is written VALUE.{name}({', '.join(places[1:])}), VALUE is {places[0]}."
    return f"It is written {name}({', '.join(places)})."
