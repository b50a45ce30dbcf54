"""`stead conformance`: whether an agent keeps the protocol's promises."""

from pathlib import Path
from typing import Annotated

import typer

conformance_app = typer.Typer(help="Whether an agent keeps the promises of the protocol.", no_args_is_help=True)


@conformance_app.callback()
def _several() -> None:
    """Whether an agent keeps the promises of the protocol."""


@conformance_app.command("in-task")
def in_task(
    url: Annotated[str, typer.Argument(help="The origin of an A2A agent.")],
    profile: Annotated[
        Path | None, typer.Option(metavar="FILE", help="How to make it ask; not needed for FinPort's own.")
    ] = None,
    only: Annotated[list[str] | None, typer.Option(metavar="CHECK", help="This check alone; may be repeated.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check what an agent does with tasks that wait for a person: TASK_STATE_AUTH_REQUIRED.

    Exit code 0 only when every check passes.
    """
    import asyncio

    from stead.demo.cli.output import tell
    from stead.demo.conformance.report import Finding, report
    from stead.demo.conformance.run import examined
    from stead.identity.home import Home

    def show(finding: Finding) -> None:
        tell(f"{'pass' if finding.passed else 'FAIL'}  {finding.name}")

    findings = asyncio.run(examined(url, profile, only or (), Home.current(), show))
    raise typer.Exit(0 if report(url, findings, json=json) else 1)
