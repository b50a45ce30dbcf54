"""What every test may use."""

import os
from pathlib import Path

import pytest

from stead.identity.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty state directory."""
    return Home(tmp_path / "home")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long runs are taken in with LONG=1; the closing line counts them as deselected otherwise."""
    if os.environ.get("LONG"):
        return
    long = [item for item in items if item.get_closest_marker("long")]
    config.hook.pytest_deselected(items=long)
    items[:] = [item for item in items if item not in long]
