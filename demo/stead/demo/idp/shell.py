"""JSON in a shell script: quoted, but for `%variable%`, which is what the shell has in it; and read without a tool."""

import json
import re
import shlex

import yaml

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


OBJECTS = """
# The objects of a JSON list, or the one that it is, one a line and without white space around what they say.
objects() {
  awk '{ text = text $0 } END {
    for (at = 1; at <= length(text); at++) {
      one = substr(text, at, 1)
      if (quoted) {
        if (one == "\\\\") one = one substr(text, ++at, 1)
        else if (one == "\\"") quoted = 0
      } else {
        if (one == "\\"") quoted = 1
        if (one ~ /[ \\t]/) continue
        if (one == "{") depth++
        if (one == "}" && --depth == 0) { print line one; line = ""; continue }
      }
      if (depth) line = line one
    }
  }'
}

# MEMBER JSON: the first value that its first object says of it, if any.
value() {
  printf '%s\\n' "$2" | objects | head -n 1 | grep -o "\\"$1\\":\\"[^\\"]*\\"" | head -n 1 | cut -d '"' -f 4
}

# MEMBER VALUE JSON: the first object of the list in which it is that.
with() {
  printf '%s\\n' "$3" | objects | grep -F "\\"$1\\":\\"$2\\"" | head -n 1
}
"""
"""`with` and `value`, for answers that are a list of what there is."""


def written_last(settings: Json) -> str:
    """The lines that write our settings beside the script, with what the provider gave in the place of `$variables`."""
    text = yaml.safe_dump(settings, sort_keys=False)
    return f'\ncat > "$(dirname "$0")/stead.yaml" <<END\n{text}END\n'
