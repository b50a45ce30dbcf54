"""What others said, as a report quotes it: short, and without anything long enough to be a credential."""

import re

_LONGEST = 120
_LIKE_A_SECRET = re.compile(r"[\w.~+/=-]{40,}")


def quoted(text: str) -> str:
    """The beginning of a text, on one line."""
    return _LIKE_A_SECRET.sub("…", " ".join(text.split()))[:_LONGEST].strip()
