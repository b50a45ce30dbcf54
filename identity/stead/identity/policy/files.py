"""Rules from files, and every mistake of a file told with its path."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from stead.identity.errors import ConfigurationError
from stead.identity.policy.reading import read_rules
from stead.identity.policy.rules import Rule


def read_file(path: Path, source: str = "") -> list[Rule]:
    """The rules of a file, which remember that they come from `source`, or from its name.

    Raises `ConfigurationError` that names the file and the rule.
    """
    with told_of(path):
        return [replace(rule, source=source or path.name) for rule in read_rules(text_of(path))]


def text_of(path: Path) -> str:
    """What the file says. Raises `ConfigurationError` for one that is not there, or is no text."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeError):
        raise ConfigurationError("It cannot be read.", hint="It is UTF-8 text, readable by the service.") from None


@contextmanager
def told_of(path: Path) -> Iterator[None]:
    """A mistake that is found within is told with the path of the file that has it."""
    try:
        yield
    except ConfigurationError as error:
        raise ConfigurationError(f"{path}: {error.description}", hint=error.hint, debug=error.debug) from None
