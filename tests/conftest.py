"""What every test may use."""

from pathlib import Path

import pytest

from stead.identity.home import Home


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """An empty state directory."""
    return Home(tmp_path / "home")
