"""Which skill a clause is about: the share of its meaning that a skill's own words cover.

Words that no skill knows count against every skill, so that "transfer my flight booking" is not taken for a transfer.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stead.broker.planner.amounts import AmbiguousError
from stead.broker.planner.inputs import fill
from stead.broker.planner.words import identifier_words, meaning, near, stem, words
from stead.broker.plans import Candidate

_NEAR = 0.85
_DESCRIBED = 0.7


@dataclass(frozen=True)
class Match:
    """How well a skill covers a clause: from 0 (not at all) to 1 (every word that means something)."""

    candidate: Candidate
    coverage: float
    anchored: bool
    unknown: tuple[str, ...] = ()


@dataclass(frozen=True)
class Vocabulary:
    """What the words of each skill are worth. Made once per set of candidates."""

    candidates: tuple[Candidate, ...]
    strengths: tuple[Mapping[str, float], ...]
    documents: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(cls, candidates: Sequence[Candidate]) -> "Vocabulary":
        """Reads the candidates' names, tags, examples, descriptions and input names."""
        strengths = tuple(_strengths(candidate) for candidate in candidates)
        documents: dict[str, int] = {}
        for known in strengths:
            for word in known:
                documents[word] = documents.get(word, 0) + 1
        return cls(tuple(candidates), strengths, documents)

    def actions(self) -> frozenset[str]:
        """The stems with which people ask for these skills: the first words of examples, and the skills' names."""
        return frozenset(action for candidate in self.candidates for action in actions(candidate))

    def match(self, number: int, rest: str) -> Match:
        """How well candidate `number` covers the words of `rest`, the clause without the inputs found in it."""
        asked, known = meaning(rest), self.strengths[number]
        scores = {word: _strength(known, word) for word in asked}
        total = sum(self._weight(word) for word in asked)
        covered = sum(self._weight(word) * score for word, score in scores.items())
        return Match(
            self.candidates[number],
            covered / total if total else 0.0,
            anchored=any(score >= _NEAR for score in scores.values()),
            unknown=tuple(word for word in _written(rest, scores)),
        )

    def _weight(self, word: str) -> float:
        return math.log(1 + len(self.candidates) / max(1, self.documents.get(word, 0)))


def actions(candidate: Candidate) -> frozenset[str]:
    """The stems that ask for this skill: its name, the first words of its examples, and what means nearly the same."""
    first = [stem(next(iter(words(example)), "")) for example in candidate.examples]
    named = meaning(f"{identifier_words(candidate.skill)} {candidate.name}")
    own = {word for word in [*meaning(" ".join(first)), *named] if word}
    return frozenset(own | {other for word in own for other in near(word)})


def best(candidates: Sequence[Candidate], text: str, limit: int) -> list[Candidate]:
    """The `limit` candidates nearest to `text`: what a model is shown of a large network."""
    if len(candidates) <= limit:
        return list(candidates)
    vocabulary = Vocabulary.of(candidates)
    ranked = sorted(range(len(candidates)), key=lambda number: -vocabulary.match(number, text).coverage)
    return [candidates[number] for number in sorted(ranked[:limit])]


def _strengths(candidate: Candidate) -> dict[str, float]:
    strengths = dict.fromkeys(meaning(f"{candidate.description} {_property_words(candidate)}"), _DESCRIBED)
    examples = " ".join(_without_inputs(example, candidate) for example in candidate.examples)
    named = f"{identifier_words(candidate.key)} {candidate.name} {' '.join(candidate.tags)} {examples}"
    strengths.update(dict.fromkeys(meaning(named), 1.0))
    return strengths


def _without_inputs(example: str, candidate: Candidate) -> str:
    """The example without its sample inputs: that it names Bob does not make every Bob understood."""
    try:
        return fill(example, candidate).rest(example)
    except AmbiguousError:
        return ""


def _property_words(candidate: Candidate) -> str:
    described = (f"{name} {schema.get('description', '')}" for name, schema in candidate.properties.items())
    return identifier_words(" ".join(described))


def _strength(known: Mapping[str, float], word: str) -> float:
    return max([known.get(word, 0.0), *(known[other] * _NEAR for other in near(word) if other in known)])


def _written(rest: str, scores: Mapping[str, float]) -> list[str]:
    return [word for word in dict.fromkeys(words(rest)) if scores.get(stem(word), 1.0) == 0.0]
