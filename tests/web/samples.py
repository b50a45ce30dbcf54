"""What the broker and the trail collector say, as samples in their own JSON: for tests that need no network."""

from typing import Any

AT: dict[str, str] = {}
"""Where everything is: `place` changes it."""


def place(**urls: str) -> None:
    """Puts participants where a test has them."""
    AT.update(urls)


place(
    broker="http://127.0.0.1:8401",
    corporate="http://127.0.0.2:8402",
    bank="http://127.0.0.3:8403",
    transfer="http://127.0.0.4:8404",
    portfolio="http://127.0.0.5:8405",
    market="http://127.0.0.6:8406",
    holdings="http://127.0.0.7:8407",
    quotes="http://127.0.0.8:8408",
)


def _skill(name: str, title: str, grant: str, scope: str, examples: list[str], provider: Any = None) -> dict[str, Any]:
    base = {"id": name, "name": title or name, "description": "", "examples": examples, "effects": False}
    return {**base, "grant": grant, "scopes": [scope], "provider": provider}


def registry() -> dict[str, Any]:
    """The broker's registry, in the form of `GET /registry`."""
    bank = {"issuer": AT["bank"], "name": "Northbank"}
    send = _skill("send", "Send a payment", "in-task", "transfer:create", ["Transfer 250 EUR to Bob's savings"], bank)
    trend = _skill("trend", "Trend forecast", "s2s", "market:read", ["How will AAPL and MSFT trend?"])
    summary = _skill("summary", "Portfolio summary", "obo", "portfolio:read", ["Show my portfolio"])
    return {
        "entries": [
            _entry("portfolio", "agent", AT["portfolio"], summary),
            _entry("market_data", "agent", AT["market"], trend),
            _entry("transfer", "agent", AT["transfer"], send),
            _entry("holdings", "mcp", AT["holdings"], _skill("list_holdings", "", "obo", "holdings:read", [])),
            _entry("quotes", "mcp", AT["quotes"], _skill("get_history", "", "s2s", "quotes:read", [])),
        ]
    }


def _entry(name: str, kind: str, url: str, skill: dict[str, Any]) -> dict[str, Any]:
    key = f"{name}.{skill['id']}"
    return {
        "name": name,
        "kind": kind,
        "url": url,
        "status": "ready",
        "skills": [{"key": key, "planned": True, **skill}],
    }


def step(number: int, skill: str, why: str, grant: str, scope: str, **more: Any) -> dict[str, Any]:
    """A step of a plan."""
    agent = skill.split(".", maxsplit=1)[0]
    identity = {"grant": grant, "audience": "", "scopes": [scope], "in_task": more.pop("in_task", None)}
    base = {"id": f"s{number}", "skill": skill, "agent": agent, "why": why, "inputs": {}, "needs": []}
    return {**base, "identity": identity, "effects": False, **more}


