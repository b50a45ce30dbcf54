"""Templates: a turn as its five parts, and the whole pages. Everything is escaped; nothing here does I/O."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader

from stead.demo.web import typeset
from stead.demo.web.approvals import Approval, read_approval
from stead.demo.web.charts import forecast_chart
from stead.demo.web.directory import Directory
from stead.demo.web.turns import Turn
from stead.identity.types import Json

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Person:
    """Who is signed in, as the page calls them."""

    name: str

    @property
    def first(self) -> str:
        return self.name.split()[0] if self.name.split() else self.name

    @property
    def initial(self) -> str:
        return self.name[:1].upper()


_FILTERS = ("amount", "figures", "host", "iban", "identity_words", "moment", "percent", "plain", "quantity", "sentence")


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(FOLDER / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    for name in (
        "amount",
        "quantity",
        "percent",
        "figures",
        "iban",
        "moment",
        "host",
        "identity_words",
        "plain",
        "sentence",
    ):
        environment.filters[name] = getattr(typeset, name)
    return environment


_TEMPLATES = _environment()


def render(template: str, **values: Any) -> str:
    """One template as text."""
    return _TEMPLATES.get_template(template).render(**values)


def turn_json(turn: Turn, person: Person, directory: Directory, now: float, revision: int = 0) -> Json:
    """What the browser is told of a turn: its state, a sentence to announce, and its parts as markup."""
    approvals = [read_approval(one, directory, person.first, now) for one in turn.challenges]
    values = {"turn": turn, "person": person, "approvals": approvals, "results": [_result(one) for one in turn.results]}
    return {
        "task": turn.task,
        "state": turn.state,
        "open": turn.is_open,
        "goal": turn.goal,
        "revision": revision,
        "announce": _announce(turn, approvals),
        "waits": _waits(turn, approvals),
        "parts": {
            "said": render("said.html", **values),
            "plan": render("plan_card.html", **values),
            "approval": render("approval.html", **values),
            "answer": render("answer.html", **values),
            "status": render("status.html", **values),
        },
    }


def _waits(turn: Turn, approvals: list[Approval]) -> Json | None:
    """Which agent waits, and for whose word, where the trail can show it."""
    if turn.state != "approval" or not approvals:
        return None
    asked_by = str(turn.challenges[0].get("asked_by", ""))
    return {"agent": asked_by, "provider": approvals[0].bank or "the provider"}


def _announce(turn: Turn, approvals: list[Approval]) -> str:
    if turn.state == "approval" and approvals:
        asked = approvals[0]
        what = f"{typeset.amount(asked.amount)} {asked.currency} to {asked.payee}" if asked.amount else "one operation"
        return f"{asked.agent} needs your approval: {what}."
    words = {
        "working": "Working.",
        "approval": turn.message or "This waits for you.",
        "question": " ".join(turn.questions) or turn.message,
        "done": f"Done. {turn.text}",
        "refused": f"Refused. {turn.message}",
        "failed": f"It did not work. {turn.message}",
        "canceled": "Stopped.",
    }
    return words[turn.state]


def _result(result: Mapping[str, Any]) -> Json:
    """A step's output with what its typesetting needs."""
    output = result.get("output")
    base = {"skill": str(result.get("skill", "")), "output": output, "kind": "plain"}
    if not isinstance(output, Mapping):
        return base
    if isinstance(output.get("positions"), list) and output["positions"]:
        return {**base, "kind": "holdings", "weights": _weights(output)}
    if isinstance(output.get("forecasts"), list):
        listed = _forecasts(output)
        methods = {one.get("method") for one in listed}
        method = methods.pop() if len(methods) == 1 else None
        return {**base, "kind": "forecasts", "horizon": _horizon(output), "forecasts": listed, "method": method}
    return {**base, "kind": "receipt"} if "payment_id" in output else base


def _forecasts(output: Mapping[str, Any]) -> list[Json]:
    return [{**one, "chart": forecast_chart(one)} for one in output["forecasts"] if isinstance(one, Mapping)]


def _weights(output: Mapping[str, Any]) -> list[float]:
    """Per cent of the total; a skill may state it as a share of one, as per cent, or not at all."""
    positions = [one for one in output["positions"] if isinstance(one, Mapping)]
    values = [float(typeset.decimal(one.get("value")) or 0) for one in positions]
    total = sum(values) or 1.0
    return [100 * value / total for value in values]


def _horizon(output: Mapping[str, Any]) -> str:
    days = output.get("horizon_days")
    band = next((one.get("band") for one in output["forecasts"] if isinstance(one, Mapping) and one.get("band")), None)
    count = int(float(days)) if days else len(band) if band else 0
    return f"{count} trading days" if count else "the time asked for"


def participants(directory: Directory, *, web: str, broker: str) -> Json:
    """Titles for the columns of a trail, by client id and by address."""
    known: Json = {
        "finport-web": {"title": "FinPort web", "kind": ""},
        "stead-cli": {"title": "command line", "kind": ""},
        "broker": {"title": "Broker", "kind": "plans and asks"},
    }
    known |= {web: known["finport-web"], broker: known["broker"]}
    for member in directory.members:
        words = {"title": member.title, "kind": member.kind_words}
        known |= {name: words for name in (member.client_id, member.name, member.url) if name}
    return known


def person_json(person: Person) -> Json:
    """The person, for the script."""
    return {**asdict(person), "first": person.first, "initial": person.initial}
