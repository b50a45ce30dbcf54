"""`stead demo` and `stead serve`."""

from stead.demo.cli.output import emit_line, say, tell
from stead.identity.home import Home, Network


def demo(*, fresh: bool, story: bool, json: bool) -> None:
    """Runs the network until a signal ends it; with `story`, until the story is told."""
    from stead.demo.network.addresses import separate_hosts
    from stead.demo.network.launcher import Ended, running

    home = Home.current()
    if not separate_hosts():
        tell("WARNING: this system has one loopback address, so the services share cookies. Do not build on it.")
    try:
        with running(home, fresh=fresh, tell=tell) as network:
            if story:
                from stead.demo.story import tell_story

                tell_story(home)
                return
            announce(network.network, json=json)
            network.watch()
    except Ended:
        tell("FinPort has stopped.")


def announce(network: Network, *, json: bool) -> None:
    """One line for a person, one map for a program."""
    if json:
        emit_line(
            {
                "web": network.web,
                "broker": network.broker,
                "corporate_idp": network.corporate_idp,
                "bank_idp": network.bank_idp,
                "agents": dict(network.agents),
                "mcp_servers": dict(network.mcp_servers),
            }
        )
    else:
        say(f"FinPort is ready: {network.web}  (Ctrl-C stops it)")


def serve_one(command: tuple[str, ...], *, public: bool) -> None:
    """Serves one part at the address that the network recorded for it."""
    from stead.demo.network.addresses import addresses
    from stead.demo.network.catalogue import service
    from stead.identity.serving import serve_at
    from stead.identity.settings import Settings

    home = Home.current()
    wanted = service(command)
    url = dict(addresses(home.network))[wanted.place]
    tell(f"{wanted.title} at {url}")
    how = Settings.load(home).transport(wanted.name)
    serve_at(url, lambda: wanted.load(home, url), public=public, how=how)
