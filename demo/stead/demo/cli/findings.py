"""What `stead doctor` finds."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. `good` is False for what has to be mended; then `hint` says how."""

    what: str
    good: bool
    told: str
    hint: str | None = None
