"""Rich authorization requests (RFC 9396): the one type this bank knows, as a closed schema."""

from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from stead.identity.errors import InvalidRequest
from stead.identity.server.errors import Refused
from stead.identity.strict_json import parse_object
from stead.identity.types import Json

PAYMENT_INITIATION = "payment_initiation"
_MAX_DETAILS = 8_192


def valid_iban(text: str) -> str:
    """An IBAN in its electronic form (ISO 13616), check digits included. Raises `ValueError`."""
    digits = "".join(str(int(letter, 36)) for letter in text[4:] + text[:4])
    if int(digits) % 97 != 1:
        raise ValueError("the check digits are wrong")
    return text


def _positive(text: str) -> str:
    if Decimal(text) <= 0:
        raise ValueError("the amount is not positive")
    return text


_Iban = Annotated[str, StringConstraints(pattern=r"^[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30}$"), AfterValidator(valid_iban)]
_Name = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f<>\u200b-\u200f\u202a-\u202e\u2066-\u2069]{1,70}$")]
_Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:~-]{1,128}$")]
_Url = Annotated[str, StringConstraints(pattern=r"^https?://[^\s#]{1,200}$")]


class _Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Amount(_Closed):
    """Money as text: a number would lose its cents on the way."""

    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
    amount: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,12}(\.[0-9]{1,2})?$"), AfterValidator(_positive)]


class AccountReference(_Closed):
    """An account by its IBAN."""

    iban: _Iban


class PaymentInitiation(_Closed):
    """One payment to one payee. The account it comes from is the person's choice, made on the bank's page."""

    type: Literal["payment_initiation"]
    actions: Annotated[list[Literal["initiate"]], Field(min_length=1, max_length=1)]
    locations: Annotated[list[_Url], Field(min_length=1, max_length=1)]
    instructedAmount: Amount  # noqa: N815  (the wire's name)
    creditorName: _Name  # noqa: N815
    creditorAccount: AccountReference  # noqa: N815
    remittanceInformationUnstructured: Annotated[_Name, StringConstraints(max_length=140)] | None = None  # noqa: N815
    endToEndId: _Id  # noqa: N815
    task_id: _Id | None = None


def read_details(text: str, allowed: tuple[str, ...]) -> list[Json]:
    """The `authorization_details` parameter (RFC 9396 s2). Raises `Refused` (invalid_authorization_details, s5)."""
    details = _array(text)
    if len(details) != 1:
        raise _refused("Exactly one operation is authorized at a time.")
    if details[0].get("type") not in allowed or details[0].get("type") != PAYMENT_INITIATION:
        raise _refused("This client may not ask for that type of authorization.")
    payment(details[0])
    return details


def payment(details: Json) -> PaymentInitiation:
    """The typed payment. Raises `Refused` naming the member that is wrong."""
    try:
        return PaymentInitiation.model_validate(details)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise _refused(f"The member {where[:100]} of the payment is not acceptable.") from None


def with_debtor(details: Json, iban: str) -> Json:
    """The payment, enriched by the account the person chose (RFC 9396 s7.1)."""
    return {**details, "debtorAccount": {"iban": iban}}


def _array(text: str) -> list[Json]:
    try:
        wrapped: dict[str, Any] = parse_object(b'{"_":%b}' % text.encode(), max_bytes=_MAX_DETAILS + 8, max_depth=8)
    except InvalidRequest:
        raise _refused("The authorization_details are not readable JSON.") from None
    details = wrapped["_"]
    if set(wrapped) != {"_"} or not isinstance(details, list) or not all(isinstance(one, dict) for one in details):
        raise _refused("The authorization_details are not a list of objects.")
    return details


def _refused(description: str) -> Refused:
    return Refused("invalid_authorization_details", description)