def task(
    name: str,
    goal: str,
    state: str,
    *,
    steps: list[dict[str, Any]] | None = None,
    progress: list[str] | None = None,
    message: dict[str, Any] | None = None,
    answer: tuple[str, dict[str, Any]] | None = None,
    refused: list[dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """A broker task in the A2A JSON form."""
    steps = steps or []
    artifacts: list[dict[str, Any]] = []
    if steps or refused:
        plan = {"goal": goal, "planner": "rules", "steps": steps, "refused": refused or [], "questions": []}
        artifacts.append({"artifactId": "plan", "name": "plan", "parts": [{"data": plan}]})
    if progress:
        told = [{"id": one["id"], "state": word, "note": None} for one, word in zip(steps, progress, strict=False)]
        artifacts.append({"artifactId": "progress", "name": "progress", "parts": [{"data": {"steps": told}}]})
    if answer:
        parts: list[dict[str, Any]] = [{"text": answer[0]}, {"data": answer[1]}]
        artifacts.append({"artifactId": "answer", "name": "answer", "parts": parts})
    status: dict[str, Any] = {"state": f"TASK_STATE_{state}", "timestamp": "2026-11-25T02:10:00Z"}
    if message:
        status["message"] = message
    history = [{"messageId": f"m-{name}", "role": "ROLE_USER", "parts": [{"text": goal}]}]
    return {"id": name, "contextId": "c1", "status": status, "artifacts": artifacts, "history": history}


POSITIONS = [
    ("AAPL", "Apple", 120, "231.40", "27768.00"),
    ("MSFT", "Microsoft", 64, "418.15", "26761.60"),
    ("VWCE", "FTSE All-World ETF", 310, "131.22", "40678.20"),
    ("SAP", "SAP", 85.5, "221.90", "18972.45"),
    ("BND7", "Euro Government Bonds 7-10", 96, "104.85", "10065.60"),
]
SUMMARY = {
    "positions": [
        {
            "symbol": symbol,
            "name": name,
            "quantity": units,
            "price": price,
            "currency": "EUR",
            "value": value,
            "weight": 0,
        }
        for symbol, name, units, price, value in POSITIONS
    ],
    "total": "124245.85",
    "currency": "EUR",
    "as_of": "2026-11-24",
}


def _forecast(symbol: str, name: str, last: float, change: float, seed: int) -> dict[str, Any]:
    past, value = [], last * (1 - change / 90)
    for day in range(60):
        value *= 1 + ((seed * (day + 3) * 7919) % 41 - 20) / 2200 + change / 9000
        past.append(round(value, 2))
    past = [round(one * last / past[-1], 2) for one in past]
    spread = last * 0.06
    band = [
        [
            round(last * (1 + change / 100 * day / 30) - spread * (day / 30) ** 0.5, 2),
            round(last * (1 + change / 100 * day / 30) + spread * (day / 30) ** 0.5, 2),
        ]
        for day in range(1, 31)
    ]
    return {
        "symbol": symbol,
        "name": name,
        "last": last,
        "currency": "EUR",
        "change_pct": change,
        "trend": "up" if change > 0 else "down",
        "low": band[-1][0],
        "high": band[-1][1],
        "history": past,
        "band": band,
        "method": "straight line through the logarithms of 60 daily closes, with an 80 % prediction interval",
    }


TREND = {"forecasts": [_forecast("AAPL", "Apple", 231.4, 2.4, 5), _forecast("MSFT", "Microsoft", 418.15, -1.3, 11)]}
TREND_ALL = {**TREND, "horizon_days": 30, "as_of": "2026-11-24"}

READ_STEPS = [
    step(1, "market_data.trend", "Estimate how AAPL and MSFT will trend over 30 days", "s2s", "market:read"),
    step(2, "portfolio.summary", "Find what AAPL and MSFT are worth in your portfolio", "obo", "portfolio:read"),
]
READ = task(
    "t-read",
    "How will AAPL and MSFT trend, and what are they worth in my portfolio?",
    "COMPLETED",
    steps=READ_STEPS,
    progress=["done", "done"],
    answer=(
        "Apple may rise by about 2.4 % and Microsoft fall by about 1.3 %. Your portfolio is worth 124,245.85 EUR.",
        {
            "results": [
                {"step": "s2", "skill": "portfolio.summary", "output": SUMMARY},
                {"step": "s1", "skill": "market_data.trend", "output": TREND_ALL},
            ],
            "refused": [],
        },
    ),
)


def challenge(now: float, **changes: Any) -> dict[str, Any]:
    """What Transfer asks the person for."""
    details = {
        "type": "payment_initiation",
        "instructedAmount": {"amount": "250.00", "currency": "EUR"},
        "creditorName": "Bob Lindqvist",
        "creditorAccount": {"iban": "DE66100100000000200201"},
        "remittanceInformationUnstructured": "Transfer by FinPort",
    }
    return {
        "type": "urn:stead:challenge:v1",
        "id": "ch-1",
        "link": f"{AT['transfer']}/authorize/ch-1",
        "provider": {"issuer": AT["bank"], "name": "Northbank"},
        "authorization_details": [details],
        "digest": "sha-256:x",
        "asked_by": "transfer-agent",
        "through": ["broker"],
        "subject": {"iss": AT["corporate"], "sub": "alice"},
        "task": "t-child",
        "expires_at": int(now) + 290,
        **changes,
    }


def parked(now: float, **changes: Any) -> dict[str, Any]:
    """A transfer that waits for its person."""
    steps = [
        step(
            1,
            "transfer.send",
            "Transfer 250.00 EUR to Bob's savings",
            "obo",
            "transfer:create",
            in_task={"issuer": AT["bank"], "name": "Northbank"},
            effects=True,
            inputs={"payee": "Bob's savings", "amount": "250.00", "currency": "EUR"},
        )
    ]
    message = {
        "messageId": "m",
        "role": "ROLE_AGENT",
        "parts": [
            {"text": "Transfer needs your approval at Northbank."},
            {"data": {"challenges": [challenge(now, **changes)]}},
        ],
    }
    goal = "Transfer 250 EUR to Bob's savings"
    return task("t-pay", goal, "AUTH_REQUIRED", steps=steps, progress=["auth-required"], message=message)


PAID = task(
    "t-paid",
    "Transfer 250 EUR to Bob's savings",
    "COMPLETED",
    steps=parked(0)["artifacts"][0]["parts"][0]["data"]["steps"],
    progress=["done"],
    answer=(
        "250.00 EUR went to Bob Lindqvist.",
        {
            "results": [
                {
                    "step": "s1",
                    "skill": "transfer.send",
                    "output": {
                        "payment_id": "pay-7f31c2",
                        "payee": "Bob Lindqvist",
                        "iban": "DE66100100000000200201",
                        "amount": "250.00",
                        "currency": "EUR",
                        "debtor_iban": "DE50100100000000100101",
                        "executed_at": "2026-11-25T02:14:09Z",
                        "consent_id": "consent-91a0",
                    },
                }
            ],
            "refused": [],
        },
    ),
)
REFUSED = task(
    "t-refused",
    "Transfer 50 EUR to Carol",
    "REJECTED",
    steps=[step(1, "transfer.send", "Transfer 50.00 EUR to Carol", "obo", "transfer:create")],
    progress=["refused"],
    message={
        "messageId": "m2",
        "role": "ROLE_AGENT",
        "parts": [
            {"text": "x"},
            {
                "data": {
                    "error": {
                        "code": "invalid_scope",
                        "description": "Bob Lindqvist has no right to make transfers.",
                        "hint": "The role payer is needed. Ask your administrator.",
                    }
                }
            },
        ],
    },
)


def hop(
    number: int, parent: str | None, caller: str, callee: str, resource: str, grant: str, scope: str, **more: Any
) -> Any:
    """One hop of a trail."""
    person = grant != "s2s"
    base = {
        "hop": f"{number:016x}",
        "parent": parent,
        "caller": caller,
        "callee": more.pop("aud", f"http://{callee}"),
        "callee_name": callee,
        "operation": "SendMessage",
        "resource": resource,
        "grant": grant,
        "iss": AT["corporate"],
        "sub": "alice" if person else caller,
        "name": "Alice Moreau" if person else None,
        "act": None,
        "aud": f"http://{callee}",
        "scope": scope,
        "exp": 0,
        "jti": f"jti-{number:04}",
        "parent_jti": None,
        "consent_id": None,
        "decision": "allow",
        "rule": "declared",
        "code": None,
        "description": None,
        "hint": None,
        "confirmed": True,
        "started": float(number),
        "ended": float(number) + 1,
        "outcome": "completed",
    }
    return {**base, **more}


def read_trail(now: float) -> dict[str, Any]:
    """The trail of `READ`."""
    one, two, three = (f"{n:016x}" for n in (1, 2, 3))
    chain = {"sub": "portfolio-agent", "act": {"sub": "broker"}}
    hops = [
        hop(1, None, "finport-web", "broker", "broker.ask", "login", "broker:ask", exp=now + 298),
        hop(2, one, "broker", "market-data-agent", "market_data.trend", "s2s", "market:read", exp=now + 300),
        hop(
            3,
            one,
            "broker",
            "portfolio-agent",
            "portfolio.summary",
            "obo",
            "portfolio:read",
            act={"sub": "broker"},
            parent_jti="jti-0001",
            exp=now + 297,
        ),
        hop(
            4,
            two,
            "market-data-agent",
            "quotes-mcp",
            "quotes.get_history",
            "s2s",
            "quotes:read",
            exp=now + 300,
            operation="tools/call",
        ),
        hop(
            5,
            three,
            "portfolio-agent",
            "holdings-mcp",
            "holdings.list_holdings",
            "obo",
            "holdings:read",
            act=chain,
            parent_jti="jti-0003",
            exp=now + 296,
            operation="tools/call",
        ),
    ]
    return {"task": "t-read", "hops": hops, "version": 10}


def pay_trail(now: float, *, name: str = "t-pay", paid: bool = False) -> dict[str, Any]:
    """The trail of a payment, parked or done."""
    one, two = f"{1:016x}", f"{2:016x}"
    hops = [
        hop(1, None, "finport-web", "broker", "broker.ask", "login", "broker:ask", exp=now + 298),
        hop(
            2,
            one,
            "broker",
            "transfer-agent",
            "transfer.send",
            "obo",
            "transfer:create",
            act={"sub": "broker"},
            parent_jti="jti-0001",
            exp=now + 297,
            **({} if paid else {"outcome": "auth-required", "ended": None}),
        ),
    ]
    if paid:
        hops.append(
            hop(
                3,
                two,
                "transfer-agent",
                "payments-mcp",
                "payments.execute_payment",
                "in-task",
                "payments",
                iss=AT["bank"],
                sub="nb-1001",
                exp=now + 120,
                consent_id="consent-91a0",
                operation="tools/call",
            )
        )
    return {"task": name, "hops": hops, "version": 4 + len(hops)}


def refused_trail(now: float) -> dict[str, Any]:
    """The trail of `REFUSED`."""
    one = f"{1:016x}"
    hops = [
        hop(
            1,
            None,
            "finport-web",
            "broker",
            "broker.ask",
            "login",
            "broker:ask",
            exp=now + 298,
            sub="bob",
            name="Bob Lindqvist",
        ),
        hop(
            2,
            one,
            "broker",
            "transfer-agent",
            "transfer.send",
            "obo",
            "transfer:create",
            sub="bob",
            name="Bob Lindqvist",
            jti=None,
            exp=None,
            decision="deny",
            confirmed=False,
            code="invalid_scope",
            rule=None,
            outcome="refused",
            description="Bob Lindqvist has no right to make transfers.",
            hint="The role payer is needed. Ask your administrator.",
        ),
    ]
    return {"task": "t-refused", "hops": hops, "version": 3}
