"""English words as the rules planner sees them: tokens, stems, words that carry no meaning, and near-synonyms.

Knows English in general and nothing of any agent: what an agent is about, its own card says.
"""

import re
from collections.abc import Iterable
from functools import lru_cache

WORD = re.compile(r"[A-Za-z][A-Za-z0-9]*(?:['’][A-Za-z]+)*|\d+")


def listed(text: str) -> frozenset[str]:
    """The words of `text`, as a set."""
    return frozenset(text.split())


STOP = listed("""a an the this that these those my mine our your their his her its it they them i me we us you he she
    is are was were be been am do does did will would shall should can could may might must have has had
    of in on at to from for with by as and or but so if than then also too plus just only please kindly thanks thank
    what how which who whom when where why there here some any all each every both much many more most current currently
    now today right like want need let lets go ahead im d s ll re m t ve up out about into over
    next coming upcoming within hi hello hey ok okay well actually really very look looks looking going
    doing get got give tell show list display
    view see find check present fetch bring know wonder same again hand long term""")
"""Words that say nothing about which skill is meant. Verbs of mere showing are among them."""

NEAR = (
    "transfer send pay wire remit move",
    "payment payout remittance transfer",
    "trend forecast predict prediction outlook projection",
    "worth value valuation price valued",
    "portfolio holding position investment",
    "share stock equity ticker symbol security",
    "buy purchase acquire",
    "greet greeting welcome",
    "weather temperature",
    "book reserve reservation booking",
    "summary summarise summarize overview summarize",
    "email mail",
    "delete remove erase",
    "translate translation",
)

_SUFFIXES = ("ational", "ations", "ation", "ings", "ing", "ions", "ion", "ies", "ied", "edly", "ed", "ers", "es", "s")


@lru_cache(maxsize=8192)
def stem(word: str) -> str:
    """The word without its ending, so that "trends" and "trending" meet in "trend"."""
    word = word.lower().replace("’", "'")
    for possessive in ("'s", "s'", "'"):
        word = word.removesuffix(possessive)
    for suffix in _SUFFIXES:
        base = word.removesuffix(suffix)
        if base != word and len(base) >= 3 and not (suffix == "s" and base.endswith("s")):
            return _tidy(base + "y" if suffix in ("ies", "ied") else base)
    return _tidy(word)


def _tidy(base: str) -> str:
    if len(base) > 3 and base[-1] == base[-2] and base[-1] not in "ls":
        return base[:-1]
    return base.removesuffix("e") if len(base) > 4 else base


def words(text: str) -> list[str]:
    """The words of `text`, in order, as written."""
    return WORD.findall(text)


def meaning(text: str) -> list[str]:
    """The stems of the words that carry meaning, in order, each once."""
    return list(dict.fromkeys(stem(word) for word in words(text) if word.lower() not in STOP and len(word) > 1))


def identifier_words(name: str) -> str:
    """`market_data.trend` or `listHoldings` as words."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[_.\-/]+", " ", name)


@lru_cache(maxsize=1)
def _groups() -> tuple[frozenset[str], ...]:
    return tuple(frozenset(stem(word) for word in group.split()) for group in NEAR)


def near(word: str) -> Iterable[str]:
    """The stems that mean nearly the same as the stem `word`."""
    return {other for group in _groups() if word in group for other in group if other != word}
