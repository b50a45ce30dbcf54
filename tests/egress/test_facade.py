"""What `stead.identity` promises to export."""

import subprocess
import sys
from typing import Any

import pytest

import stead.identity


@pytest.mark.parametrize("name", stead.identity.__all__)
def test_every_exported_member_is_there(name: Any) -> None:
    assert getattr(stead.identity, name).__name__ == name


def test_the_list_is_sorted_complete_and_without_repetition() -> None:
    assert stead.identity.__all__ == sorted(set(stead.identity.__all__))
    assert dir(stead.identity) == stead.identity.__all__


def test_every_error_a_caller_may_catch_is_exported() -> None:
    from stead.identity import errors

    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }
    assert defined <= set(stead.identity.__all__)


def test_nothing_else_is_reachable() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = stead.identity.nothing


def test_the_name_alone_costs_no_library() -> None:
    code = "import sys, stead.identity; sys.exit(bool({'httpx', 'joserfc', 'pydantic'} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
