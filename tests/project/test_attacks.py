"""Each attack on the list names tests that exist."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.project.attacks import ATTACKS

TESTS = Path(__file__).parents[1]
LINES = [(part, attack, shown) for part, attacks in ATTACKS.items() for attack, shown in attacks.items()]


@cache
def names_in(module: str) -> frozenset[str]:
    return frozenset(re.findall(r"^(?:async )?def (test_\w+)", (TESTS / f"{module}.py").read_text(), re.MULTILINE))


@pytest.mark.parametrize(("part", "attack", "shown"), LINES, ids=[f"{part}: {attack}" for part, attack, _ in LINES])
def test_an_attack_on_the_list_has_its_tests(part: str, attack: str, shown: tuple[str, ...]) -> None:
    assert shown
    for name in shown:
        module, _, test = name.partition("::")
        assert test in names_in(module), name
