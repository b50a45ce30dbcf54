"""Several questions in one request: defaults, order, and when the rest need no answer (AuthZEN 1.0 s7.1).

Knows nothing of what is asked, and of an answer only its `decision`.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from stead.identity.errors import InvalidRequest
from stead.identity.types import Json

MAX_QUESTIONS = 500
MAX_SHARED = 1_048_576
"""Characters of a context that questions have in common, counted once for each: for each it is looked at anew."""
MEMBERS = ("subject", "action", "resource", "context")

_STOPS_AT: Mapping[str, bool | None] = {
    "execute_all": None,
    "deny_on_first_deny": False,
    "permit_on_first_permit": True,
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Questions, each complete. `stops_at` is the decision after which no more are answered; None answers all."""

    questions: tuple[Json, ...]
    stops_at: bool | None = None
    is_single: bool = False

    def answered(self, answer: Callable[[Json], Json]) -> Json:
        """The reply: each question's answer in order, or the one answer where one question was asked."""
        answers = []
        for question in self.questions:
            answers.append(answer(question))
            if answers[-1]["decision"] is self.stops_at:
                break
        return answers[0] if self.is_single else {"evaluations": answers}


def read_batch(document: Json) -> Batch:
    """What a request asks: what stands at the top is the default of each. Without `evaluations` it is one question.

    Raises `InvalidRequest`.
    """
    defaults = {name: document[name] for name in MEMBERS if name in document}
    entries = document.get("evaluations") or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidRequest("The evaluations are not a list of objects.")
    if len(entries) > MAX_QUESTIONS:
        raise InvalidRequest(f"More than {MAX_QUESTIONS} questions are not answered at once.")
    if len(entries) * len(json.dumps(defaults.get("context"))) > MAX_SHARED:
        raise InvalidRequest("The questions have too long a context in common.", hint="Ask fewer at once.")
    if not entries:
        return Batch((defaults,), is_single=True)
    return Batch(tuple({**defaults, **entry} for entry in entries), _stops_at(document.get("options")))


def _stops_at(options: Any) -> bool | None:
    semantic = options.get("evaluations_semantic", "execute_all") if isinstance(options, Mapping) else "execute_all"
    is_known = isinstance(semantic, str) and semantic in _STOPS_AT
    if (options is not None and not isinstance(options, Mapping)) or not is_known:
        raise InvalidRequest("The options are not understood.", hint=f"Known: {', '.join(_STOPS_AT)}.")
    return _STOPS_AT[semantic]
