"""A stranger's JSON Schema, made harmless before anything is checked against it.

A schema is a program, and an agent writes its own: a `$ref` has the validator fetch an address or open a file, a
`pattern` can take for ever, a few definitions that name each other twice take exponentially long. What remains here is
plain: references are put in place, within bounds; patterns are left for the agent itself to check.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote

from jsonschema import Draft202012Validator

from stead.broker.errors import NotRegistrable

MAX_SIZE = 65_536
"""Characters of a plain schema, as JSON."""
MAX_PARTS = 2_000
"""Schemas within a schema, once references are in place."""
MAX_REFERENCES = 8
"""References within references. Beyond that anything goes: the agent checks its own input."""

# fmt: off
_KEPT = frozenset((
    "type", "title", "description", "default", "examples", "enum", "const", "minimum", "maximum", "exclusiveMinimum",
    "exclusiveMaximum", "multipleOf", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties",
    "maxProperties", "required", "format", "deprecated",
))
# fmt: on
_ONE = frozenset(["items", "additionalProperties", "not", "contains", "propertyNames", "if", "then", "else"])
_MANY = frozenset(["anyOf", "oneOf", "allOf", "prefixItems"])
_NAMED = frozenset({"properties", "dependentSchemas"})


def plain_schema(schema: object) -> Mapping[str, Any]:
    """`schema` without references and patterns. Raises `NotRegistrable` for what is no schema, or an immense one."""
    if not isinstance(schema, Mapping):
        raise NotRegistrable("A schema is not an object.")
    made = _Plain(schema).of(schema, 0)
    if not isinstance(made, dict) or len(json.dumps(made)) > MAX_SIZE or not _is_schema(made):
        raise NotRegistrable("A schema is not valid, or too large.")
    return made


def _is_schema(made: Mapping[str, Any]) -> bool:
    return next(Draft202012Validator(Draft202012Validator.META_SCHEMA).iter_errors(made), None) is None


class _Plain:
    """One schema being made plain. `references` counts how many were followed down to here."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._parts = 0

    def of(self, schema: object, references: int) -> Any:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise NotRegistrable("A schema has too many parts.")
        if not isinstance(schema, Mapping):
            return schema if isinstance(schema, bool) else self._malformed()
        made = dict(self._members(schema, references))
        if "$ref" not in schema:
            return made
        told = self._referred(schema["$ref"], references)
        # Draft 2020-12 s8.2.3.1: what stands beside a reference holds as well.
        return told if not made else {**told, **made} if isinstance(told, dict) else made

    def _members(self, schema: Mapping[str, Any], references: int) -> Iterator[tuple[str, Any]]:
        for name, value in schema.items():
            if name in _KEPT:
                yield name, value
            elif name in _ONE:
                yield name, self.of(value, references)
            elif name in _MANY and isinstance(value, list):
                yield name, [self.of(each, references) for each in value]
            elif name in _NAMED and isinstance(value, Mapping):
                yield name, {member: self.of(each, references) for member, each in value.items()}

    def _referred(self, reference: object, references: int) -> Any:
        if references >= MAX_REFERENCES:
            return {}
        return self.of(self._found(reference), references + 1)

    def _found(self, reference: object) -> object:
        """What a pointer into this very document leads to (RFC 6901); to any other nobody goes."""
        if not isinstance(reference, str) or not (reference == "#" or reference.startswith("#/")):
            raise NotRegistrable("A schema refers to something outside of itself.")
        found: Any = self._root
        for part in unquote(reference).split("/")[1:]:
            key = part.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and int(key) < len(found):
                found = found[int(key)]
            elif isinstance(found, Mapping) and key in found:
                found = found[key]
            else:
                return self._malformed()
        return found

    def _malformed(self) -> Any:
        raise NotRegistrable("A schema is not valid.")
