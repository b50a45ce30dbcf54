"""Typed inputs from a clause: what each property of a skill's JSON schema asks for, and what the clause has for it.

What kind a property is follows from its type and its name, so that any agent's skill can be filled, known or not.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from stead.broker.planner.amounts import CODES, Number, numbers
from stead.broker.planner.words import identifier_words, listed, stem, words
from stead.broker.plans import Candidate

_AMOUNT = frozenset({"amount", "sum", "total", "price", "budget"})
_PARTY = frozenset({"payee", "recipient", "beneficiary", "destination", "receiver", "creditor", "to"})
_TARGET = frozenset({"target", "to", "into", "destination", "goal"})
_SYMBOL = frozenset({"symbol", "symbols", "ticker", "tickers", "security", "securities", "stock", "stocks"})
_UNITS = {"minute": 1 / 1440, "hour": 1 / 24, "day": 1, "week": 7, "month": 30, "quarter": 91, "year": 365}
_PLACES = {
    "city": "in",
    "place": "in",
    "location": "in",
    "country": "in",
    "language": "into|in|to",
    "topic": "about|on",
}

_CUT = (
    r"(?=\s+[-−€$£]?\d|[,;.!?]|$"
    r"|\s+(?:from|for|on|at|in|by|with|via|using|when|if|unless|because|as|until|once|every|each|next|and|or|then|but"
    r"|tomorrow|today|tonight|now|monthly|weekly|daily)\b)"
)
_TICKER = re.compile(r"(?<![\w$])\$?([A-Z]{1,5}(?:\.[A-Z])?)(?![\w'’])")
_NAMED_TICKER = re.compile(r"\b([A-Z][A-Za-z]+)\s*\(([A-Z]{1,5})\)|\b([A-Z]{2,5})\s*\(([A-Z][A-Za-z]+)\)")
# A name's words are told apart by what stands between them, so that there is one way to match and not two to the number
# of words ways.
_NAMED_FIRST = re.compile(r"^\w+\s+([A-Z][\w'’]+(?:\s+[A-Z][\w'’]+)*?)(?=\s*[-−€$£]?\d)")
_QUOTED = re.compile(r"[\"“‘]([^\"”’]{1,200})[\"”’]")
_SPAN = re.compile(
    r"\b(\d+|a|an|one|two|three|four|six|twelve)[\s-]+(minute|hour|day|week|month|quarter|year)s?\b", re.I
)
_COUNTS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "six": 6, "twelve": 12}
_NO_TICKER = CODES | listed("A I AI OK PDF API USA UK EU US IBAN ETF CEO ATM FAQ TV PM AM ASAP")
_EVERYTHING = re.compile(
    r"\b(?:everything|all(?:\s+(?:of\s+)?(?:my|the)\s+(?:money|funds|savings|cash|balance|assets))?|the\s+rest|half|as\s+much\s+as)\b",
    re.I,
)
_NOBODY = re.compile(r"him|her|them|it|some(?:one|body)|any(?:one|body)|every(?:one|body)|me|myself", re.I)
PRONOUN = re.compile(r"\b(?:they|them|those|these|their|both|it|its)\b", re.I)


@dataclass
class Filling:
    """What a clause gives a skill: values, what is missing, what is wrong, and the parts of the text that were used."""

    values: dict[str, Any] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    used: list[tuple[int, int]] = field(default_factory=list)

    def rest(self, text: str) -> str:
        """The text without what was used."""
        kept = list(text)
        for start, end in self.used:
            kept[start:end] = " " * (end - start)
        return "".join(kept)


@dataclass(frozen=True, slots=True)
class Reading:
    """One clause being read for one skill."""

    text: str
    candidate: Candidate
    numbers: tuple[Number, ...]
    filling: Filling


def kind(name: str, schema: Mapping[str, Any]) -> str:
    """amount, currency, party, symbols, symbol, span, count, choice or text."""
    labels = _labels(name)
    if allowed(schema):
        return "currency" if "currency" in labels else "choice"
    kinds = types(schema)
    if labels & _SYMBOL:
        return "symbols" if "array" in kinds else "symbol"
    if "currency" in labels:
        return "currency"
    if labels & _AMOUNT and kinds & {"number", "string", "integer"}:
        return "amount"
    if "integer" in kinds or "number" in kinds:
        return "span" if labels & {f"{unit}s" for unit in _UNITS} | labels & set(_UNITS) else "count"
    if labels & _PARTY:
        return "party"
    return "text" if "string" in kinds else "other"


def types(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that the schema admits, alternatives included."""
    found: set[str] = set()
    declared = schema.get("type")
    found.update([declared] if isinstance(declared, str) else declared or ())
    for alternative in (*schema.get("anyOf", ()), *schema.get("oneOf", ())):
        found |= types(alternative)
    return found - {"null"}


