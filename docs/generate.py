"""Writes what the docs show from what the code is: the command reference, and the picture of a recorded trail.

`python -m docs.generate` writes them anew; a test compares.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import click
import typer

from stead.demo.cli.app import app
from stead.identity.audit.render import as_mermaid, as_svg
from stead.identity.audit.trail import Trail

DOCS = Path(__file__).parent
RECORDED = DOCS / "recorded-trail.json"


def pages() -> dict[Path, str]:
    """Every generated file with its content."""
    trail = Trail.model_validate(json.loads(RECORDED.read_text()))
    return {
        DOCS / "trail.svg": as_svg(trail),
        DOCS / "reference" / "cli.md": command_reference(),
        DOCS / "explanation" / "trail.md": _trail_page(trail),
    }


def command_reference() -> str:
    """All commands with their help, as Markdown."""
    root = typer.main.get_command(app)
    sections = [f"## `{path}`\n\n{_described(command, path)}" for path, command in _commands(root, "stead")]
    return "\n".join(["# The `stead` command", "", *sections]).rstrip() + "\n"


def _commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in sorted(command.commands):
            yield from _commands(command.commands[name], f"{path} {name}")
    else:
        yield path, command


def _described(command: click.Command, path: str) -> str:
    context = click.Context(command, info_name=path, max_content_width=110, terminal_width=110)
    return f"{command.help}\n\n```text\n{command.get_usage(context)}\n{_options(command, context)}```\n"


def _options(command: click.Command, context: click.Context) -> str:
    rows = [record for parameter in command.params if (record := parameter.get_help_record(context))]
    return "".join(f"  {left:<24} {right}\n" for left, right in rows)


def _trail_page(trail: Trail) -> str:
    return (
        "# A trail, drawn\n\nThis is the recorded run that the README's picture shows, as Mermaid text: what "
        "`stead trail export --mermaid` prints.\n\n```mermaid\n" + as_mermaid(trail).rstrip() + "\n```\n"
    )


def main() -> None:
    """Writes every generated file."""
    for path, content in pages().items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


if __name__ == "__main__":
    main()
