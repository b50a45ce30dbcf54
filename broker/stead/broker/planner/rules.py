"""The offline planner: a sentence into steps by rules, the same way each time.

Precise rather than clever: what it does not understand it says it cannot do, what is missing it asks for, and what has
effects it plans only for a plain instruction of which it understood every word.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from stead.broker.planner.amounts import AmbiguousError
from stead.broker.planner.clauses import CONDITION, STARTERS, Clause, split
from stead.broker.planner.inputs import PRONOUN, Filling, fill, kind
from stead.broker.planner.ranking import Match, Vocabulary, actions
from stead.broker.planner.validation import complaints
from stead.broker.planner.words import near, stem, words
from stead.broker.plans import MAX_STEPS, Candidate, Plan, Question, Refusal, Step
from stead.identity.values import Principal

ENOUGH = 0.6
LONGEST_GOAL = 2000
_YOURS = {"me": "you", "my": "your", "myself": "yourself", "mine": "yours"}
_ASKING = re.compile(
    r"^(?:what|how|who|which|when|where|why|is|are|was|were|do|does|did|will|can|could|should|would|has|have)\b", re.I
)


@dataclass(frozen=True)
class _Reading:
    """One candidate read against one clause."""

    candidate: Candidate
    filling: Filling
    match: Match


@dataclass
class _Draft:
    """The plan in the making."""

    steps: list[Step] = field(default_factory=list)
    refused: list[Refusal] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    symbols: list[str] = field(default_factory=list)
    previous: Candidate | None = None


class Rules:
    """The planner that needs no model and no network."""

    name = "rules"

    async def plan(self, goal: str, principal: Principal | None, candidates: Sequence[Candidate]) -> Plan:
        """Plans `goal`; never raises for what a person may write."""
        return plan(goal, candidates)


def plan(goal: str, candidates: Sequence[Candidate]) -> Plan:
    """The plan for `goal` over `candidates`: a pure function."""
    if len(goal) > LONGEST_GOAL:
        refusal = Refusal(text="That is too long for me to be sure of.", hint=f"Say it in {LONGEST_GOAL} letters.")
        return Plan(goal=goal[:LONGEST_GOAL], planner=Rules.name, refused=(refusal,))
    vocabulary, draft = Vocabulary.of(candidates), _Draft()
    clauses = split(goal, vocabulary.actions())
    for clause in clauses:
        for part in _cut_further(clause, vocabulary):
            _place(part, vocabulary, draft)
    if not clauses:
        draft.refused.append(Refusal(text="That asks for nothing that I can do.", hint=_abilities(candidates)))
    return Plan(
        goal=goal,
        planner=Rules.name,
        steps=tuple(draft.steps),
        refused=tuple(dict.fromkeys(draft.refused)),
        questions=tuple(dict.fromkeys(draft.questions)),
    )


def _cut_further(clause: Clause, vocabulary: Vocabulary) -> Iterator[Clause]:
    """A clause like "my portfolio and market trends for AAPL", cut where each part is about another skill."""
    match = re.search(r"\s+(?:and|plus)\s+", clause.text)
    if match is None:
        yield clause
        return
    left, right = clause.text[: match.start()], clause.text[match.end() :]
    try:
        first, second, whole = (_choose(text, vocabulary) for text in (left, right, clause.text))
    except AmbiguousError:
        yield clause  # which says so when its place in the plan is looked for
        return
    if first and second and first.candidate.key != second.candidate.key and not (whole and whole.match.coverage == 1.0):
        yield Clause(left, left, clause.negated, clause.follows)
        yield from _cut_further(Clause(right, right, clause.negated), vocabulary)
    elif first and _repeats(first, right):
        yield Clause(left, left, clause.negated, clause.follows)
        yield Clause(f"{words(left)[0]} {right}", right, clause.negated)
    else:
        yield clause


def _repeats(first: _Reading, right: str) -> bool:
    """ "Transfer 50 EUR to Bob and 20 EUR to Carol": the second part gives the same inputs again."""
    try:
        again = fill(right, first.candidate)
    except AmbiguousError:
        return False
    needed = set(first.candidate.required)
    return bool(needed) and needed <= set(again.values) and needed <= set(first.filling.values)


def _place(clause: Clause, vocabulary: Vocabulary, draft: _Draft) -> None:
    """Adds to the draft what the clause asks for: a step, a question or a refusal."""
    try:
        reading = _choose(clause.text, vocabulary)
    except AmbiguousError as ambiguity:
        draft.refused.append(Refusal(text=str(ambiguity), reason="ambiguous"))
        return
    refusal = _refusal(clause, reading, vocabulary)
    if refusal is not None:
        draft.refused.append(refusal)
    elif reading is not None:
        _add(clause, reading, draft)


def _choose(text: str, vocabulary: Vocabulary) -> _Reading | None:
    """The skill that the text is about, or None. Raises `AmbiguousError`."""
    readings = [_read(number, text, vocabulary) for number in range(len(vocabulary.candidates))]
    return max((reading for reading in readings if _fits(reading)), key=_preference, default=None)


def _fits(reading: _Reading) -> bool:
    """True where the clause is covered, or where all that a skill with effects needs is there and something more:
    such a clause is about that skill, and is refused for what was not understood."""
    match, filling, candidate = reading.match, reading.filling, reading.candidate
    complete = candidate.effects and bool(candidate.required) and not filling.missing
    return match.anchored and (match.coverage >= ENOUGH or complete)


def _read(number: int, text: str, vocabulary: Vocabulary) -> _Reading:
    candidate = vocabulary.candidates[number]
    filling = fill(text, candidate)
    return _Reading(candidate, filling, vocabulary.match(number, filling.rest(text)))


def _preference(reading: _Reading) -> tuple[float, int, int, str]:
    filling, candidate = reading.filling, reading.candidate
    return (
        round(reading.match.coverage, 3),
        len(filling.values) - len(filling.missing) - len(reading.match.unknown),
        candidate.kind == "agent",
        candidate.key,
    )


def _refusal(clause: Clause, reading: _Reading | None, vocabulary: Vocabulary) -> Refusal | None:
    if clause.negated:
        return Refusal(text=f"You said “{clause.told}”, so I left it out.", reason="negated")
    if reading is None:
        return _unable(clause, vocabulary.candidates)
    if reading.candidate.effects and (refusal := _half_understood(clause, reading)):
        return refusal
    reading.filling.wrong.extend(_misfits(reading))
    return _wrong(clause, reading) if reading.filling.wrong else None


def _misfits(reading: _Reading) -> Iterator[str]:
    """The values that the skill's schema does not take."""
    candidate, values = reading.candidate, reading.filling.values
    misfits = {error.split(":", 1)[0] for error in complaints(candidate.input_schema, values)}
    for name in values:
        if name in misfits:
            label = str(candidate.properties[name].get("title") or name).lower().replace("_", " ")
            yield f"{name}: {_shown(values[name])} is not a possible {label} there."


