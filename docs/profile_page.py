"""The reference of the conformance kit's profile file, written from its models and checks; every gap is an error."""

import inspect
import json
from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel

from stead.demo.conformance.checks import CHECKS
from stead.demo.conformance.profile import Profile
from stead.identity.setting_places import Section, inside, sections

EXAMPLE = """
trigger:
  parts:
  - data: {order: book-17, amount: "5.00"}
  changed:
  - data: {order: book-17, amount: "500.00"}
question:
  extension: https://agent.example/extensions/ask-first
  link: /ask/url
  details: /ask/authorization_details
  expires_at: /ask/until
result:
  /0/instructedAmount/amount: /paid
people:
  owner:
    token_command: [./token.sh, anna]
    logins:
      https://login.example: {username: anna, password_file: secrets/anna}
      https://bank.example: {username: anna, password_file: secrets/anna-bank}
  others:
    ben:
      token_file: secrets/ben.token
      logins:
        https://login.example: {username: ben, password_file: secrets/ben}
        https://bank.example: {username: ben, password_file: secrets/ben-bank}
    anna with a bank login of ben:
      logins:
        https://login.example: {username: anna, password_file: secrets/anna}
        https://bank.example: {username: ben, password_file: secrets/ben-bank}
buttons: {approve: allow, deny: refuse}
expiry:
  metadata: {https://agent.example/extensions/ask-first: {seconds: 5}}
  grace: 10
tampering:
  change: [./price.sh, "500.00"]
  undo: [./price.sh, "5.00"]
executions: [./count-payments.sh]
times: {settle: 1, finish: 30}
"""
"""A whole profile, which a test loads."""

MEANINGS = {
    "trigger": "The call that makes the agent ask.",
    "trigger.parts": "The parts of the message, as on A2A 1.0's wire: `text` or `data`",
    "trigger.changed": "The same with another operation: what an attacker would put in its place",
    "trigger.metadata": "The message's metadata",
    "question": "Where the parked task's status message says what is asked. Pointers lead into its data part.",
    "question.extension": "The URI of the extension by which it is read",
    "question.link": "The address that the person opens",
    "question.details": "The operation: RFC 9396 authorization details, one or a list",
    "question.expires_at": "When the question ends: seconds since 1970, or a time as RFC 3339 writes it",
    "result": "Which member of the details (left) the result of a completed task says again, and where (right): "
    "pointers into the details, and into the data part of an artifact. At least what must not be changed",
    "people": "Who owns the tasks, and who tries to answer in the owner's place.",
    "people.owner": "The owner. Needs a token",
    "people.others": "Everybody else by name: another person, and the owner's login at the company "
    "with another's at the provider. With a token they also try to see the task and take it back",
    "person": "Both `people.owner` and each of `people.others`. Without logins and commands a person can only open "
    "what needs no sign-in.",
    "person.token_file": "A file with the access token that the agent takes",
    "person.token_command": "A program that prints it",
    "person.logins": "What the person types, by the provider's origin: the scripted browser follows links, redirects "
    "and forms, and runs no JavaScript",
    "person.approve": "Instead, a program that says yes at `{link}`; each line of its output that is an address is "
    "taken for the callback, to be tried once more",
    "person.deny": "Instead, a program that says no",
    "login": "An entry of `logins`. The form has to call the password `password`.",
    "login.username": "The name",
    "login.password_file": "A file with the password",
    "login.name_field": "What the form calls the name",
    "buttons": "The values of the buttons by which a page takes the answer.",
    "buttons.approve": "Of the yes",
    "buttons.deny": "Of the no",
    "expiry": "How a question is made to end soon. Without it the check waits as long as the question says.",
    "expiry.metadata": "Metadata of that one call",
    "expiry.grace": "How long after its end the task may take, in seconds",
    "tampering": "Programs that change, behind the agent's back, what it is about to do: after it has asked, before "
    "the owner says yes. Without it only messages are tried.",
    "tampering.change": "The change",
    "tampering.undo": "And back",
    "executions": "A program that prints the same until something is executed, such as a count: by it the kit sees "
    "what no task shows",
    "times": "How patient the kit is.",
    "times.settle": "How long a task that must not go on is watched, in seconds",
    "times.finish": "How long one that must go on is waited for, in seconds",
}


def profile_reference() -> str:
    """The page, as Markdown. Raises `KeyError` that names what has no meaning, or has one and is not there."""
    parts = [*_sections()]
    there = {f"{place}.{name}".strip(".") for place, model in parts for name in model.model_fields}
    if gone := sorted(set(MEANINGS) - there - {"person", "login"}):
        raise KeyError(f"The profile has no {gone[0]!r} any more: remove it from docs/profile_page.py.")
    tables = [_section(place, model) for place, model in parts if place]
    return "\n".join([_INTRODUCTION, _checks(), _FILE, *tables, _top()]).rstrip() + "\n"


def _sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each section once: all people are described alike, and so are their logins."""
    for section in sections(Section("", Profile)):
        if not section.place.startswith("people.others"):
            yield _SHARED.get(section.place, section.place), section.model


_SHARED = {"people.owner": "person", "people.owner.logins": "login"}


def _checks() -> str:
    rows = [f"| `{one.name}` | {inspect.getdoc(one.check)} | {one.spec} |\n" for one in CHECKS]
    return f"{_CHECKS}| Check | It passes when | Written in |\n|---|---|---|\n{''.join(rows)}"


def _section(place: str, model: type[BaseModel]) -> str:
    rows = "".join(_row(f"{place}.{name}", field) for name, field in model.model_fields.items())
    return f"## `{place}`\n\n{_meaning(place)}\n\n| Member | Default | Meaning |\n|---|---|---|\n{rows}"


def _top() -> str:
    fields = Profile.model_fields
    rows = "".join(_row(name, field) for name, field in fields.items() if inside(field.annotation) is None)
    return f"## Beside the sections\n\n| Member | Default | Meaning |\n|---|---|---|\n{rows}"


def _row(place: str, field: Any) -> str:
    return f"| `{place}` | {_default(field)} | {_meaning(place).rstrip('.')} |\n"


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    return "none" if value in (None, (), {}) else f"`{json.dumps(value)}`"


def _meaning(place: str) -> str:
    try:
        return MEANINGS[place]
    except KeyError:
        raise KeyError(f"The profile's {place!r} has no meaning: write it in docs/profile_page.py.") from None


_INTRODUCTION = """\
# The conformance kit's checks and its profile file

`stead conformance in-task URL` looks from outside at what an agent does with tasks that wait for a person. How to use
it is in [Check an agent](../how-to/check-an-agent.md); here is what it checks, and what the file says by which it
knows an agent.
"""

_CHECKS = """\
## Checks

Each has a name, and tells whether it passed, what was seen, and where it is written that it should: with `--json`,
`{"agent", "pass", "checks": [{"name", "pass", "why", "spec"}]}`. A person whom the profile gives no way to answer
passes nothing. Where the card offers no streaming, `subscribe` has nothing to see and passes.

"""

_FILE = f"""\
## The file

YAML. A member that is not known is an error. Files are named, and programs run, relative to the profile's folder;
programs run without a shell, for a minute at most. A pointer is a JSON Pointer (RFC 6901). No secret stands in the file
itself.

```yaml
{EXAMPLE.strip()}
```
"""
