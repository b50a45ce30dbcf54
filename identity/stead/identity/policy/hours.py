"""Time of day and week for conditions: `hour(now, "Europe/Zurich")`. CEL here knows no zones and no whole seconds."""

from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo


def hour(now: int, name: str) -> int:
    """The hour of the day there, 0 to 23. Raises `ValueError` for a zone that is none."""
    return _there(now, name).hour


def weekday(now: int, name: str) -> int:
    """The day of the week there, 1 for Monday to 7 for Sunday (ISO 8601). Raises `ValueError` likewise."""
    return _there(now, name).isoweekday()


@lru_cache(maxsize=64)
def zone(name: str) -> ZoneInfo:
    """The time zone of that name. Raises `ValueError` for one that is none."""
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, TypeError):
        raise ValueError("not a time zone") from None


def _there(now: int, name: str) -> datetime:
    return datetime.fromtimestamp(now, zone(name))
