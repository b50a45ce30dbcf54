"""The reference of policy files, written from their models."""

import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from stead.identity.policy.cases import Asker, Case
from stead.identity.policy.form import FORMS, PARAMS, RuleForm
from stead.identity.policy.schema import policy_schema


def policy_reference() -> str:
    """The page."""
    parts = [_INTRODUCTION, _table(RuleForm, _OUTCOME), _OUTCOMES, *_outcomes(), _TESTS, _table(Case), _ASKER]
    return "\n".join([*parts, _table(Asker)]).rstrip() + "\n"


def policy_schema_text() -> str:
    """The JSON Schema, as it is published."""
    return json.dumps(policy_schema(), indent=2) + "\n"


def _table(model: type[BaseModel], *more: str) -> str:
    return "\n".join(["| Member | Default | Meaning |", "|---|---|---|", *_rows(model), *more, ""])


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _shown(field.default)
        yield f"| `{name}` | {default} | {field.description} |"


def _shown(default: Any) -> str:
    return "none" if default in (None, (), {}) else f"`{json.dumps(default)}`"


def _outcomes() -> Iterator[str]:
    for outcome, form in FORMS.items():
        params = [f"`{name}`: {field.description}" for name, field in PARAMS[outcome].model_fields.items()]
        yield f"| `{outcome}` | {form.__doc__} | {' '.join(params)} |"
    yield ""


_INTRODUCTION = """\
# Policy files

YAML of one or two documents: a list of rules, and after `---` their tests. One form serves the file that a
service brings along, and the files in which whoever runs a network [takes
away](../how-to/narrow-what-is-allowed.md) from what services allow; what a condition sees is told there.

`stead policy schema` prints the [JSON Schema](policy.schema.json). With it beside the file, an editor that
knows yaml-language-server completes and checks: begin the file with `# yaml-language-server:
$schema=policy.schema.json`. What a schema cannot say, such as whether a condition names what there is, `stead
policy test` does.

A key that is written twice, a member that is not known, a second document that is not the tests and a third one
are mistakes: nothing starts on them.

## Rules
"""
_OUTCOME = "| `outcome` | required | What it says: see below. |\n| `params` | none | What goes with the outcome. |"
_OUTCOMES = """\
Where several rules apply the strongest wins: `deny`, then `step_up`, then `consent`, then `allow`. Where none
applies, nothing is allowed. A rule that cannot be evaluated denies.

| Outcome | Meaning | `params` |
|---|---|---|"""
_TESTS = """\
## Tests

`tests:` and a list of cases.
"""
_ASKER = "### `principal`\n"
