"""Time of day and week for conditions: `hour(now, "Europe/Zurich")`. CEL here knows no zones and no whole seconds."""

import re
from datetime import datetime
from functools import lru_cache
from zoneinfo import ZoneInfo

from stead.identity.errors import ConfigurationError

_ZONE = re.compile(r"""\b(?:hour|weekday)\s*\([^,"']*,\s*(?:"([^"]*)"|'([^']*)')\s*\)""")


def hour(now: int, zone: str) -> int:
    """The hour of the day there, 0 to 23. Raises `ValueError` for a zone that is none."""
    return _there(now, zone).hour


def weekday(now: int, zone: str) -> int:
    """The day of the week there, 1 for Monday to 7 for Sunday (ISO 8601). Raises `ValueError` likewise."""
    return _there(now, zone).isoweekday()


def check_zones(condition: str, rule: str) -> None:
    """Raises `ConfigurationError` for a zone in a condition that does not exist."""
    for double, single in _ZONE.findall(condition):
        try:
            _zone(double or single)
        except ValueError:
            raise ConfigurationError(
                f"Rule {rule} names an unknown time zone: {double or single}.", hint="Such as UTC or Europe/Zurich."
            ) from None


def _there(now: int, zone: str) -> datetime:
    return datetime.fromtimestamp(now, _zone(zone))


@lru_cache(maxsize=64)
def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (LookupError, OSError, TypeError):
        raise ValueError("not a time zone") from None
