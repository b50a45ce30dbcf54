"""Writes what the docs show from what the code is: commands, settings, and the picture of a recorded trail.

`python -m docs.generate` writes them anew; a test compares. How a trail is recorded is said in `docs.recording`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import typer
from typer.core import TyperCommand, TyperGroup

from docs.policy_page import policy_reference, policy_schema_text
from docs.profile_page import profile_reference
from docs.settings_page import settings_reference, settings_schema
from stead.demo.cli.app import app
from stead.identity.audit.render import as_mermaid, as_svg
from stead.identity.audit.trail import Trail
from stead.identity.samples import BANK_NAME

DOCS = Path(__file__).parent
RECORDED = DOCS / "recorded-trail.json"
SCHEMA = DOCS.parent / "identity" / "stead" / "identity" / "settings.schema.json"

NAMES = {
    "stead-cli": "the terminal",
    "http://127.0.0.2:8400": "FinPort Identity",
    "http://127.0.0.3:8400": BANK_NAME,
}
"""What the recorded trail's clients and issuers are called."""


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    trail = Trail.model_validate(json.loads(RECORDED.read_text(encoding="utf-8")))
    return {
        DOCS / "trail.svg": as_svg(trail, NAMES),
        DOCS / "reference" / "cli.md": command_reference(),
        DOCS / "reference" / "settings.md": settings_reference(),
        DOCS / "reference" / "policy.md": policy_reference(),
        DOCS / "reference" / "policy.schema.json": policy_schema_text(),
        DOCS / "reference" / "conformance.md": profile_reference(),
        DOCS / "explanation" / "trail.md": _trail_page(trail),
        SCHEMA: settings_schema(),
    }


def command_reference() -> str:
    """All commands with their help, as Markdown."""
    sections = [f"## `{path}`\n\n{_described(command, path)}" for path, command in commands()]
    return "\n".join([_COMMANDS, *sections]).rstrip() + "\n"


def commands() -> Iterator[tuple[str, TyperCommand]]:
    """Each command with the words that call it: `("stead trail show", …)`."""
    return _within(typer.main.get_command(app), "stead")


def _within(command: object, path: str) -> Iterator[tuple[str, TyperCommand]]:
    if isinstance(command, TyperGroup):
        for name in sorted(command.commands):
            yield from _within(command.commands[name], f"{path} {name}")
    elif isinstance(command, TyperCommand):
        yield path, command


def _described(command: TyperCommand, path: str) -> str:
    context = typer.Context(command, info_name=path, max_content_width=110, terminal_width=110)
    rows = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    options = "".join(f"  {left:<24} {right}\n" for left, right in rows)
    return f"{command.help}\n\n```text\n{command.get_usage(context)}\n\n{options}```\n"


def _trail_page(trail: Trail) -> str:
    return f"{_TRAIL}```mermaid\n{as_mermaid(trail, NAMES).rstrip()}\n```\n"


_COMMANDS = """\
# The `stead` command

Results go to standard output, everything else to standard error. Every `--json` prints one JSON document.

| Exit code | Meaning |
|---|---|
| 0 | Done |
| 1 | Refused or failed: the message says which, and what to do next |
| 2 | Misused, or not set up: an unknown option, no network recorded, a wrong setting |

`STEAD_HOME` names the state directory, and with it the network; without it, it is `.stead` in the current folder.
"""

_TRAIL = """\
# A trail, drawn

The recorded run behind the README's picture: “Show my portfolio, then how will AAPL and MSFT trend, then transfer 250
EUR to Bob's savings”, asked by Alice and approved at her bank. This is what `stead trail export --mermaid` prints; what
each member of a hop means is in [the trail's reference](../reference/trail.md).

How to read it:

- **An arrow is a hop**: one call that carries an operation, with a token of its own. Under it stand the token's claims.
- **Blue hops act for Alice.** `sub` stays Alice on each of them; `act` names who acts now, and through whom.
- **Green hops are services as themselves.** `sub` is the calling service. There is no `act`, and nothing names Alice.
- **The last hop is authorized for one operation.** Its token comes from the bank, where Alice is `nb-1001`.

Why the trail is believed: each side of a call writes down what it saw, in a file that is a hash chain. A hop is
*confirmed* when both sides tell of the same token. The trail is walked from the call that began the task, over what
each caller recorded; it is never selected by a trace id, because a trace id is the caller's to choose.

"""


def main() -> None:
    """Writes every generated file."""
    for path, content in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")


if __name__ == "__main__":
    main()
