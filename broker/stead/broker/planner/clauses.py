"""A sentence as the intents it holds: clauses, each with how it hangs on the one before, and whether it is negated."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from stead.broker.planner.words import listed, stem, words

_SENTENCE_END = re.compile(r"(?<=[!?;])\s*|(?<=[.])\s+(?=[A-Z\"'“])|\.\s*$|\n+")
_JOINT = re.compile(
    r"\s*,?\s+(?:and\s+then|and\s+also|after\s+that|and|then|but|plus|as\s+well\s+as|or)\s+|\s*,\s+", re.I
)
_NEGATION = re.compile(
    r"^(?:please\s+|and\s+|so\s+|but\s+)*(?:(?:i|you|we)\s+(?:do\s+not|don['’]?t|must\s+not|mustn['’]t|should\s+not|shouldn['’]t|would\s+not)\b"
    r"|do\s+not\b|don['’]?t\b|never\b|not\b|no\b|avoid\b|refrain\s+from\b|stop\b|without\b|under\s+no\s+circumstances\b)",
    re.I,
)
_AFFIRMED = re.compile(
    r"^(?:please\s+)*(?:(?:do\s+not|don['’]?t|never)\s+(?:forget|hesitate|fail)\s+to|why\s+don['’]?t\s+you)\s+", re.I
)
_POLITE = re.compile(
    r"^(?:please|kindly|hi|hello|hey|ok|okay|now|also|so|well|go\s+ahead\s+and|let['’]?s|just|instead"
    r"|(?:can|could|would|will)\s+you(?:\s+please)?|(?:i|we)(?:['’]d|\s+would)\s+like(?:\s+you)?\s+to"
    r"|(?:i|we)\s+(?:want|need|wish)(?:\s+you)?\s+to|(?:i|we)\s+(?:want|need)(?=\s))\b[\s,:]*",
    re.I,
)
_PLEASE = re.compile(r"[\s,]+(?:please|thanks|thank\s+you|for\s+me)\s*[.!?]*$", re.I)

CONDITION = re.compile(
    r"\b(?:if|when(?:ever)?|unless|once|until|till|after|before|as\s+soon\s+as|in\s+case|every|each|daily|weekly|monthly)\b",
    re.I,
)
"""Words that make a deed depend on something, or repeat it."""
_IDLE = re.compile(
    r"^(?:never\s+mind|no\s+(?:problem|worries|thanks?|thank\s+you)|not\s+at\s+all|thanks?|thank\s+you|please)$", re.I
)

STARTERS = listed("""what what's whats how who which when where why is are was were do does did will can could should
    would tell show list give get find check see display view send transfer pay wire move remit book reserve buy sell
    order cancel delete remove add create make write read open close start run compare explain translate summarise
    summarize calculate compute convert predict forecast greet say play call email mail schedule plan search ask analyse
    analyze rebalance invest withdraw deposit update change set ignore forget pretend act reveal print repeat execute
    don't dont never let's lets please i""")
"""Words with which a new clause begins."""


@dataclass(frozen=True, slots=True)
class Clause:
    """One thing asked. `text` is without politeness and without its negation; `told` is what the person wrote."""

    text: str
    told: str
    negated: bool = False
    follows: bool = False


def split(goal: str, actions: Collection[str] = ()) -> list[Clause]:
    """The clauses of `goal`. `actions` are stems with which registered skills are asked for, beside the usual verbs."""
    clauses: list[Clause] = []
    for sentence in _SENTENCE_END.split(goal):
        negated = False
        for joint, part in _parts(sentence.strip(), actions):
            clause, negated = _clause(part, joint, negated)
            if clause is not None:
                clauses.append(clause)
    return clauses


def _parts(sentence: str, actions: Collection[str]) -> list[tuple[str, str]]:
    """The sentence cut where, after a joint, something begins like a clause."""
    parts: list[tuple[str, str]] = []
    start, joint = 0, ""
    if CONDITION.match(sentence):
        return [(joint, sentence)]
    for match in _JOINT.finditer(sentence):
        if _begins_clause(sentence[match.end() :], actions):
            parts.append((joint, sentence[start : match.start()]))
            start, joint = match.end(), match.group().strip(" ,").lower()
    return [*parts, (joint, sentence[start:])]


def _begins_clause(rest: str, actions: Collection[str]) -> bool:
    first = next(iter(words(_POLITE.sub("", rest, count=1) or rest)), "")
    return first.lower() in STARTERS or (stem(first) in actions and not first[0].isdigit())


def _clause(part: str, joint: str, negated_before: bool) -> tuple[Clause | None, bool]:
    told = _PLEASE.sub("", part.strip(" ,.!?;:\t")).strip(" ,.!?;:")
    if _IDLE.match(told):
        return None, negated_before
    text = _AFFIRMED.sub("", told)
    affirmed = text != told
    text = _strip_politeness(text)
    match = None if affirmed else _NEGATION.match(text)
    # "Don't do this and do that" may mean either; what has effects is not done on a perhaps.
    negated = match is not None or (negated_before and joint in ("and", "or") and not affirmed)
    if match is not None:
        text = _strip_politeness(text[match.end() :].strip(" ,"))
    if not words(text):
        return None, negated
    return Clause(text, told, negated, follows="then" in joint or "after that" in joint), negated


def _strip_politeness(text: str) -> str:
    while (shorter := _POLITE.sub("", text, count=1)) != text and words(shorter):
        text = shorter
    return text
