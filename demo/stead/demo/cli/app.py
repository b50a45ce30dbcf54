"""The commands and their options. Each calls one function of the module named after it."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from stead.demo.cli.conformance import conformance_app
from stead.demo.cli.policy_commands import policy_app

app = typer.Typer(
    help="An agent network in which every hop acts in the user's stead, and can prove it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
trail_app = typer.Typer(help="The identity trail of a task.", no_args_is_help=True)
agents_app = typer.Typer(help="The agents that the broker knows.", no_args_is_help=True)
registry_app = typer.Typer(help="What the broker may plan with.", no_args_is_help=True)
vault_app = typer.Typer(help="Secrets at rest.", no_args_is_help=True)
token_app = typer.Typer(help="Tokens.", no_args_is_help=True)
config_app = typer.Typer(help="What is set in the state directory and the environment.", no_args_is_help=True)
idp_app = typer.Typer(help="Another identity provider in place of the embedded one.", no_args_is_help=True)
app.add_typer(trail_app, name="trail")
app.add_typer(agents_app, name="agents")
app.add_typer(registry_app, name="registry")
app.add_typer(token_app, name="token")
app.add_typer(config_app, name="config")
app.add_typer(vault_app, name="vault")
app.add_typer(idp_app, name="idp")
app.add_typer(policy_app, name="policy")
app.add_typer(conformance_app, name="conformance")

As = Annotated[str, typer.Option("--as", metavar="USER", help="The sample person who signs in.")]


class EventForm(StrEnum):
    """How events are printed."""

    RAW = "raw"
    OCSF = "ocsf"
    ECS = "ecs"


AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def demo(
    fresh: Annotated[bool, typer.Option("--fresh", help="Forget everything and choose new addresses.")] = False,
    story: Annotated[bool, typer.Option("--story", help="Play the four scenes in the terminal, then stop.")] = False,
    json: AsJson = False,
) -> None:
    """Start FinPort: two identity providers, broker, agents, MCP servers and the web page, on this machine."""
    from stead.demo.cli import network

    network.demo(fresh=fresh, story=story, json=json)


@app.command()
def serve(
    what: Annotated[
        list[str], typer.Argument(metavar="SERVICE [NAME]", help="broker, agent NAME, mcp NAME, idp NAME, trail or web")
    ],
    public: Annotated[bool, typer.Option("--public", help="Allow an address that is not loopback.")] = False,
) -> None:
    """Serve one part of a network, at its recorded address."""
    from stead.demo.cli import network

    network.serve_one(tuple(what), public=public)


@app.command()
def certs(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME]...", help="Workloads; without any, all of FinPort.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Make certificates by which the network speaks TLS on this machine, or renew them. For development."""
    from stead.demo.cli import certs

    certs.issue(names or [], json=json)


@app.command()
def ask(
    goal: Annotated[str, typer.Argument(help="What you want, in plain English.")],
    person: As,
    approve: Annotated[bool, typer.Option("--approve", help="Play the person who approves at the bank.")] = False,
    json: AsJson = False,
) -> None:
    """Ask the broker as a signed-in person, and follow what happens."""
    from stead.demo.cli.ask import ask as run

    raise typer.Exit(run(goal, person, approve=approve, json=json))


@app.command()
def plan(
    goal: Annotated[str, typer.Argument(help="What you want, in plain English.")], person: As, json: AsJson = False
) -> None:
    """Show the plan for a goal, without running it."""
    from stead.demo.cli.ask import plan as run

    raise typer.Exit(run(goal, person, json=json))


@app.command()
def doctor(json: AsJson = False) -> None:
    """Say what is wrong and how to mend it, and how soon a revoked token stops."""
    from stead.demo.cli import doctor as examination

    raise typer.Exit(examination.examine(json=json))


