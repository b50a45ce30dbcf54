"""The sample history is invented, says so, and is the same on every machine."""

from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from stead.mcp_servers.quotes.sample import TRADING_DAYS, SampleProvider, history
from stead.mcp_servers.samples import AS_OF, SECURITIES


@pytest.mark.parametrize("symbol", sorted(SECURITIES))
def test_a_history_has_250_weekdays_and_ends_at_the_stated_price(symbol: str) -> None:
    bars = history(SECURITIES[symbol])
    assert len(bars) == TRADING_DAYS
    assert bars[-1].day == AS_OF
    assert bars[-1].close == SECURITIES[symbol].price
    assert all(one.day < next.day and one.day.weekday() < 5 for one, next in pairwise(bars))
    assert all(bar.close > 0 for bar in bars)


def test_the_generator_gives_the_same_history_everywhere() -> None:
    closes = [bar.close for bar in history(SECURITIES["AAPL"])]
    assert closes[:2] == [Decimal("224.06"), Decimal("223.68")]


async def test_the_provider_reads_what_the_generator_wrote(tmp_path: Path) -> None:
    provider = SampleProvider(tmp_path / "quotes.db")
    assert list(await provider.bars("MSFT", 5)) == history(SECURITIES["MSFT"])[-5:]
    assert list(await provider.listings(["MSFT", "NOPE"])) == ["MSFT"]
    assert "invented" in provider.source
