"""A forecast as a line with its band: geometry only, as numbers that a template writes into SVG."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WIDTH, HEIGHT = 408, 132
_TOP, _BOTTOM, _RIGHT = 10, 22, 58


@dataclass(frozen=True, slots=True)
class Chart:
    """Paths of one forecast. `past` is what was observed, `ahead` the expectation, `band` where it likely ends up."""

    past: str
    ahead: str
    band: str
    today: float
    base: float
    marks: tuple[tuple[float, str, str], ...]
    width: int = WIDTH
    height: int = HEIGHT


def forecast_chart(forecast: Mapping[str, Any]) -> Chart | None:
    """The chart of one forecast of the `trend` skill, or None where there is nothing to draw."""
    history = [float(one) for one in forecast.get("history") or () if _is_number(one)]
    band = [pair for one in forecast.get("band") or () if (pair := _pair(one))]
    if len(history) < 2:
        return None
    if not band:
        band = _fan(history[-1], forecast)
    return _draw(history, band)


def _fan(last: float, forecast: Mapping[str, Any]) -> list[tuple[float, float]]:
    ends = _pair((forecast.get("low"), forecast.get("high")))
    if ends is None:
        return []
    return [(last + (ends[0] - last) * part, last + (ends[1] - last) * part) for part in (0.25, 0.5, 0.75, 1.0)]


def _draw(history: Sequence[float], band: Sequence[tuple[float, float]]) -> Chart:
    lows, highs = [low for low, _ in band], [high for _, high in band]
    floor, top = min([*history, *lows]), max([*history, *highs])
    reach = (top - floor) or 1.0
    # Past and future share the width by their number of days, but the future never gets less than a quarter.
    room = WIDTH - _RIGHT
    today = min(room * 0.75, room * (len(history) - 1) / max(1, len(history) - 1 + len(band))) if band else float(room)

    def y(value: float) -> float:
        return _TOP + (top - value) / reach * (HEIGHT - _TOP - _BOTTOM)

    past = [(today * index / (len(history) - 1), y(value)) for index, value in enumerate(history)]
    ahead_x = [today + (room - today) * (index + 1) / len(band) for index in range(len(band))]
    start = past[-1]
    upper = [start, *zip(ahead_x, map(y, highs), strict=True)]
    lower = [start, *zip(ahead_x, map(y, lows), strict=True)]
    middle = [start, *zip(ahead_x, (y((low + high) / 2) for low, high in band), strict=True)]
    return Chart(
        past=_path(past),
        ahead=_path(middle) if band else "",
        band=f"{_path([*upper, *reversed(lower)])}Z" if band else "",
        today=round(today, 1),
        base=HEIGHT - _BOTTOM + 4,
        marks=_marks(history[-1], band, y),
    )


def _marks(last: float, band: Sequence[tuple[float, float]], y: Any) -> tuple[tuple[float, str, str], ...]:
    """Labels at the right edge, pushed apart so that none covers another."""
    wanted = [(y(last), _figure(last), "now")]
    if band:
        wanted = [(y(band[-1][1]), _figure(band[-1][1]), ""), (y(band[-1][0]), _figure(band[-1][0]), "")]
    placed: list[tuple[float, str, str]] = []
    for height, text, kind in sorted(wanted):
        floor = placed[-1][0] + 13 if placed else 0.0
        placed.append((round(max(height, floor), 1), text, kind))
    return tuple(placed)


def _figure(value: float) -> str:
    return f"{value:,.2f}".replace(",", "\u202f")


def _path(points: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)


def _pair(value: Any) -> tuple[float, float] | None:
    if isinstance(value, Mapping):
        value = (value.get("low"), value.get("high"))
    if isinstance(value, Sequence) and not isinstance(value, str) and len(value) >= 2:
        low, high = value[0], value[-1]
        if _is_number(low) and _is_number(high):
            return float(low), float(high)
    return None


def _is_number(value: Any) -> bool:
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, int | float) and not isinstance(value, bool)