def allowed(schema: Mapping[str, Any]) -> tuple[str, ...]:
    """The strings that an enumeration (or a constant) admits; empty when it is open."""
    if "const" in schema:
        return (str(schema["const"]),)
    return tuple(str(value) for value in schema.get("enum", ()) if value is not None)


def fill(text: str, candidate: Candidate) -> Filling:
    """The inputs of `candidate` that `text` gives. Raises `AmbiguousError` where a number can be read in two ways."""
    filling = Filling()
    reading = Reading(text, candidate, tuple(numbers(text)), filling)
    for name, schema in candidate.properties.items():
        _FILLERS.get(kind(name, schema), _leave)(reading, name, schema)
    filling.missing += [
        name for name in candidate.required if name not in filling.values and not _excused(filling, name)
    ]
    return filling


def _excused(filling: Filling, name: str) -> bool:
    return any(wrong.startswith(f"{name}:") for wrong in filling.wrong)


def _leave(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    """A kind of input that a sentence cannot give."""


def _amount(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    text, filling = reading.text, reading.filling
    span = {match.span() for match in _SPAN.finditer(text)}
    sums = [number for number in reading.numbers if number.currency or not any(a <= number.start < b for a, b in span)]
    sums = [number for number in sums if number.currency] or sums
    if len(sums) > 1:
        filling.wrong.append(f"{name}: I read more than one amount and do not choose between them.")
        filling.used += [(number.start, number.end) for number in sums]
    elif sums:
        _take_amount(reading, name, schema, sums[0])
    elif match := _EVERYTHING.search(text):
        filling.used.append(match.span())
        filling.wrong.append(f"{name}: “{match.group()}” is not an amount: say an exact one.")


def _take_amount(reading: Reading, name: str, schema: Mapping[str, Any], number: Number) -> None:
    filling = reading.filling
    filling.used.append((number.start, number.end))
    if number.value <= 0:
        filling.wrong.append(f"{name}: an amount has to be above zero.")
    elif number.value >= Decimal(10) ** 12:
        filling.wrong.append(f"{name}: no such amount is ever moved.")
    elif number.currency and number.currency != "JPY" and number.fraction_digits > 2:
        filling.wrong.append(f"{name}: {number.currency} has two decimals.")
    else:
        exact = number.value.quantize(Decimal("0.01")) if number.fraction_digits <= 2 else number.value
        filling.values[name] = str(exact) if "string" in types(schema) else float(number.value)
    _take_currency(reading, number)


def _take_currency(reading: Reading, number: Number) -> None:
    filling, candidate = reading.filling, reading.candidate
    name = _currency_input(candidate, number.currency)
    if number.currency is None:
        return
    accepted = allowed(candidate.properties[name]) if name else ()
    if accepted and number.currency not in accepted:
        filling.wrong.append(f"{name}: it is done in {' or '.join(accepted)}, not in {number.currency}.")
    elif name:
        filling.values[name] = number.currency


def _currency_input(candidate: Candidate, currency: str | None) -> str | None:
    """The input for an amount's currency: the one called so, else a choice among currencies that is not the target."""
    kinds = {name: kind(name, schema) for name, schema in candidate.properties.items()}
    named = [name for name in kinds if kinds[name] == "currency"]
    chosen = [
        name
        for name in kinds
        if kinds[name] == "choice" and not _labels(name) & _TARGET and currency in allowed(candidate.properties[name])
    ]
    return next(iter([*named, *chosen]), None)


def _party(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    text, filling = reading.text, reading.filling
    addressed = list(re.finditer(rf"\b(?:to|into)\s+((?:(?!\bto\b).)+?){_CUT}", text, re.I))
    match = addressed[-1] if addressed else _NAMED_FIRST.search(text)
    if match is None:
        return
    filling.used.append(match.span() if addressed else match.span(1))
    named = re.sub(r"^the\s+", "", match.group(1).strip(), flags=re.I)
    if not _NOBODY.fullmatch(named):
        filling.values[name] = named


def _symbols(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    filling = reading.filling
    symbols = _tickers(reading)
    if symbols:
        filling.values[name] = symbols


def _symbol(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    filling = reading.filling
    symbols = _tickers(reading)
    if len(symbols) > 1:
        filling.wrong.append(f"{name}: it takes one symbol at a time.")
    elif symbols:
        filling.values[name] = symbols[0]


def _tickers(reading: Reading) -> list[str]:
    text, filling, known = reading.text, reading.filling, known_names(reading.candidate)
    shouted = text.isupper() and len(words(text)) > 2
    hits: dict[int, tuple[str, int]] = {}
    for match in () if shouted else _TICKER.finditer(text):
        if match.group(1) not in _NO_TICKER:
            hits[match.start()] = (match.group(1), match.end())
    for word in re.finditer(r"[A-Za-z]+", text):
        if (symbol := known.get(word.group().lower())) and not any(a <= word.start() < b for a, (_, b) in hits.items()):
            hits[word.start()] = (symbol, word.end())
    filling.used += [(start, end) for start, (_, end) in hits.items()]
    return list(dict.fromkeys(symbol for _, (symbol, _) in sorted(hits.items())))


def known_names(candidate: Candidate) -> dict[str, str]:
    """Symbols by the company names and symbols (in lower case) that the skill's schema and texts give."""
    known: dict[str, str] = {}
    for schema in candidate.properties.values():
        items = schema.get("items") or {}
        for symbol in (*allowed(schema), *allowed(items), *schema.get("examples", ()), *items.get("examples", ())):
            for one in symbol if isinstance(symbol, list) else [symbol]:
                if isinstance(one, str) and re.fullmatch(r"[A-Z]{1,5}", one):
                    known[one.lower()] = one
    described = [str(schema.get("description", "")) for schema in candidate.properties.values()]
    for text in (candidate.description, *candidate.examples, *described):
        for company, symbol, symbol_first, company_last in _NAMED_TICKER.findall(text):
            known[(company or company_last).lower()] = symbol or symbol_first
    return known


def _span(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    text, filling = reading.text, reading.filling
    match = _SPAN.search(text)
    if match is None:
        return
    labels = {label.removesuffix("s") for label in _labels(name)}
    target = next((days for unit, days in _UNITS.items() if unit in labels), 1)
    count = _COUNTS.get(match.group(1).lower()) or int(match.group(1))
    filling.used.append(match.span())
    whole = count * _UNITS[match.group(2).lower()] / target
    if whole < 1:
        filling.wrong.append(f"{name}: {match.group()} is too short.")
    else:
        filling.values[name] = round(whole)


def _count(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    text, filling = reading.text, reading.filling
    labels = {stem(word) for word in words(identifier_words(name))} | {"top", "first", "last", "best"}
    for number in reading.numbers:
        beside = text[: number.start].split()[-1:] + text[number.end :].split()[:1]
        if not number.currency and any(stem(word.strip(",.?!")) in labels for word in beside):
            filling.used.append((number.start, number.end))
            whole = number.value == number.value.to_integral_value()
            filling.values[name] = int(number.value) if whole else float(number.value)
            return


def _choice(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    text, filling = reading.text, reading.filling
    if name in filling.values:
        return
    pattern = "|".join(map(re.escape, allowed(schema)))
    found = [match for match in re.finditer(rf"\b(?:{pattern})\b", text, re.I) if not _taken(filling, match)]
    if _labels(name) & _TARGET:
        found.sort(key=lambda match: not re.search(r"\b(?:to|into|in)\s+$", text[: match.start()], re.I))
    if found:
        filling.used.append(found[0].span())
        written = found[0].group().lower()
        filling.values[name] = next(value for value in allowed(schema) if value.lower() == written)


def _taken(filling: Filling, match: re.Match[str]) -> bool:
    return any(start <= match.start() < end for start, end in filling.used)


def _labels(name: str) -> set[str]:
    return {word.lower() for word in words(identifier_words(name))}


def _text(reading: Reading, name: str, schema: Mapping[str, Any]) -> None:
    text, filling = reading.text, reading.filling
    if match := _QUOTED.search(text):
        filling.used.append(match.span())
        filling.values[name] = match.group(1).strip()
        return
    label = " ".join(words(identifier_words(name))).lower()
    before = rf"{re.escape(label)}(?:\s+(?:is|of|as))?|named|called"
    if name in reading.candidate.required:
        before += f"|{_PLACES.get(label, 'about|for|in|to|of|at|with')}"
    if match := re.search(rf"\b(?:{before})\s+(.+?){_CUT}", text, re.I):
        filling.used.append(match.span())
        filling.values[name] = match.group(1).strip()


_FILLERS = {
    "amount": _amount,
    "party": _party,
    "symbols": _symbols,
    "symbol": _symbol,
    "span": _span,
    "count": _count,
    "choice": _choice,
    "text": _text,
}
