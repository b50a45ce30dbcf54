"""Exact numbers for conditions: `decimal("10.50")`. CEL has binary fractions only."""

from decimal import Decimal, InvalidOperation

_MILLIONTHS = Decimal(1_000_000)
_LIMIT = 2**63


def decimal(value: object) -> int:
    """An exact number in millionths. Raises an error for what is none, or too fine or too large to compare."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise TypeError("not a decimal number in a string")
    try:
        millionths = Decimal(value) * _MILLIONTHS
        whole = int(millionths)
    except (InvalidOperation, ValueError, OverflowError):
        raise ValueError("not a decimal number") from None
    if whole != millionths or not -_LIMIT <= whole < _LIMIT:
        raise ValueError("a decimal number too fine or too large")
    return whole
