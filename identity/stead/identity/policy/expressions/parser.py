"""From the text of an expression to its parts (CEL specification, Syntax).

Texts that the library refuses never come here; what it takes and is not read here can never be evaluated.
"""

from collections.abc import Callable
from typing import TypeVar

from stead.identity.policy.expressions.tokens import Token, tokens
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
)

T = TypeVar("T")

_LEVELS = (
    ("||",),
    ("&&",),
    ("==", "!=", "<", "<=", ">", ">=", "in"),
    ("+", "-"),
    ("*", "/", "%"),
)
"""Operators between two, the loosest first; those of a level are read from the left."""
_MACROS = {"all": (2,), "exists": (2,), "exists_one": (2,), "existsOne": (2,), "filter": (2,), "map": (2, 3)}
_WORDS = {"true": Constant("bool", True), "false": Constant("bool", False), "null": Constant("null", None)}


def parse(source: str) -> Node:
    """The parts of the expression. Raises `ValueError` for what is none."""
    reader = _Reader(source)
    try:
        node = reader.expression()
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    reader.expect("")
    return node


class _Reader:
    """Reads word by word, one function for each rule of the grammar."""

    def __init__(self, source: str) -> None:
        self._words = tuple(tokens(source))
        self._place = 0

    def expression(self) -> Node:
        condition = self._between(0)
        if not self._take("?"):
            return condition
        then = self._between(0)
        self.expect(":")
        return Operation("?:", (condition, then, self.expression()))

    def expect(self, text: str) -> None:
        """Takes this word, or raises; the empty one is the end."""
        if self._word.text != text or self._word.sort == "string":
            raise ValueError(f"{self._word.text or 'the end'} stands where {text or 'the end'} should")
        self._place += 1

    def _between(self, level: int) -> Node:
        if level == len(_LEVELS):
            return self._before()
        left = self._between(level + 1)
        while self._word.sort in ("sign", "name") and self._word.text in _LEVELS[level]:
            operator = self._next().text
            left = Operation(operator, (left, self._between(level + 1)))
        return left

    def _before(self) -> Node:
        for sign in ("!", "-"):
            if self._take(sign):
                return Operation(sign, (self._before(),))
        return self._after(self._primary())

    def _after(self, node: Node) -> Node:
        while True:
            if self._take("."):
                node = self._member(node)
            elif self._take("["):
                node = Item(node, self.expression())
                self.expect("]")
            else:
                return node

    def _member(self, of: Node) -> Node:
        name = self._name()
        return self._called(name, of) if self._take("(") else Member(of, name)

    def _called(self, name: str, on: Node | None) -> Node:
        arguments = self._until(")", self.expression)
        first = arguments[0] if arguments else None
        if name == "has" and on is None and isinstance(first, Member) and len(arguments) == 1:
            return Has(first)
        if on is not None and isinstance(first, Name) and len(arguments) in _MACROS.get(name, ()):
            return Each(name, on, first.name, arguments[1:])
        return Call(name, on, arguments)

    def _primary(self) -> Node:
        if self._take("("):
            within = self.expression()
            self.expect(")")
            return within
        if self._take("["):
            return Many(self._until("]", self.expression))
        if self._take("{"):
            return Pairs(self._until("}", self._pair))
        if self._word.sort == "name":
            return self._named()
        return self._constant()

    def _named(self) -> Node:
        name = self._name()
        if name in _WORDS:
            return _WORDS[name]
        return self._called(name, None) if self._take("(") else Name(name)

    def _constant(self) -> Node:
        word = self._next()
        if word.sort in ("sign", "end"):
            raise ValueError(f"{word.text or 'the end'} stands where a value should")
        return Constant(word.sort, word.value)  # type: ignore[arg-type]

    def _pair(self) -> tuple[Node, Node]:
        key = self.expression()
        self.expect(":")
        return key, self.expression()

    def _until(self, closing: str, read: Callable[[], T]) -> tuple[T, ...]:
        """What stands between commas; one more after the last is no mistake."""
        found: list[T] = []
        while not self._take(closing):
            if found:
                self.expect(",")
                if self._take(closing):
                    break
            found.append(read())
        return tuple(found)

    def _name(self) -> str:
        if self._word.sort != "name":
            raise ValueError(f"{self._word.text or 'the end'} stands where a name should")
        return self._next().text

    def _take(self, sign: str) -> bool:
        if self._word.sort != "sign" or self._word.text != sign:
            return False
        self._place += 1
        return True

    def _next(self) -> Token:
        self._place += 1
        return self._words[self._place - 1]

    @property
    def _word(self) -> Token:
        return self._words[min(self._place, len(self._words) - 1)]
