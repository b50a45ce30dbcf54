"""`stead policy …`: the words of its commands. What they do stands in `policy` and `decisions`."""

from pathlib import Path
from typing import Annotated

import typer

policy_app = typer.Typer(
    help="Policies: what is in force, why they decide as they do, and their tests.", no_args_is_help=True
)
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@policy_app.command("show")
def policy_show(
    service: Annotated[str | None, typer.Argument(help="One service, such as transfer-agent; without it, all.")] = None,
    json: AsJson = False,
) -> None:
    """Show the rules that are in force: a service's own and the operator's, each with where it comes from."""
    from stead.demo.cli import rules

    rules.show(service, json=json)


@policy_app.command("check")
def policy_check(
    what: Annotated[str, typer.Argument(metavar="SERVICE|FILE", help="A service as it runs, or a policy file.")],
    *,
    resource: Annotated[str, typer.Option("--resource", metavar="NAME", help="The skill or tool.")],
    principal: Annotated[
        str | None, typer.Option("--principal", metavar="FILE", help="Who asks, as JSON: sub, scopes, …")
    ] = None,
    person: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Who asks: somebody of the embedded directory.")
    ] = None,
    through: Annotated[
        list[str] | None, typer.Option("--through", metavar="CLIENT", help="Through whom, the current actor first.")
    ] = None,
    action: Annotated[str, typer.Option("--action", metavar="METHOD")] = "SendMessage",
    given: Annotated[str, typer.Option("--input", metavar="JSON", help="What it is asked with.")] = "{}",
    at: Annotated[str | None, typer.Option("--at", metavar="TIME", help="Such as 2026-03-01T23:30+01:00.")] = None,
    json: AsJson = False,
) -> None:
    """Explain a decision rule by rule."""
    from stead.demo.cli import policy

    asked = policy.Asked(what, resource, action, given, at)
    raise typer.Exit(policy.check(asked, Path(principal) if principal else None, person, through or [], json=json))


@policy_app.command("test")
def policy_test(
    files: Annotated[list[str], typer.Argument(metavar="FILE...", help="Policies that bring tests along.")],
    json: AsJson = False,
) -> None:
    """Run the tests that policies bring along, and name the rules that none of them tries."""
    from stead.demo.cli import policy

    raise typer.Exit(policy.test([Path(file) for file in files], json=json))


@policy_app.command("schema")
def policy_schema_of_files() -> None:
    """Print the JSON Schema of a policy file, for an editor."""
    from stead.demo.cli.output import emit
    from stead.identity.policy.schema import policy_schema

    emit(policy_schema())


@policy_app.command("serve")
def policy_serve(
    file: Annotated[str, typer.Argument(metavar="FILE", help="The policy.")],
    *,
    url: Annotated[
        str | None, typer.Option("--url", help="Where; the decision point of the settings if not said.")
    ] = None,
    public: Annotated[bool, typer.Option("--public", help="Allow an address that is not loopback.")] = False,
) -> None:
    """Answer by a policy whoever may ask, over OpenID AuthZEN."""
    from stead.demo.cli import decisions

    decisions.serve(Path(file), url, public=public)