def _shown(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _unable(clause: Clause, candidates: Sequence[Candidate]) -> Refusal:
    told = clause.text if len(clause.text) <= 120 else clause.text[:119] + "…"
    first = words(told)[0]
    commanded = first.lower() in STARTERS and not _ASKING.match(told) and first[1:].islower()
    deed = _turned(told[0].lower() + told[1:]) if commanded else f"answer “{told}”"
    return Refusal(text=f"I can't {deed}: no agent in this network offers that.", hint=_abilities(candidates))


def _turned(deed: str) -> str:
    """What was said to us, said back: "greet me" is "greet you"."""
    return re.sub(r"\b(me|my|myself|mine)\b", lambda match: _YOURS[match.group().lower()], deed, flags=re.I)


def _half_understood(clause: Clause, reading: _Reading) -> Refusal | None:
    """What has effects is done on a plain instruction only, and only if every word of it is understood."""
    candidate, unknown = reading.candidate, reading.match.unknown
    example = next(iter(candidate.examples), candidate.name)
    verb = stem(words(clause.text)[0])
    if _ASKING.match(clause.text) or not ({verb, *near(verb)} & actions(candidate)):
        return Refusal(
            text=f"I don't take “{clause.told}” for an instruction to act.",
            reason="ambiguous",
            hint=f"Say it plainly, for example: {example}",
        )
    if condition := CONDITION.search(reading.filling.rest(clause.text)):
        return Refusal(
            text=f"I can't wait for “{condition.group()} …”: what I do, I do now and once.",
            hint=f"Say it like this: {example}",
        )
    if unknown and not reading.filling.wrong:
        return Refusal(
            text=f"I don't understand “{' '.join(unknown)}” in “{clause.told}”, "
            "and I don't act on half an instruction.",
            reason="ambiguous",
            hint=f"Say it like this: {example}",
        )
    return None


def _wrong(clause: Clause, reading: _Reading) -> Refusal:
    reasons = " ".join(_sentence(wrong.split(": ", 1)[1]) for wrong in reading.filling.wrong)
    example = next(iter(reading.candidate.examples), None)
    hint = f"For example: {example}" if example else None
    return Refusal(text=f"I can't do “{clause.told}”. {reasons}", reason="invalid_input", hint=hint)


def _add(clause: Clause, reading: _Reading, draft: _Draft) -> None:
    candidate, filling = reading.candidate, reading.filling
    _recall_symbols(clause, reading, draft)
    if filling.missing:
        draft.questions.append(_question(candidate, filling.missing))
        return
    if len(draft.steps) >= MAX_STEPS:
        draft.refused.append(Refusal(text=f"“{clause.told}” is more than the {MAX_STEPS} steps of one plan."))
        return
    step = Step.of(candidate, len(draft.steps) + 1, f"“{clause.told}”", filling.values)
    if clause.follows and draft.steps:
        step = step.model_copy(update={"needs": (draft.steps[-1].id,)})
    if not any(step.skill == other.skill and step.inputs == other.inputs for other in draft.steps):
        draft.steps.append(step)


def _recall_symbols(clause: Clause, reading: _Reading, draft: _Draft) -> None:
    """ "What are they worth": they are what the clause before spoke of."""
    candidate, filling = reading.candidate, reading.filling
    listed = next((name for name, schema in candidate.properties.items() if kind(name, schema) == "symbols"), None)
    if listed is None:
        return
    if listed in filling.values:
        draft.symbols = filling.values[listed]
    elif draft.symbols and PRONOUN.search(clause.text):
        filling.values[listed] = list(draft.symbols)
        filling.missing = [name for name in filling.missing if name != listed]


def _question(candidate: Candidate, missing: Sequence[str]) -> Question:
    asked = (
        " and ".join(_ask(name, candidate) for name in missing)
        if len(missing) != 2
        else ", and ".join(
            _ask(name, candidate)
            for name in sorted(missing, key=lambda name: kind(name, candidate.properties[name]) != "amount")
        )
    )
    return Question(text=f"{asked[0].upper()}{asked[1:]}?", skill=candidate.key, missing=tuple(missing))


def _ask(name: str, candidate: Candidate) -> str:
    schema = candidate.properties.get(name, {})
    asks = {"amount": "how much", "party": "to whom", "symbols": "for which symbols", "symbol": "for which symbol"}
    label = str(schema.get("title") or name).replace("_", " ").lower()
    return asks.get(kind(name, schema), f"what {label}")


def _abilities(candidates: Sequence[Candidate]) -> str | None:
    examples = [candidate.examples[0] for candidate in candidates if candidate.examples][:4]
    return f"Try: {'; '.join(examples)}." if examples else "No agent is registered yet."


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
