"""The payments server: trusts only the bank, and moves money only for what the bank says its customer approved."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stead.identity.home import Home
from stead.identity.settings import Settings
from stead.identity.types import ASGIApp
from stead.identity.values import Grant, Principal
from stead.identity.verifier import TrustedIssuer
from stead.identity.workload import Workload
from stead.mcp_servers.kit import Server
from stead.mcp_servers.payments.ledger import Ledger, Payment, seeded
from stead.mcp_servers.payments.order import Order, consent_of, require_approved

_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
Amount = Annotated[str, Field(pattern=r"^[0-9]{1,12}(\.[0-9]{1,2})?$", description="As approved, such as 250.00")]
Currency = Annotated[str, Field(pattern=r"^[A-Z]{3}$", description="ISO 4217: EUR")]
Iban = Annotated[str, Field(pattern=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$", description="Without spaces.")]
Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9._:~-]{1,128}$", description="The payer's key: one id is one payment.")]
Name = Annotated[str, Field(min_length=1, max_length=140, pattern=_PRINTABLE)]
Remittance = Annotated[str, Field(max_length=140, pattern=_PRINTABLE)]


class Executed(BaseModel):
    """A payment that was made."""

    model_config = ConfigDict(frozen=True)

    payment_id: str
    end_to_end_id: str
    status: Literal["executed"] = "executed"
    amount: str
    currency: str
    creditor_name: str
    creditor_iban: str
    debtor_iban: str
    executed_at: datetime
    consent_id: str


def payments_server(ledger: Ledger) -> Server:
    """The server over `ledger`. It has one tool; nothing else moves money."""
    server = Server("payments", "Payments from the accounts of Northbank's customers.", issuers=_only_the_bank)

    @server.tool(grant=Grant.IN_TASK, scopes=("payments",), effects=True, check=require_approved)
    async def execute_payment(
        user: Principal,
        *,
        end_to_end_id: Id,
        amount: Amount,
        currency: Currency,
        creditor_name: Name,
        creditor_iban: Iban,
        debtor_iban: Iban,
        remittance: Remittance = "",
    ) -> Executed:
        """Makes the one payment that the token's holder approved at the bank. The same call again changes nothing."""
        order = Order(end_to_end_id, amount, currency, creditor_name, creditor_iban, debtor_iban, remittance)
        return _executed(await ledger.execute(order, user.subject, consent_of(user)))

    return server


def payments_app(workload: Workload) -> ASGIApp:
    """The server with the sample accounts, for the network's launcher."""
    return payments_server(seeded(workload.home.database(workload.name))).app(workload)


def _only_the_bank(home: Home) -> Sequence[TrustedIssuer]:
    settings = Settings.load(home)
    return (settings.described(settings.bank or home.network.bank_idp).trusted(),)


def _executed(payment: Payment) -> Executed:
    order = payment.order
    return Executed(
        payment_id=payment.payment_id,
        end_to_end_id=order.end_to_end_id,
        amount=order.amount,
        currency=order.currency,
        creditor_name=order.creditor_name,
        creditor_iban=order.creditor_iban,
        debtor_iban=order.debtor_iban,
        executed_at=datetime.fromtimestamp(payment.executed_at, UTC),
        consent_id=payment.consent,
    )
