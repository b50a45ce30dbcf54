"""The settings' reference, examples and schema: complete, current, and unforgiving about what is missing."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from docs import settings_page
from docs.generate import SCHEMA
from docs.meanings import MEANINGS
from docs.setting_examples import EXAMPLES
from docs.settings_page import SECTIONS, settings_reference, settings_schema
from stead.identity.home import Home
from stead.identity.settings import FILE, Settings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "settings.md"
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)
PLACES = {section.named(name) for section in SECTIONS for name in section.model.model_fields}


def test_every_setting_at_any_depth_has_a_row_and_every_section_a_chapter() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert {"issuers.clients.client_secret_file", "timeouts.read", "dpop"} <= PLACES
    for place in PLACES:
        assert f"| `{place}` |" in page, place
    for section in SECTIONS:
        assert not section.place or f"## `{section.place}`" in page, section.place


@pytest.mark.parametrize("place", sorted(EXAMPLES))
def test_every_example_is_a_file_that_loads_and_fits_the_schema(place: str, tmp_path: Path) -> None:
    (tmp_path / FILE).write_text(EXAMPLES[place])
    Settings.load(Home(tmp_path))
    document = yaml.safe_load(EXAMPLES[place])
    Draft202012Validator(json.loads(settings_schema())).validate(document)
    assert not place or place.partition(".")[0] in document


def test_the_examples_on_the_page_are_those_that_load() -> None:
    shown = [block.strip() for block in YAML.findall(PAGE.read_text(encoding="utf-8"))]
    assert sorted(shown) == sorted(text.strip() for text in EXAMPLES.values())


@pytest.mark.parametrize(("what", "known"), [("MEANINGS", MEANINGS), ("EXAMPLES", EXAMPLES)])
def test_a_setting_without_words_or_a_section_without_example_stops_the_generator(
    what: str, known: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings_page, what, {name: text for name, text in known.items() if name != "timeouts"})
    with pytest.raises(KeyError, match="timeouts"):
        settings_reference()


def test_words_about_a_setting_that_is_gone_stop_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings_page, "MEANINGS", {**MEANINGS, "timeouts.lunch": "For lunch."})
    with pytest.raises(KeyError, match=r"timeouts\.lunch"):
        settings_reference()


def test_the_schema_is_valid_says_what_each_setting_means_and_lies_beside_the_settings() -> None:
    schema = json.loads(settings_schema())
    Draft202012Validator.check_schema(schema)
    assert SCHEMA.read_text(encoding="utf-8") == settings_schema()
    assert schema["properties"]["dpop"]["description"] == MEANINGS["dpop"]
    clients = schema["$defs"]["ClientSettings"]["properties"]
    assert clients["client_id"]["description"] == MEANINGS["issuers.clients.client_id"]


@pytest.mark.parametrize(
    "document",
    [{"planer": "rules"}, {"dpop": "sometimes"}, {"timeouts": {"read": 0}}, {"issuers": [{"preset": "okta"}]}],
)
def test_what_the_settings_refuse_the_schema_refuses(document: Any) -> None:
    with pytest.raises(ValidationError):
        Draft202012Validator(json.loads(settings_schema())).validate(document)
