"""Names that somebody wrote, held against those that there are."""

import difflib
from collections.abc import Collection, Iterable

from stead.identity.errors import ConfigurationError


def check_names(
    what: str, names: Iterable[str], known: Collection[str], rule: str, otherwise: str | None = None
) -> None:
    """Raises `ConfigurationError` for the first name that is not known, with the nearest one that is."""
    for name in names:
        if name not in known:
            raise unknown_name(what, name, known, rule, otherwise)


def unknown_name(
    what: str, name: str, known: Collection[str], rule: str, otherwise: str | None = None
) -> ConfigurationError:
    """The mistake of naming what there is none of."""
    return ConfigurationError(f"Rule {rule} names an unknown {what}: {name}.", hint=nearest(name, known, otherwise))


def nearest(name: str, known: Collection[str], otherwise: str | None = None) -> str:
    """Which known name was probably meant, as a hint; where none is near `otherwise`, or all that there are."""
    near = difflib.get_close_matches(name, sorted(known), n=1)
    if near:
        return f"Did you mean {near[0]}?"
    return otherwise or f"Known: {', '.join(sorted(known)) or 'none'}."
