"""JSON in a shell script: quoted, but for `%variable%`, which is what the shell has in it."""

import json
import re
import shlex

from stead.identity.types import Json


def quoted(body: Json) -> str:
    """The body as one word of a command."""
    return re.sub(r"%([a-z]+_\w+)%", r"""'"$\1"'""", shlex.quote(json.dumps(body)))


def variable(kind: str, name: str) -> str:
    """The variable that holds the id of a thing: `app_finport_web`."""
    return f"{kind}_" + re.sub(r"\W", "_", name)


def held(kind: str, name: str) -> str:
    """That variable, for `quoted`."""
    return f"%{variable(kind, name)}%"
