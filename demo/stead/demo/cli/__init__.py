"""The `stead` command. Exit codes: 0 done, 1 refused or failed, 2 misused or not set up.

Commands import what they need when they run, so that `stead --help` answers at once.
"""

import sys


def main() -> None:
    """Runs the command line and turns what goes wrong into a sentence and an exit code; never a traceback."""
    from stead.demo.cli.app import app
    from stead.demo.cli.output import explain
    from stead.identity.errors import ConfigurationError, IdentityError
    from stead.identity.home import quiet_a2a

    quiet_a2a()
    try:
        app()
    except ConfigurationError as error:
        explain(error)
        sys.exit(2)
    except IdentityError as error:
        explain(error)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
