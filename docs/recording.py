"""Makes a recorded trail readable and the same every time: `stead trail export | python -m docs.recording`.

What a start of the network chooses at random is renamed: ports become 8400, ids are numbered in the order of the hops,
and times count from the first moment of 2026. Who called whom, by what right, and how long it took stay as recorded.
"""

import json
import re
import sys
from typing import Any

EPOCH = 1_767_225_600
"""2026-01-01T00:00:00Z."""

_PORT = re.compile(r"(?<=http://)([\d.]+):\d+")


def readable(trail: dict[str, Any]) -> dict[str, Any]:
    """The trail with stable names, numbers and times."""
    began = trail["hops"][0]["started"]
    names = {hop["hop"]: f"{number:016x}" for number, hop in enumerate(trail["hops"], start=1)}
    tokens = {hop["jti"]: f"token-{number}" for number, hop in enumerate(trail["hops"], start=1) if hop["jti"]}
    hops = [_hop(hop, names | tokens, began) for hop in trail["hops"]]
    return {"task": "00000000-0000-4000-8000-000000000001", "version": trail["version"], "hops": hops}


def _hop(hop: dict[str, Any], names: dict[str, str], began: float) -> dict[str, Any]:
    renamed = {name: _PORT.sub(r"\1:8400", value) if isinstance(value, str) else value for name, value in hop.items()}
    ids = {name: names.get(hop[name], hop[name]) for name in ("hop", "parent", "jti", "parent_jti")}
    times = {name: EPOCH + round(hop[name] - began, 3) for name in ("started", "ended")}
    consent = "consent-1" if hop["consent_id"] else None
    return {**renamed, **ids, **times, "exp": EPOCH + round(hop["exp"] - began), "consent_id": consent}


if __name__ == "__main__":
    json.dump(readable(json.load(sys.stdin)), sys.stdout, indent=2)
    sys.stdout.write("\n")
