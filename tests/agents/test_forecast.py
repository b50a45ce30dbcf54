"""The forecast does what its method says, from whichever source."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pytest

from stead.agents.market_data import METHOD, Series, forecast, forecasts, trend_of
from stead.identity.errors import InvalidRequest

GROWTH = 0.002


def _growing(days: int = 60) -> Series:
    closes = [100 * math.exp(GROWTH * day) for day in range(days)]
    return Series("AAPL", "Apple Inc.", "USD", closes, "2026-11-24")


def test_a_price_that_grows_evenly_is_continued_without_a_band() -> None:
    one = forecast(_growing(), 10)
    assert one.trend == "up"
    assert one.change_pct == pytest.approx((math.exp(GROWTH * 10) - 1) * 100, abs=0.01)
    assert one.low == one.high


def test_the_band_grows_with_the_square_root_of_the_days() -> None:
    closes = [100 * (1.01 if day % 2 else 1.0) for day in range(60)]
    one = forecast(Series("X", "X", "EUR", closes, "2026-11-24"), 4)
    widths = [math.log(high / low) for low, high in one.band]
    assert widths[3] / widths[0] == pytest.approx(2, rel=0.01)


def test_a_price_that_does_not_move_is_flat() -> None:
    one = forecast(Series("X", "X", "EUR", [10.0] * 60, "2026-11-24"), 30)
    assert (one.trend, one.change_pct, one.low, one.high) == ("flat", 0, "10.00", "10.00")


def test_only_the_last_sixty_closes_count() -> None:
    quiet = [*[1.0] * 100, *_growing().closes]
    assert forecast(Series("X", "X", "EUR", quiet, "2026-11-24"), 5).change_pct == forecast(_growing(), 5).change_pct


def test_the_slope_is_that_of_the_least_squares_line() -> None:
    slope, spread = trend_of(_growing().closes)
    assert slope == pytest.approx(GROWTH)
    assert spread == pytest.approx(0, abs=1e-12)


def test_the_method_is_named_with_the_forecast() -> None:
    assert forecast(_growing(), 5).method == METHOD
    assert "no advice" in METHOD


@dataclass
class Live:
    """Another source, plugged in."""

    known: Sequence[Series]

    async def closes(self, symbols: Sequence[str], days: int) -> tuple[list[Series], list[str], str]:
        return [one for one in self.known if one.symbol in symbols], ["ZZZ"], "a live source"


async def test_another_source_can_be_plugged_in() -> None:
    answer = await forecasts(Live([_growing()]), ["AAPL", "ZZZ"], 5)
    assert [one.symbol for one in answer.forecasts] == ["AAPL"]
    assert (answer.unknown, answer.source) == (["ZZZ"], "a live source")


async def test_symbols_that_nobody_knows_are_refused_with_a_hint() -> None:
    with pytest.raises(InvalidRequest, match="ZZZ"):
        await forecasts(Live([]), ["ZZZ"], 5)
