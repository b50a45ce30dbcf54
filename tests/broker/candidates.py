"""What a FinPort-like network offers to a planner, as values."""

from typing import Any

from stead.broker.plans import Candidate, Provider, StepIdentity
from stead.identity.values import Grant

SYMBOLS: dict[str, Any] = {"type": "array", "items": {"type": "string", "pattern": "^[A-Z0-9.]{1,12}$"}, "minItems": 1}
AMOUNT: dict[str, Any] = {"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,2})?$"}


def candidate(key: str, grant: Grant, scope: str, **more: Any) -> Candidate:
    agent, skill = key.split(".")
    provider = more.pop("in_task", None)
    identity = StepIdentity(grant=grant, audience=f"http://{agent}:1", scopes=(scope,), in_task=provider)
    return Candidate(key=key, agent=agent, skill=skill, identity=identity, **more)


PORTFOLIO = candidate(
    "portfolio.summary",
    Grant.OBO,
    "portfolio:read",
    name="Summary",
    description="Lists a customer's positions with quantity, price, value and weight, and the total.",
    tags=("portfolio", "holdings"),
    examples=("Show my portfolio", "What are AAPL and MSFT worth in my portfolio?"),
    input_schema={"type": "object", "properties": {"symbols": SYMBOLS}, "additionalProperties": False},
    output_schema={
        "type": "object",
        "properties": {
            "total": {"type": "string"},
            "positions": {"type": "array", "items": {"$ref": "#/$defs/Position"}},
        },
        "$defs": {"Position": {"type": "object", "properties": {"symbol": {"type": "string"}}}},
    },
)
TREND = candidate(
    "market_data.trend",
    Grant.S2S,
    "market:read",
    name="Trend",
    description="Forecasts the trend of each symbol over the coming days, for example Apple (AAPL).",
    tags=("market", "forecast"),
    examples=("How will AAPL and MSFT trend?",),
    input_schema={
        "type": "object",
        "properties": {"symbols": SYMBOLS, "horizon_days": {"type": "integer", "minimum": 1, "maximum": 365}},
        "required": ["symbols"],
    },
)
SEND = candidate(
    "transfer.send",
    Grant.OBO,
    "transfer:create",
    in_task=Provider(issuer="http://bank:1", name="Northbank"),
    name="Send",
    description="Transfers an amount to one of the customer's payees, after the customer approves it.",
    tags=("transfer", "payment", "send", "pay", "money"),
    examples=("Transfer 250 EUR to Bob's savings", "Send 40 EUR to Carol"),
    input_schema={
        "type": "object",
        "properties": {
            "payee": {"type": "string", "minLength": 1},
            "amount": AMOUNT,
            "currency": {"const": "EUR", "default": "EUR", "type": "string"},
        },
        "required": ["payee", "amount"],
    },
    effects=True,
)
GREET = candidate(
    "hello.greet",
    Grant.OBO,
    "greet:read",
    name="Greet",
    description="Greets the person in whose stead it is called.",
    examples=("say hello to me", "greet me"),
    input_schema={"type": "object", "properties": {}},
)
CONVERT = candidate(
    "fx.convert",
    Grant.S2S,
    "fx:read",
    kind="mcp",
    name="convert",
    description="Converts an amount of money from one currency to another.",
    examples=("convert 100 EUR to USD",),
    input_schema={
        "type": "object",
        "properties": {
            "amount": AMOUNT,
            "source": {"enum": ["EUR", "USD", "GBP"], "type": "string"},
            "target": {"enum": ["EUR", "USD", "GBP"], "type": "string"},
        },
        "required": ["amount", "source", "target"],
    },
)
WEATHER = candidate(
    "weather.forecast",
    Grant.S2S,
    "weather:read",
    name="Weather forecast",
    description="Tells the weather of a city.",
    tags=("weather",),
    examples=("How is the weather in Paris?",),
    input_schema={
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 1}},
        "required": ["city"],
    },
)
FINPORT = (PORTFOLIO, TREND, SEND)
ALL = (*FINPORT, GREET, CONVERT, WEATHER)
