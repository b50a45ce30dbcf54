"""`stead config`: what is set, by whom, and what an editor has to know of it."""

import json as json_text
from dataclasses import asdict
from importlib.resources import files

from stead.demo.cli.output import emit, say, table, tell
from stead.identity.effective import doubts, effective
from stead.identity.home import Home

SCHEMA = "settings.schema.json"
"""A generated file beside the settings themselves."""


def check(*, json: bool) -> int:
    """0 where everything is in order, 1 where something is hardly meant. Raises `ConfigurationError` for a mistake."""
    doubted = doubts(Home.current())
    if json:
        emit({"doubts": [asdict(each) for each in doubted]})
    for each in doubted:
        tell(f"stead: {each.description}")
        tell(f"  {each.hint}")
    if not doubted and not json:
        say("The settings are in order.")
    return 1 if doubted else 0


def show(*, json: bool) -> None:
    """Every setting with its value and its origin."""
    settings = effective(Home.current())
    if json:
        emit([asdict(each) for each in settings])
    else:
        rows = [(each.place, json_text.dumps(each.value, ensure_ascii=False), each.origin) for each in settings]
        table(("Setting", "Value", "From"), rows)


def schema() -> None:
    """The schema as it is generated from the settings."""
    say((files("stead.identity") / SCHEMA).read_text(encoding="utf-8").rstrip())
