"""What a person is asked to approve, and whether the page may lead there.

The message names an operation and a link. Where the link may lead is settled here from the registry: to the origin of
the reviewed agent that asks, and on to a provider that is on that agent's list. Anything else is shown and not opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from stead.demo.web.directory import Directory, Member, origin
from stead.demo.web.typeset import decimal, host, plain


@dataclass(frozen=True, slots=True)
class Approval:
    """The card. `link` is None where `problem` says why it is not opened."""

    id: str
    agent: str
    through: tuple[str, ...]
    person: str
    amount: str | None
    currency: str
    payee: str | None
    iban: str | None
    details: tuple[tuple[str, str], ...]
    expires_at: float
    over: bool
    agent_host: str | None
    bank: str | None
    bank_host: str | None
    link: str | None
    problem: str | None


def read_approval(challenge: Mapping[str, Any], directory: Directory, person: str, now: float) -> Approval:
    """The card of one challenge (`urn:stead:challenge:v1`)."""
    asked_by = str(challenge.get("asked_by", ""))
    member = directory.called(asked_by)
    issuer, bank = _provider(challenge, member)
    problem = _problem(challenge, member, issuer)
    operation = _operation(challenge)
    expires_at = float(decimal(challenge.get("expires_at")) or 0)
    return Approval(
        id=str(challenge.get("id", "")),
        agent=directory.title(asked_by),
        through=tuple(directory.title(str(one)) for one in challenge.get("through") or ()),
        person=person,
        amount=operation.amount,
        currency=operation.currency,
        payee=operation.payee,
        iban=operation.iban,
        details=operation.others,
        expires_at=expires_at,
        over=expires_at <= now,
        agent_host=host(member.url) if member else None,
        bank=bank,
        bank_host=host(issuer) if issuer else None,
        link=None if problem or expires_at <= now else str(challenge["link"]),
        problem=problem,
    )


def _provider(challenge: Mapping[str, Any], member: Member | None) -> tuple[str | None, str | None]:
    """The provider as the registry knows it: the message only picks which of the agent's own list."""
    named = challenge.get("provider")
    wanted = named.get("issuer") if isinstance(named, Mapping) else None
    listed = [skill for skill in member.skills if skill.provider_issuer] if member else []
    for skill in listed:
        if skill.provider_issuer == wanted:
            return skill.provider_issuer, skill.provider_name
    return None, None


def _problem(challenge: Mapping[str, Any], member: Member | None, issuer: str | None) -> str | None:
    link = origin(str(challenge.get("link", "")))
    if member is None:
        return "The agent that asks is not in the registry, so its link is not opened."
    if not member.reviewed:
        return f"{member.title} has not been reviewed, so its link is not opened."
    if link is None or link != origin(member.url):
        return f"The link does not lead to {member.title}'s registered address, so it is not opened."
    if issuer is None:
        return f"The provider that is named is not one that {member.title} is registered with, so it is not opened."
    return None


@dataclass(frozen=True, slots=True)
class _Operation:
    amount: str | None
    currency: str
    payee: str | None
    iban: str | None
    others: tuple[tuple[str, str], ...]


_KNOWN = frozenset(
    {"type", "instructedAmount", "creditorName", "creditorAccount", "actions", "locations", "endToEndId", "task_id"}
)
_TITLES = {
    "remittanceInformationUnstructured": "Reference",
    "debtorAccount": "From",
}


def _operation(challenge: Mapping[str, Any]) -> _Operation:
    """The first of the authorization details (RFC 9396); a second would be refused by whoever executes it."""
    listed = challenge.get("authorization_details") or [{}]
    detail = listed[0] if isinstance(listed[0], Mapping) else {}
    amount = detail.get("instructedAmount")
    amount = amount if isinstance(amount, Mapping) else {}
    account = detail.get("creditorAccount")
    return _Operation(
        amount=_text(amount.get("amount")),
        currency=str(amount.get("currency", "")),
        payee=_text(detail.get("creditorName")),
        iban=_text(account.get("iban")) if isinstance(account, Mapping) else _text(account),
        others=tuple(_others(detail)),
    )


def _others(detail: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [
        (_TITLES.get(name, name), plain(value))
        for name, value in detail.items()
        if name not in _KNOWN and value is not None
    ]


def _text(value: object) -> str | None:
    return None if value is None else str(value)
