"""The reference of the profile file is complete, and its examples are profiles."""

import re
from pathlib import Path

import pytest

from docs import profile_page
from docs.profile_page import EXAMPLE, MEANINGS, profile_reference
from stead.demo.conformance.checks import CHECKS
from stead.demo.conformance.profile import Profile, load

DOCS = Path(__file__).parents[2] / "docs"
YAML = re.compile(r"^```yaml\n(.*?)^```", re.MULTILINE | re.DOTALL)


def test_every_member_and_every_check_has_a_row() -> None:
    page = (DOCS / "reference" / "conformance.md").read_text(encoding="utf-8")
    for place in {*MEANINGS, *(one.name for one in CHECKS), *Profile.model_fields}:
        assert f"`{place}`" in page, place


@pytest.mark.parametrize("page", ["reference/conformance.md", "how-to/check-an-agent.md"])
def test_every_example_is_a_profile_that_loads(page: str, tmp_path: Path) -> None:
    (example,) = YAML.findall((DOCS / page).read_text(encoding="utf-8"))
    (tmp_path / "profile.yaml").write_text(example)
    assert load(tmp_path / "profile.yaml").people.others


def test_the_whole_example_says_everything_that_can_be_said(tmp_path: Path) -> None:
    (tmp_path / "profile.yaml").write_text(EXAMPLE)
    assert load(tmp_path / "profile.yaml").model_fields_set == set(Profile.model_fields)


@pytest.mark.parametrize("place", ["times.settle", "person", "executions"])
def test_a_member_without_a_meaning_stops_the_generator(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_page, "MEANINGS", {name: text for name, text in MEANINGS.items() if name != place})
    with pytest.raises(KeyError, match=re.escape(place)):
        profile_reference()


def test_a_meaning_of_what_is_gone_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile_page, "MEANINGS", {**MEANINGS, "times.lunch": "For lunch."})
    with pytest.raises(KeyError, match=r"times\.lunch"):
        profile_reference()