@trail_app.command("show")
def trail_show(
    task: Annotated[str | None, typer.Argument(help="The task; without it, the newest one.")] = None,
    person: As = "admin",
    json: AsJson = False,
) -> None:
    """Draw a task's trail as a tree."""
    from stead.demo.cli import trail

    trail.show(task, person, json=json)


@trail_app.command("export")
def trail_export(
    task: Annotated[str | None, typer.Argument(help="The task; without it, the newest one.")] = None,
    person: As = "admin",
    json: AsJson = False,
    mermaid: Annotated[bool, typer.Option("--mermaid", help="Print a Mermaid sequence diagram.")] = False,
    svg: Annotated[bool, typer.Option("--svg", help="Print the picture.")] = False,
) -> None:
    """Print a task's trail for a program (--json, the default), a page (--mermaid) or a slide (--svg)."""
    from stead.demo.cli import trail

    if json + mermaid + svg > 1:
        raise typer.BadParameter("choose one of --json, --mermaid and --svg")
    trail.export(task, person, form="mermaid" if mermaid else "svg" if svg else "json")


@trail_app.command("verify")
def trail_verify(
    journal: Annotated[Path | None, typer.Option(metavar="DIR", help="Journals from elsewhere.")] = None,
    file: Annotated[Path | None, typer.Option(metavar="FILE", help="What `trail events` printed.")] = None,
    keys: Annotated[
        Path | None, typer.Option(metavar="FILE", help="What `trail keys` printed where they are from.")
    ] = None,
    auditor: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Also compare with the running collector, as an auditor.")
    ] = None,
    json: AsJson = False,
) -> None:
    """Check every audit chain: no event changed, missing, inserted or reordered, and each head signed by both sides.

    The chains of the state directory, unless others are named. Exit code 1 when something is wrong.
    """
    from stead.demo.cli import audit

    if journal and file:
        raise typer.BadParameter("choose one of --journal and --file")
    raise typer.Exit(audit.verify(journal, file, keys, auditor, json=json))


@trail_app.command("events")
def trail_events(
    form: Annotated[EventForm, typer.Argument(metavar="[raw|ocsf|ecs]", help="How each is printed.")] = EventForm.RAW,
    journal: Annotated[Path | None, typer.Option(metavar="DIR", help="Journals from elsewhere.")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="TIME", help="From 2026-03-01, or 12h ago; not with raw.")
    ] = None,
) -> None:
    """Print every event of every task, a line each: as it was written, in OCSF or in ECS."""
    from stead.demo.cli import audit

    audit.export_events(form.value, journal, since)


@trail_app.command("prune")
def trail_prune(
    older_than: Annotated[str, typer.Option(metavar="TIME", help="2026-03-01, or 90d ago.")], json: AsJson = False
) -> None:
    """Delete audit files that are full, older than that, and collected, behind a signed tombstone."""
    from stead.demo.cli import audit

    audit.prune(older_than, json=json)


@trail_app.command("keys")
def trail_keys() -> None:
    """Print the public keys by which exported journals are verified elsewhere."""
    from stead.demo.cli import audit

    audit.keys()


@trail_app.command("who")
def trail_who(
    task: Annotated[str | None, typer.Option(metavar="ID", help="The task; without it, the newest one.")] = None,
    person: As = "admin",
    json: AsJson = False,
) -> None:
    """Say who asked, through whom, by what right, and what was decided: a sentence and a row for each hop."""
    from stead.demo.cli import audit

    audit.who(task, person, json=json)


@trail_app.command("for")
def trail_for(
    user: Annotated[str, typer.Option(metavar="USER", help="In whose stead.")],
    since: Annotated[str | None, typer.Option(metavar="TIME", help="From 2026-03-01, or 12h ago.")] = None,
    person: Annotated[
        str | None, typer.Option("--as", metavar="USER", help="Who asks: an auditor; by default the person.")
    ] = None,
    json: AsJson = False,
) -> None:
    """List everything that was done in a person's stead."""
    from stead.demo.cli import audit

    audit.done_for(user, since, person, json=json)


@agents_app.command("list")
def agents_list(person: As = "alice", json: AsJson = False) -> None:
    """List agents and their skills."""
    from stead.demo.cli import registry

    registry.agents(person, json=json)


@agents_app.command("show")
def agents_show(name: str, person: As = "alice", json: AsJson = False) -> None:
    """Show one agent: its skills, and whose authority each needs."""
    from stead.demo.cli import registry

    registry.agent(name, person, json=json)


@registry_app.command("list")
def registry_list(person: As = "alice", json: AsJson = False) -> None:
    """List agents and MCP servers."""
    from stead.demo.cli import registry

    registry.entries(person, json=json)


@registry_app.command("add")
def registry_add(
    url: Annotated[str, typer.Argument(help="The origin of an agent or MCP server.")], person: As, json: AsJson = False
) -> None:
    """Let an agent or MCP server into the network: as a person with registry:admin.

    If it is to act for people, registry:obo is needed too.
    """
    from stead.demo.cli import registry

    registry.add(url, person, json=json)


@registry_app.command("remove")
def registry_remove(name: str, person: As, json: AsJson = False) -> None:
    """Take an agent or MCP server out of the network: as a person with registry:admin."""
    from stead.demo.cli import registry

    registry.remove(name, person, json=json)


@token_app.command("decode")
def token_decode(
    source: Annotated[str, typer.Argument(metavar="TOKEN", help="A token, or - for standard input.")] = "-",
    json: AsJson = False,
) -> None:
    """Show a token's claims. Nothing is verified, and the token itself is never printed."""
    from stead.demo.cli.token import decode

    decode(source, json=json)


@config_app.command("check")
def config_check(json: AsJson = False) -> None:
    """Say whether the settings can be read, which variables set nothing, and which files are not there."""
    from stead.demo.cli import config

    raise typer.Exit(config.check(json=json))


@config_app.command("show")
def config_show(json: AsJson = False) -> None:
    """Show every setting as it counts, and whether the environment, the file or nobody said so. Never a secret."""
    from stead.demo.cli import config

    config.show(json=json)


@config_app.command("schema")
def config_schema() -> None:
    """Print the JSON Schema of stead.yaml, by which an editor completes and checks it."""
    from stead.demo.cli import config

    config.schema()


@vault_app.command("status")
def vault_status(json: AsJson = False) -> None:
    """Show by which key each vault of the state directory is sealed."""
    from stead.demo.cli import vault

    vault.status(json=json)


@vault_app.command("rotate")
def vault_rotate(
    name: Annotated[str | None, typer.Argument(help="One vault, such as broker; without it, all.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the newest key; make none.")] = False,
    json: AsJson = False,
) -> None:
    """Move secrets at rest to a new key, while the network runs, and retire the old one."""
    from stead.demo.cli import vault

    raise typer.Exit(vault.rotate_all(name, resume=resume, json=json))


@idp_app.command("setup")
def idp_setup(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="auth0, entra, keycloak or okta")],
    issuer: Annotated[str, typer.Option("--issuer", metavar="URL", help="The issuer, as its tokens will name it.")],
    out: Annotated[str, typer.Option("--out", metavar="FOLDER", help="Where to write the files.")] = ".",
    json: AsJson = False,
) -> None:
    """Write the provider's configuration for this network, and the stead.yaml to go with it."""
    from pathlib import Path

    from stead.demo.cli import idp

    idp.setup(product, issuer, Path(out), json=json)


@idp_app.command("rotate-keys")
def idp_rotate_keys(
    which: Annotated[str, typer.Argument(metavar="NAME", help="corporate or bank")] = "corporate",
    at_once: Annotated[bool, typer.Option("--now", help="A key got lost: what the old ones signed is void.")] = False,
    json: AsJson = False,
) -> None:
    """Have the embedded provider sign with another key: after ten minutes, when everybody can know it."""
    from stead.demo.cli import idp

    idp.rotate_keys(which, at_once=at_once, json=json)
